"""`forager tasks issue-fix`: real bugs out of histories."""

import os
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.console import print_json, print_table
from forager.cli.models import open_author
from forager.cli.progress import Progress
from forager.errors import UsageError

if TYPE_CHECKING:
    from collections import Counter

    from rich.table import Table

    from tasks.issue_fix import Order


@click.command("issue-fix")
@click.argument("sources", metavar="SOURCE…", nargs=-1, required=True)
@options.output
@options.limit
@click.option("--repo", metavar="OWNER/NAME", help="The repository's name, where it is not told.")
@click.option(
    "--issues",
    "dumps",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Issues as GitHub's API or GH Archive gives them: JSON or JSON Lines, also .gz or .zst.",
)
@click.option(
    "--github", is_flag=True, help="Ask GitHub for issues, with the token in $GITHUB_TOKEN."
)
@click.option(
    "--github-url",
    default="https://api.github.com",
    show_default=True,
    metavar="URL",
    help="GitHub's API.",
)
@click.option("-m", "--model", help="The model that writes issues where there is none, at --url.")
@click.option("--url", help="OpenAI-compatible endpoint; $OPENAI_BASE_URL where not given.")
@click.option(
    "--key-env",
    default="OPENAI_API_KEY",
    show_default=True,
    help="Environment variable that holds the endpoint's key.",
)
@click.option(
    "--most-files",
    default=20,
    show_default=True,
    type=click.IntRange(2),
    help="A change of more files is no candidate.",
)
@click.option(
    "--suite-seconds",
    default=120.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Where one run of the whole suite takes longer, only the changed test files are run.",
)
@options.workers
@options.dry_run
def issue_fix(
    sources: tuple[str, ...], output: Path, workers: int, dry_run: bool, **given: Any
) -> None:
    """Find the fixes in the history of each SOURCE (a path, a git URL[@ref]); each is a task.

    A fix changes code and tests together; it counts when tests fail before it and pass after,
    twice. --limit counts the tasks of each SOURCE.
    """
    from tasks.history import open_history
    from tasks.issue_fix import Order, candidates, make_tasks

    if given["repo"] and len(sources) > 1:
        raise UsageError("--repo names one repository: give one SOURCE with it")
    order = Order(
        limit=given["limit"],
        workers=workers,
        most_files=given["most_files"],
        suite_seconds=given["suite_seconds"],
    )
    for source in sources:
        history = open_history(source, name=given["repo"] or "")
        if dry_run:
            _, counts = candidates(history, order.most_files)
            print_json({"repo": history.name, **counts})
            continue
        with ExitStack() as stack:
            asking = _asking(order, given, output, history.name, stack)
            with Progress(history.name, order.limit, tried="candidates") as progress:
                counts = make_tasks(
                    history,
                    asking,
                    output=output,
                    on_progress=progress.update,
                    report=progress.note,
                )
        print_table(_funnel_table(history.name, counts))


def _asking(
    order: "Order", given: dict[str, Any], output: Path, repo: str, stack: ExitStack
) -> "Order":
    """The order with where issues come from, and the model that writes."""
    from tasks.issues import Dump, GitHub

    if given["github"]:
        token = os.environ.get("GITHUB_TOKEN", "")
        if not token:
            raise UsageError("--github needs a token: set GITHUB_TOKEN (a read-only one will do)")
        kept = output.with_name(f"{output.stem}.issues.jsonl")
        asked = GitHub(repo, token, kept, given["github_url"])
        order = replace(order, issues=stack.enter_context(closing(asked)))
    elif given["dumps"]:
        order = replace(order, issues=Dump(given["dumps"], repo))
    if given["model"]:
        from forager.trajectories.record import Sampling

        author = stack.enter_context(open_author(given, output, Sampling()))
        order = replace(order, author=author)
    return order


def _funnel_table(repo: str, counts: "Counter[str]") -> "Table":
    """Commits seen, candidates, tasks, and why the others are none."""
    from rich.table import Table

    table = Table(repo, "", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    first = ("commits", "candidates", "tasks")
    rest = sorted(set(counts) - set(first), key=lambda name: (":" in name, -counts[name]))
    for name in (*first, *rest):
        table.add_row(name if name in first else f"  {name}", str(counts[name]))
    return table
