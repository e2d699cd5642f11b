"""`forager trace`: record what programs, functions and tests do."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.batch import terminable
from forager.cli.console import print_table, say
from forager.cli.image import images_of
from forager.cli.progress import Progress
from forager.cli.verb import Group, Verb, option

if TYPE_CHECKING:
    from forager.images.image import Image
    from forager.tracing.functions import FunctionTracer
    from forager.tracing.store import TraceWriter
    from forager.tracing.suites import TracedSuite

_SANDBOX = option(
    "--sandbox",
    type=click.Choice(["docker", "bubblewrap"]),
    default="docker",
    shown_default="docker",
    help="Where the code runs.",
)
_FALLBACK = option(
    "--fallback",
    is_flag=True,
    help="Use the recorder in Python, which is slower and records no threads.",
)
_OUTPUT = options.output("DIR", "Directory of the traces; the same command goes on with it.")


@click.group(cls=Group)
def trace() -> None:
    """Record executions: lines, calls, and how the variables change."""


@click.command(cls=Verb)
@click.argument("programs", metavar="DIR|FILE.jsonl", type=options.PATH)
@_OUTPUT
@options.workers
@options.limit
@option(
    "--inputs",
    "most_inputs",
    metavar="N",
    type=click.IntRange(min=1),
    default=10,
    shown_default="10",
    help="Inputs of each program.",
)
@option(
    "--image",
    metavar="NAME",
    default="",
    shown_default="forager's base image",
    help="Image in which the programs run.",
)
@_SANDBOX
@_FALLBACK
def programs_verb(
    programs: Path, output: Path, workers: int, limit: int | None, most_inputs: int, **given: Any
) -> None:
    """Record programs that read an input and print an answer.

    FILE.jsonl has a program a line: id, source, inputs (stdin, expected), licence. A directory has
    programs NAME.py, with inputs *.in and answers *.ans or *.out next to them, in NAME/, or in
    data/ further up. Each program runs on each input untraced and twice traced. --limit counts the
    runs.

    \b
    Example:
      forager trace programs solutions/ -o traces/solutions -w 4
    """
    from itertools import islice

    from forager.environments.repository.task import TestSetup
    from forager.tracing.programs import LIMITS, batches, jobs_of, read_programs, trace_programs
    from forager.tracing.recording import SandboxRecorder

    with _writer(output) as writer:
        jobs = list(islice(jobs_of(read_programs(programs), most_inputs), limit))
        setup = TestSetup(workdir="/tmp", python="python3")
        image = given["image"] or _base()

        def record(jobs: list[Any]) -> None:
            with _sandbox(given["sandbox"], image, 4 << 30) as sandbox:
                tracer = SandboxRecorder(sandbox, setup, given["fallback"])
                trace_programs(tracer, jobs, writer, str(programs), LIMITS)

        left = [job for job in jobs if job.id not in writer.ids]
        done = len(jobs) - len(left)
        with Progress("runs", len(jobs), start=done) as progress:
            _record_batches(record, list(batches(left)), workers, progress, done, writer)
        _print_dropped(writer)


@click.command(cls=Verb)
@click.argument("sources", metavar="SOURCE|images.jsonl…", nargs=-1, required=True)
@_OUTPUT
@options.workers
@options.limit
@_SANDBOX
@_FALLBACK
def suites(
    sources: tuple[str, ...], output: Path, workers: int, limit: int | None, **given: Any
) -> None:
    """Record each test of a project.

    A test runs untraced and twice traced; it gives a trace if it does the same each time. --limit
    counts the tests of each project.

    \b
    Example:
      forager trace suites pypi:toolz -o traces/toolz
    """
    from forager.tracing.recording import SandboxRecorder
    from forager.tracing.suites import SuiteTracer, batches

    with _writer(output) as writer:
        for image in images_of(sources, workers):
            suite = _suite(image, limit)
            work = list(batches(suite, writer))
            done = len(suite.tests) - sum(map(len, work))
            with Progress(image.source.name, len(suite.tests), start=done) as progress:
                recorder = SuiteTracer(suite, writer, say=progress.note)

                def record(
                    tests: list[str], image: "Image" = image, recorder: SuiteTracer = recorder
                ) -> None:
                    with _sandbox(given["sandbox"], image.reference, _memory(image)) as sandbox:
                        recorder.trace(
                            SandboxRecorder(sandbox, image.setup, given["fallback"]), tests
                        )

                _record_batches(record, work, workers, progress, done, writer)
        _print_dropped(writer)


@click.command(cls=Verb)
@click.argument("sources", metavar="SOURCE|images.jsonl…", nargs=-1, required=True)
@_OUTPUT
@options.workers
@options.limit
@option(
    "--inputs",
    "count",
    metavar="N",
    type=click.IntRange(min=1),
    default=10,
    shown_default="10",
    help="Calls of each function that are kept.",
)
@_SANDBOX
@_FALLBACK
def functions(
    sources: tuple[str, ...], output: Path, workers: int, limit: int | None, **given: Any
) -> None:
    """Record calls of a project's functions.

    The inputs are those that the tests pass, changes of them, and values from pools. A call must
    return, and do the same again; of many calls those are kept that reach the most lines, then
    those that return something new. --limit counts the functions of each project.

    \b
    Example:
      forager trace functions pypi:toolz -o traces/toolz-functions
    """
    from forager.tracing.functions import FunctionTracer, FunnelFile

    with _writer(output) as writer:
        funnel = FunnelFile(output)
        images = images_of(sources, workers)
        with Progress("projects", len(images)) as progress:

            def record(image: "Image") -> None:
                recorder = FunctionTracer(
                    _suite(image, None), writer, funnel, given["count"],
                    most=limit or 1000, say=progress.note,
                )  # fmt: skip
                _record_functions(recorder, image, given)

            for done, _ in enumerate(_in_parallel(record, images, workers), 1):
                progress.update(done, functions=len(funnel.functions), kept=writer.kept)
        _print_counts("functions left after each step", "functions", funnel.steps())
        funnel.close()


@click.command(cls=Verb)
@click.argument("file", metavar="TASKS", type=options.PATH)
@_OUTPUT
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
@_SANDBOX
@_FALLBACK
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
    from forager.errors import UsageError
    from forager.records import read_records
    from forager.sandboxes.kinds import SANDBOXES
    from forager.tracing.fixes import FixTracer, FixWriter

    found = (task for task in read_records(file, Task) if isinstance(task, RepositoryTask))
    chosen = list(islice(found, limit))
    if not chosen:
        raise UsageError(
            f"{file} has no task of a repository; `forager tasks mutate-fix` makes some"
        )
    with _writer(output) as writer, FixWriter(output, writer) as fixes:
        with Progress("tasks", len(chosen)) as progress:
            sandboxes = SANDBOXES[given["sandbox"]]
            tracer = FixTracer(sandboxes, fixes, most, given["fallback"], progress.note)
            for done, _ in enumerate(_in_parallel(tracer.trace, chosen, workers), 1):
                progress.update(done, kept=fixes.kept)
        _print_counts("", "tests", Counter({"kept": fixes.kept}) + writer.reasons)


def _record_functions(recorder: "FunctionTracer", image: "Image", given: dict[str, Any]) -> None:
    from forager.tracing.recording import SandboxRecorder

    with _sandbox(given["sandbox"], image.reference, _memory(image)) as sandbox:
        recorder.trace(SandboxRecorder(sandbox, image.setup, given["fallback"]))


@contextmanager
def _writer(output: Path) -> Iterator["TraceWriter"]:
    from forager.locks import claimed_output
    from forager.tracing.store import TraceWriter

    with terminable(), claimed_output(output), TraceWriter(output) as writer:
        yield writer


@contextmanager
def _sandbox(kind: str, image: str, memory: int) -> Iterator[Any]:
    from forager.sandboxes.kinds import SANDBOXES
    from forager.sandboxes.sandbox import Limits

    sandbox = SANDBOXES[kind](image, limits=Limits(memory=memory))
    try:
        yield sandbox
    finally:
        sandbox.close()


def _record_batches(
    record: Any,
    batches: list[Any],
    workers: int,
    progress: Progress,
    done: int,
    writer: "TraceWriter",
) -> None:
    """Record batches; `done` counts what an earlier process did."""
    for batch in _in_parallel(record, batches, workers):
        done += len(batch)
        progress.update(done, kept=writer.kept)


def _in_parallel(work: Any, items: list[Any], workers: int) -> Iterator[Any]:
    """Call a function with each item; yield the items that are done, as they are.

    The first error ends it, when the running work has ended.
    """
    from concurrent.futures import ThreadPoolExecutor, as_completed

    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(work, item): item for item in items}
        try:
            for future in as_completed(running):
                future.result()
                yield running[future]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _base() -> str:
    from forager.images.base import ensure_base
    from forager.sandboxes.engine import connect

    return ensure_base(connect(), report=say)


def _memory(image: "Image") -> int:
    return max(image.recipe.memory, 4 << 30)


def _suite(image: "Image", limit: int | None) -> "TracedSuite":
    from forager.tracing.suites import TracedSuite

    return TracedSuite(
        reference=image.reference,
        tests=image.passing[:limit],
        test_seconds=image.test_seconds,
        arguments=image.setup.arguments,
        licence=image.source.licence,
        image_digest=image.digest,
        labels={"project": image.source.name},
    )


def _print_dropped(writer: "TraceWriter") -> None:
    _print_counts("", "runs", Counter({"kept": writer.kept}) + writer.reasons)


def _print_counts(title: str, what: str, counts: Counter[str]) -> None:
    from rich.table import Table

    table = Table(title, what, box=None)
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    print_table(table)


trace.add_command(programs_verb, "programs")
trace.add_command(suites)
trace.add_command(functions)
trace.add_command(tasks_verb, "tasks")
