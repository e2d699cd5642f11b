"""`forager trace tasks`: the failing test of tasks before and after the fix."""

from pathlib import Path
from typing import Any

import click

from forager.cli import options
from forager.cli.progress import Progress
from forager.cli.tracing import (
    FALLBACK,
    OUTPUT,
    SANDBOX,
    print_kept,
    record_in_parallel,
    trace_writer,
)
from forager.cli.verb import Verb, option
from forager.errors import UsageError


@click.command(cls=Verb)
@click.argument("file", metavar="TASKS", type=options.PATH)
@OUTPUT
@options.workers
@options.limit
@option(
    "--tests",
    "most",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    shown_default="1",
    help="FAIL_TO_PASS tests of each task.",
)
@SANDBOX
@FALLBACK
def tasks_verb(
    file: Path, output: Path, workers: int, limit: int | None, most: int, **given: Any
) -> None:
    """Record the failing test of tasks before and after the fix.

    TASKS is a file of repository tasks. Both traces are aligned at the first state that differs;
    `forager debug` shows them side by side, and `forager export --format world --traces DIR` adds
    them to attempts at the tasks. --limit counts the tasks.

    \b
    Example:
      forager trace tasks tasks.jsonl -o traces/fixes
    """
    from itertools import islice

    from forager.environments.repository.task import RepositoryTask
    from forager.environments.task import Task
    from forager.records import read_records
    from forager.sandboxes.kinds import sandbox_kind
    from forager.tracing.fixes import FixTracer, FixWriter

    found = (task for task in read_records(file, Task) if isinstance(task, RepositoryTask))
    chosen = list(islice(found, limit))
    if not chosen:
        raise UsageError(
            f"{file} has no task of a repository; `forager tasks mutate-fix` makes some"
        )
    with trace_writer(output) as writer, FixWriter(output, writer) as fixes:
        with Progress("tasks", len(chosen)) as progress:
            sandboxes = sandbox_kind(given["sandbox"])
            tracer = FixTracer(sandboxes, fixes, most, given["fallback"], progress.note)
            made = record_in_parallel(tracer.trace, chosen, workers, writer)
            for done, _ in enumerate(made, 1):
                progress.update(done, kept=fixes.kept)
        print_kept("tests", fixes.kept, writer.reasons)
