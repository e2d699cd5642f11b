"""`forager tasks`: making tasks, and proving them again."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.batch import make_all, raise_failures, succeeded
from forager.cli.console import print_json, print_table
from forager.cli.progress import Progress
from forager.errors import UsageError

if TYPE_CHECKING:
    from collections import Counter

    from rich.table import Table

    from forager.environments.image import Image
    from forager.mutation.candidates import Families
    from forager.mutation.judge import Rules

PRESETS = {  # weights of the families
    "cwm": {
        "functions": 7.0,
        "arguments": 9.0,
        "variables": 6.0,
        "statements": 11.0,
        "operators": 12.0,
    }
}


@click.group()
def tasks() -> None:
    """Make tasks, and prove them again."""


@tasks.command("mutate-fix")
@click.argument("sources", metavar="SOURCE|images.jsonl…", nargs=-1, required=True)
@options.output
@click.option("--mutators", metavar="F,…", help="Families to use; all where not given.")
@click.option(
    "--preset", type=click.Choice(list(PRESETS)), help="Mix of the families; even where not given."
)
@options.limit
@click.option("--per-function", type=click.IntRange(1), help="At most so many of a function.")
@options.seed
@click.option(
    "--proof",
    default="files",
    show_default=True,
    metavar="files|full|sample:N|none",
    help="What is run again in a clean container: each test file with a test that runs the "
    "change, the whole suite, one mutant in N, nothing.",
)
@click.option(
    "--max-share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="Share of all tests that a bug may fail.",
)
@click.option("--at-import", is_flag=True, help="Keep bugs that break the import too.")
@options.workers
@options.dry_run
def mutate_fix(
    sources: tuple[str, ...],
    output: Path,
    mutators: str | None,
    preset: str | None,
    limit: int | None,
    per_function: int | None,
    seed: int,
    proof: str,
    max_share: float,
    at_import: bool,
    workers: int,
    dry_run: bool,
) -> None:
    """Break each project in small ways that its tests notice; each bug is a task.

    A SOURCE is built first where it was not yet. --limit counts the tasks of each project.
    """
    families = _families(mutators)
    weights = PRESETS[preset] if preset else None
    rules = _rules(proof=proof, max_share=max_share, at_import=at_import)
    if dry_run:
        print_json(
            {
                "sources": sources,
                "output": str(output),
                "mutators": list(families),
                "weights": weights,
                "limit": limit,
                "per_function": per_function,
                "seed": seed,
                "rules": rules.model_dump(),
                "workers": workers,
            }
        )
        return
    from tasks.mutate_fix import make_tasks, yields

    for image in _images(sources, workers):
        with Progress(image.source.name, limit) as progress:
            count = make_tasks(
                image,
                families,
                limit=limit,
                seed=seed,
                per_function=per_function,
                weights=weights,
                rules=rules,
                workers=workers,
                output=output,
                on_progress=progress.update,
                report=progress.note,
            )
        click.echo(f"{image.source.name}\t{count} tasks")
    print_table(_yield_table(yields(output)))


@tasks.command()
@click.argument("file", metavar="tasks.jsonl", type=click.Path(path_type=Path))
@options.limit
@options.workers
def check(file: Path, limit: int | None, workers: int) -> None:
    """Prove every task again in fresh containers; exit 1 if one fails.

    With the bug FAIL_TO_PASS must fail and PASS_TO_PASS pass; with the reference patch all pass.
    """
    from concurrent.futures import ThreadPoolExecutor
    from itertools import islice

    from forager.environments.task import Task
    from forager.mutation.prove import check as prove_again
    from forager.mutation.prove import in_order
    from forager.records import read_records

    chosen = list(islice(read_records(file, Task), limit))
    if not chosen:
        raise UsageError(f"{file} holds no tasks")
    failed = 0
    with Progress("tasks", len(chosen)) as progress, ThreadPoolExecutor(workers) as pool:
        judged = in_order(pool, prove_again, chosen, 2 * workers)
        for done, (task, problem) in enumerate(judged, 1):
            if problem:
                failed += 1
                click.echo(f"{task.instance_id}: {problem}")
            progress.update(done, failed=failed)
    click.echo(f"{len(chosen) - failed} of {len(chosen)} tasks hold")
    if failed:
        raise click.exceptions.Exit(1)


def _rules(**given: Any) -> "Rules":
    """The rules asked for."""
    from pydantic import ValidationError

    from forager.mutation.judge import Rules

    try:
        return Rules(**given)
    except ValidationError as error:
        raise UsageError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


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


def _families(names: str | None) -> "Families":
    """The families asked for."""
    from mutators import load_families

    families = load_families()
    if names is None:
        return families
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in families]
    if unknown or not chosen:
        raise UsageError(f"no family {', '.join(unknown)!r}; there are {', '.join(families)}")
    return {name: families[name] for name in chosen}


def _images(sources: tuple[str, ...], workers: int) -> "list[Image]":
    """The images of the sources, built where need be; those of a file as they are."""
    from forager.environments.build import build
    from forager.environments.image import Image
    from forager.records import read_records

    images = [
        image
        for source in sources
        if source.endswith(".jsonl")
        for image in read_records(Path(source), Image)
    ]
    to_build = [source for source in sources if not source.endswith(".jsonl")]

    def make(source: str, progress: Progress) -> Image:
        return build(source, report=lambda step: progress.note(f"{source}: {step}"))

    if to_build:
        built = make_all("images", to_build, make, workers)
        images += succeeded(built)
        raise_failures(built)
    return images
