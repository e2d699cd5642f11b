"""`forager tasks`: making tasks, and proving them again."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.batch import make_all, raise_failures, succeeded
from forager.cli.console import print_json, print_table, say
from forager.cli.imports import import_tasks
from forager.cli.issue_fix import issue_fix
from forager.cli.models import open_author
from forager.cli.progress import Progress
from forager.errors import UsageError

if TYPE_CHECKING:
    from collections import Counter

    from rich.table import Table

    from forager.images.image import Image
    from forager.mutation.candidates import Families
    from tasks.mutate_fix import Order
    from tasks.settings import Settings

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
@click.option(
    "--mutators",
    metavar="F,…",
    help="Families to use; where not given, all but `combined` (several bugs at once) and those "
    "that a model writes, `rewrite` and `modify`.",
)
@click.option(
    "--preset", type=click.Choice(list(PRESETS)), help="Mix of the families; even where not given."
)
@options.limit
@click.option("--per-function", type=click.IntRange(1), help="At most so many tasks of one.")
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
    "--statement",
    type=click.Choice(["cwm", "shown", "issue", "model"]),
    default="cwm",
    show_default=True,
    help="What the agent is told: where the bug is and which tests fail; the broken code and what "
    "its tests say; a bug report made from the failures; one that the model writes.",
)
@click.option(
    "--settings",
    "settings_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="TOML: weights, targets and caps, difficulty, the model's sampling (see docs/tasks.md).",
)
@click.option("-m", "--model", help="The model that writes, of the endpoint at --url.")
@options.one_url
@options.key_env
@options.keep_contaminated
@options.also_exclude
@options.workers
@options.dry_run
def mutate_fix(
    sources: tuple[str, ...], output: Path, workers: int, dry_run: bool, **given: Any
) -> None:
    """Break each project in small ways that its tests notice; each bug is a task.

    A SOURCE is built first where it was not yet. --limit counts the tasks of each project. Projects
    that SWE-bench evaluates on, and their forks, are left out.
    """
    order = _order(given, workers)
    if dry_run:
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
    from tasks.contamination import KeptOut
    from tasks.ledger import yields
    from tasks.mutate_fix import make_tasks

    with open_author(given, output, order.settings.sampling) as author:
        order = replace(order, author=author)
        images, refused = _images(sources, workers), 0
        for image in images:
            try:
                with Progress(image.source.name, order.limit, tried="mutants") as progress:
                    count = make_tasks(
                        image,
                        order,
                        output=output,
                        on_progress=progress.update,
                        report=progress.note,
                    )
            except KeptOut as error:
                say(str(error))
                refused += 1
                continue
            click.echo(f"{image.source.name}\t{count} tasks")
        if author and author.paid.completion_tokens:
            paid = author.paid
            say(f"{paid.prompt_tokens:,} tokens read and {paid.completion_tokens:,} written")
    if refused == len(images):
        raise click.exceptions.Exit(2)
    print_table(_yield_table(yields(output)))


tasks.add_command(issue_fix)
tasks.add_command(import_tasks)


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

    from forager.environments.repository.task import RepositoryTask
    from forager.mutation.prove import check as prove_again
    from forager.mutation.prove import in_order
    from forager.records import read_records

    chosen = list(islice(read_records(file, RepositoryTask), limit))
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


def _order(given: dict[str, Any], workers: int) -> "Order":
    """What is asked for, the author aside; UsageError where it does not go together."""
    from forager.mutation.combine import COMBINED
    from forager.mutation.judge import Rules
    from forager.mutation.written import WRITTEN
    from tasks.mutate_fix import Order
    from tasks.settings import Settings, load

    preset, file = given["preset"], given["settings_file"]
    model, statement, proof = given["model"], given["statement"], given["proof"]
    settings = load(file) if file else Settings()
    if preset and settings.weights:
        raise UsageError(f"--preset gives weights, and so does {file}; leave one out")
    if preset:
        settings = settings.model_copy(update={"weights": PRESETS[preset]})
    if given["per_function"]:
        settings = settings.model_copy(update={"per_function": given["per_function"]})
    families = _families(given["mutators"], settings)
    try:
        Rules(proof=proof)
    except ValueError as error:
        raise UsageError("--proof is files, full, none or sample:N") from error
    writes = statement == "model" or any(name in WRITTEN for name in families)
    if writes and not model:
        raise UsageError("which model is to write? Give -m MODEL and --url http://HOST:PORT/v1")
    if model and not writes:
        raise UsageError(
            "there is nothing for the model to write; add --mutators rewrite,modify or "
            "--statement model"
        )
    if statement != "cwm" and proof not in ("files", "full"):
        raise UsageError(
            "--statement shown, issue and model are made from the proof's failures: "
            "use --proof files or full"
        )
    if set(families) == {COMBINED}:
        raise UsageError(f"{COMBINED} bugs are made of others; name more families in --mutators")
    return Order(
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


def _families(names: str | None, settings: "Settings") -> "Families":
    """The families asked for: by name, by weight or by target, or all that cost nothing."""
    from forager.mutation.combine import COMBINED
    from forager.mutation.written import WRITTEN
    from mutators import load_families

    plain = load_families()
    families: Families = {**plain, **dict.fromkeys((COMBINED, *WRITTEN), ())}
    asked = settings.shares() or {}
    chosen = [name.strip() for name in (names or "").split(",") if name.strip()]
    unknown = [name for name in (*chosen, *asked, *settings.targets) if name not in families]
    if unknown or (names is not None and not chosen):
        raise UsageError(f"no family {', '.join(unknown)!r}; there are {', '.join(families)}")
    chosen = chosen or list(asked or plain)
    left_out = [name for name in (*chosen, *settings.targets) if asked and name not in asked]
    if left_out:
        raise UsageError(
            f"{', '.join(left_out)} would be left out: give it a weight or a target too"
        )
    return {name: families[name] for name in chosen}


def _images(sources: tuple[str, ...], workers: int) -> "list[Image]":
    """The images of the sources, built where need be; those of a file as they are."""
    from forager.images.build import build
    from forager.images.image import Image
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
