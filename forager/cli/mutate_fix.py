"""`forager tasks mutate-fix`: small bugs that tests notice."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.batch import going_on, raise_failures, succeeded
from forager.cli.console import echo, print_json, print_table, say
from forager.cli.derived import Derived
from forager.cli.image import check_sources, images_of
from forager.cli.models import open_author
from forager.cli.progress import Progress
from forager.cli.verb import Verb, option
from forager.errors import ForagerError, UsageError
from forager.text import known_words

if TYPE_CHECKING:
    from collections import Counter

    from rich.table import Table

    from forager.mutation.candidates import Families
    from tasks.mutate_fix import MutateFixRequest
    from tasks.settings import MutateFixSettings

_BUGS = "Bugs and problem statements"
PRESETS = {  # weights of the families
    "cwm": {
        "functions": 7.0,
        "arguments": 9.0,
        "variables": 6.0,
        "statements": 11.0,
        "operators": 12.0,
    }
}


MUTATE_FIX = Derived("tasks.settings:MutateFixSettings", {_BUGS: ["per_function"]})


@click.command("mutate-fix", cls=Verb, settings=MUTATE_FIX)
@click.argument("sources", metavar="SOURCE|images.jsonl…", nargs=-1, required=True)
@options.output("tasks.jsonl", "File of the tasks.")
@options.workers
@options.limit
@options.seed
@option(
    "--config",
    metavar="FILE",
    former=["--settings"],
    type=options.PATH,
    help="TOML file: weights, targets and caps of families, difficulty, sampling of the model (see "
    "docs/bugs.md).",
)
@options.keep_contaminated
@options.also_exclude
@options.dry_run
@option(
    "--mutators",
    metavar="NAME[,NAME…]",
    heading=_BUGS,
    help="Families of bugs. By default all families but `combined` (several bugs at once) and the "
    "families that a model writes, `rewrite` and `modify`.",
)
@option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    heading=_BUGS,
    help="Mix of the families; by default they take turns evenly.",
)
@option(
    "--proof",
    metavar="files|full|sample:N|none",
    default="files",
    shown_default="files",
    heading=_BUGS,
    help="Tests to run in a fresh container before a bug becomes a task: the test files that run "
    "the change, the whole suite, the suite for one bug in N, or none.",
)
@option(
    "--statement",
    type=click.Choice(["cwm", "shown", "issue", "model"]),
    default="cwm",
    shown_default="cwm",
    heading=_BUGS,
    help="Problem statement. cwm: where the bug is and which tests fail; shown: the broken code "
    "and the output of its tests; issue: a bug report made from the failures; model: a bug report "
    "that the model writes.",
)
@option(
    "-m",
    "--model",
    metavar="NAME",
    heading=options.AUTHOR,
    help="Model that writes bugs or problem statements.",
)
@options.author_url
@options.author_key_env
def mutate_fix(
    sources: tuple[str, ...], output: Path, workers: int, dry_run: bool, **given: Any
) -> None:
    """Put small bugs into projects; each bug that tests notice becomes a task.

    SOURCE is built first if it was not built before (see `forager image build`); images.jsonl holds
    images. --limit counts the tasks of each project. Projects that SWE-bench evaluates on, and
    their forks, are left out.

    \b
    Examples:
      forager tasks mutate-fix images.jsonl -o tasks.jsonl --preset cwm --limit 40
      forager tasks mutate-fix pypi:toolz -o hard.jsonl --mutators operators,statements
    """
    order = _order(given, workers)
    if dry_run:
        check_sources(sources)
        print_json(
            {
                "sources": sources,
                "output": str(output),
                "mutators": list(order.families),
                "limit": order.limit,
                "seed": order.seed,
                "proof": order.proof,
                "statement": order.statement,
                "model": given["model"],
                "workers": workers,
                "keep_contaminated": order.keep_contaminated,
                "also_exclude": order.also_exclude and str(order.also_exclude),
                **order.settings.model_dump(),
                "weights": order.settings.shares(),
            }
        )
        return
    from forager.locks import claimed_file
    from tasks.contamination import ContaminatedProject
    from tasks.ledger import yields
    from tasks.mutate_fix import make_tasks, measured_ahead

    with (
        claimed_file(output),
        open_author(given, output, order.settings.sampling) as author,
    ):
        order = replace(order, author=author)
        images, results = images_of(sources, workers)
        total, refused = len(images) + len(results), 0
        with closing(measured_ahead(images, order, say)) as projects:
            for image, project in projects:
                name = image.source.name
                if isinstance(project, ContaminatedProject):
                    say(str(project))
                    refused += 1
                    continue
                with going_on(name, results, total):
                    if isinstance(project, ForagerError):
                        raise project
                    with Progress(name, order.limit, tried="mutants") as progress:
                        count = make_tasks(
                            image,
                            order,
                            output=output,
                            project=project,
                            on_progress=progress.update,
                            report=progress.note,
                        )
                    echo(f"{name}\t{count} tasks")
                    results.append(image)
        if author and author.paid.completion_tokens:
            paid = author.paid
            say(f"{paid.prompt_tokens:,} tokens read and {paid.completion_tokens:,} written")
    if refused == total:
        raise click.exceptions.Exit(2)
    if succeeded(results):
        print_table(_yield_table(yields(output)))
    raise_failures(results)


def _order(given: dict[str, Any], workers: int) -> "MutateFixRequest":
    """The order without its author. Raises UsageError for options that contradict each other."""
    from forager.mutation.combine import COMBINED
    from forager.mutation.judge import Rules
    from forager.mutation.model_written import WRITTEN
    from tasks.mutate_fix import MutateFixRequest
    from tasks.settings import MutateFixSettings, load

    preset, file = given["preset"], given["config"]
    model, statement, proof = given["model"], given["statement"], given["proof"]
    settings = load(file) if file else MutateFixSettings()
    settings = settings.model_copy(update=MUTATE_FIX.given(given))
    if preset and settings.weights:
        raise UsageError(f"--preset and {file} both give weights; leave one of them out")
    if preset:
        settings = settings.model_copy(update={"weights": PRESETS[preset]})
    families = _families(given["mutators"], settings)
    try:
        Rules(proof=proof)
    except ValueError as error:
        raise UsageError("--proof is files, full, none or sample:N") from error
    writes = statement == "model" or any(name in WRITTEN for name in families)
    if writes and not model:
        raise UsageError("a model must write these: give -m NAME and --url http://HOST:PORT/v1")
    if model and not writes:
        raise UsageError(
            "the model has nothing to write: give --mutators rewrite,modify or --statement model"
        )
    if statement != "cwm" and proof not in ("files", "full"):
        raise UsageError(
            "--statement shown, issue and model need the failures of a proof: "
            "give --proof files or --proof full"
        )
    if set(families) == {COMBINED}:
        raise UsageError(f"{COMBINED} bugs consist of others: name more families in --mutators")
    return MutateFixRequest(
        families=families,
        limit=given["limit"],
        seed=given["seed"],
        settings=settings,
        proof=proof,
        statement=statement,
        workers=workers,
        keep_contaminated=given["keep_contaminated"],
        also_exclude=given["also_exclude"],
    )


def _yield_table(found: "dict[str, Counter[str]]") -> "Table":
    """Tasks and rejected candidates, by family and reason."""
    from rich.table import Table

    reasons = sorted({reason for counts in found.values() for reason in counts} - {"tasks"})
    table = Table("family", box=None, pad_edge=False)
    for name in ("tasks", *reasons):
        table.add_column(name, justify="right")
    for family in sorted(found):
        table.add_row(family, *(str(found[family][name]) for name in ("tasks", *reasons)))
    return table


def _families(names: str | None, settings: "MutateFixSettings") -> "Families":
    """The chosen families: by name, weight or target, or all that need no model."""
    from forager.mutation.combine import COMBINED
    from forager.mutation.model_written import WRITTEN
    from mutators import load_families

    plain = load_families()
    families: Families = {**plain, **dict.fromkeys((COMBINED, *WRITTEN), ())}
    asked = settings.shares() or {}
    chosen = [name.strip() for name in (names or "").split(",") if name.strip()]
    unknown = [name for name in (*chosen, *asked, *settings.targets) if name not in families]
    if unknown or (names is not None and not chosen):
        words = known_words(unknown[0] if unknown else "", families)
        raise UsageError(f"no family {', '.join(unknown)!r}; {words}")
    chosen = chosen or list(asked or plain)
    left_out = [name for name in (*chosen, *settings.targets) if asked and name not in asked]
    if left_out:
        raise UsageError(
            f"{', '.join(left_out)} would be left out: give a weight or a target for it too"
        )
    return {name: families[name] for name in chosen}
