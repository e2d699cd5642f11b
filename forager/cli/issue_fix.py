"""`forager tasks issue-fix`: real bugs from histories."""

import os
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.batch import going_on, raise_failures
from forager.cli.console import print_json, print_table
from forager.cli.derived import Derived, setting
from forager.cli.models import open_author
from forager.cli.progress import Progress
from forager.cli.verb import Verb, option
from forager.errors import ForagerError, UsageError

if TYPE_CHECKING:
    from collections import Counter

    from rich.table import Table

    from tasks.issue_fix import IssueFixRequest

ISSUE_FIX = Derived(
    "tasks.settings:IssueFixSettings",
    {
        "Fixes": ["max_files", setting("suite_seconds", metavar="SECONDS")],
        "Problem statements": ["max_fix_names", "max_fix_run", "max_test_run"],
    },
)
_ISSUES = "Issues"


@click.command("issue-fix", cls=Verb, settings=ISSUE_FIX)
@click.argument("sources", metavar="SOURCE…", nargs=-1, required=True)
@options.output("tasks.jsonl", "File of the tasks.")
@options.workers
@options.limit
@options.keep_contaminated
@options.also_exclude
@options.dry_run
@option(
    "--repo",
    metavar="OWNER/NAME",
    heading=_ISSUES,
    help="Name of the repository on GitHub, if SOURCE does not say it.",
)
@option(
    "--issues",
    "dumps",
    metavar="FILE",
    multiple=True,
    type=options.PATH,
    heading=_ISSUES,
    help="Issues of GitHub's API or of GH Archive: JSON or JSON Lines, also .gz or .zst. Can be "
    "repeated.",
)
@option(
    "--github",
    is_flag=True,
    heading=_ISSUES,
    help="Ask GitHub for issues, with the token in $GITHUB_TOKEN.",
)
@option(
    "--github-url",
    default="https://api.github.com",
    shown_default="https://api.github.com",
    metavar="URL",
    heading=_ISSUES,
    help="Address of GitHub's API.",
)
@option(
    "-m",
    "--model",
    metavar="NAME",
    heading=options.AUTHOR,
    help="Model that writes the issues that are missing.",
)
@options.author_url
@options.author_key_env
def issue_fix(
    sources: tuple[str, ...], output: Path, workers: int, dry_run: bool, **given: Any
) -> None:
    """Find bug fixes in histories; each proven fix becomes a task.

    SOURCE is a path, a git URL[@ref], or pypi:NAME, whose releases then serve as the history. A fix
    changes code and tests together. It is proven if tests fail before it and pass after it, twice.
    --limit counts the tasks of each SOURCE. Projects that SWE-bench evaluates on are refused.

    \b
    Examples:
      forager tasks issue-fix https://github.com/pytoolz/toolz -o tasks.jsonl --github
      forager tasks issue-fix pypi:toolz -o tasks.jsonl --dry-run
    """
    from forager.locks import claimed_file
    from tasks.issue_fix import IssueFixRequest

    if given["repo"] and len(sources) > 1:
        raise UsageError("--repo names one repository: give one SOURCE")
    order = IssueFixRequest(
        limit=given["limit"],
        workers=workers,
        settings=ISSUE_FIX.build(ISSUE_FIX.given(given)),
        keep_contaminated=given["keep_contaminated"],
        also_exclude=given["also_exclude"],
    )
    results: list[str | ForagerError] = []
    with nullcontext() if dry_run else claimed_file(output):
        for source in sources:
            with going_on(source, results, len(sources)):
                if source.startswith("pypi:"):
                    _from_releases(source.removeprefix("pypi:"), order, given, output, dry_run)
                else:
                    _from_history(source, order, given, output, dry_run)
                results.append(source)
    raise_failures(results)


def _from_history(
    source: str, order: "IssueFixRequest", given: dict[str, Any], output: Path, dry_run: bool
) -> None:
    from tasks.history import open_history
    from tasks.issue_fix import candidates, make_tasks

    history = open_history(source, name=given["repo"] or "")
    if dry_run:
        _, counts = candidates(history, order.settings.max_files)
        print_json({"repo": history.name, **counts})
        return
    with ExitStack() as stack:
        asking = _asking(order, given, output, history.name, stack)
        with Progress(history.name, order.limit, tried="candidates") as progress:
            counts = make_tasks(
                history, asking, output=output, on_progress=progress.update, report=progress.note
            )
    print_table(_funnel_table(history.name, counts))


def _from_releases(
    project: str, order: "IssueFixRequest", given: dict[str, Any], output: Path, dry_run: bool
) -> None:
    from tasks.release_fix import make_release_tasks
    from tasks.releases import Releases

    if "==" in project:
        raise UsageError(f"issue-fix reads all releases: write pypi:{project.split('==')[0]}")
    releases = Releases(project)
    if dry_run:
        print_json({"repo": releases.history.name, "releases": len(releases.releases)})
        return
    with ExitStack() as stack:
        asking = _writing(order, given, output, stack)
        with Progress(releases.history.name, order.limit, tried="candidates") as progress:
            counts = make_release_tasks(
                releases, asking, output=output, on_progress=progress.update, report=progress.note
            )
    print_table(_funnel_table(releases.history.name, counts))


def _asking(
    order: "IssueFixRequest", given: dict[str, Any], output: Path, repo: str, stack: ExitStack
) -> "IssueFixRequest":
    """The order with the source of its issues and the model that writes."""
    from tasks.issues import GitHub, IssueFiles

    if given["github"]:
        token = os.environ.get("GITHUB_TOKEN", "")
        if not token:
            raise UsageError("--github needs a token: set GITHUB_TOKEN (read-only is sufficient)")
        kept = output.with_name(f"{output.stem}.issues.jsonl")
        asked = GitHub(repo, token, kept, given["github_url"])
        order = replace(order, issues=stack.enter_context(closing(asked)))
    elif given["dumps"]:
        order = replace(order, issues=IssueFiles(given["dumps"], repo))
    return _writing(order, given, output, stack)


def _writing(
    order: "IssueFixRequest", given: dict[str, Any], output: Path, stack: ExitStack
) -> "IssueFixRequest":
    """The order with the model that writes, if there is one."""
    from forager.trajectories.record import Sampling

    author = stack.enter_context(open_author(given, output, Sampling()))
    return replace(order, author=author)


def _funnel_table(repo: str, counts: "Counter[str]") -> "Table":
    """Counts of commits, candidates and tasks, and the reasons for rejections."""
    from rich.table import Table

    table = Table(repo, "", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    first = tuple(
        name for name in ("commits", "releases", "candidates", "images", "tasks") if name in counts
    )
    rest = sorted(set(counts) - set(first), key=lambda name: (":" in name, -counts[name]))
    for name in (*first, *rest):
        table.add_row(name if name in first else f"  {name}", str(counts[name]))
    return table
