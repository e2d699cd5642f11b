"""`forager trace`: record what programs, functions and tests do."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.batch import make_all, raise_failures, succeeded
from forager.cli.console import say
from forager.cli.image import images_of
from forager.cli.narrate import narrate
from forager.cli.progress import Progress
from forager.cli.trace_tasks import tasks_verb
from forager.cli.tracing import (
    FALLBACK,
    OUTPUT,
    SANDBOX,
    asked_model,
    opened_sandbox,
    print_counts,
    print_kept,
    record_in_parallel,
    trace_writer,
)
from forager.cli.verb import Group, Verb, option
from forager.errors import ForagerError, UsageError

if TYPE_CHECKING:
    from forager.images.image import Image
    from forager.tracing.functions import FunctionTracer
    from forager.tracing.store import TraceWriter
    from forager.tracing.suites import TracedSuite

_MOST_COMMITS = 4  # of a repository, as CWM took


@click.group(cls=Group)
def trace() -> None:
    """Record executions: lines, calls, and how the variables change."""


@click.command(cls=Verb)
@click.argument("programs", metavar="DIR|FILE.jsonl", type=options.PATH)
@OUTPUT
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
@SANDBOX
@FALLBACK
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

    jobs = list(islice(jobs_of(read_programs(programs), most_inputs), limit))
    if not jobs:
        raise UsageError(f"{programs} holds no program with an input")
    with trace_writer(output) as writer:
        setup = TestSetup(workdir="/tmp", python="python3")
        image = given["image"] or _base()

        def record(jobs: list[Any]) -> None:
            with opened_sandbox(given["sandbox"], image, 4 << 30) as sandbox:
                tracer = SandboxRecorder(sandbox, setup, given["fallback"])
                trace_programs(tracer, jobs, writer, str(programs), LIMITS)

        left = [job for job in jobs if job.id not in writer.ids]
        done = len(jobs) - len(left)
        with Progress("runs", len(jobs), start=done) as progress:
            _record_batches(record, list(batches(left)), workers, progress, done, writer)
        print_kept("runs", writer.kept, writer.reasons)


@click.command(cls=Verb)
@click.argument("sources", metavar="SOURCE|images.jsonl…", nargs=-1, required=True)
@OUTPUT
@options.workers
@options.limit
@option(
    "--commits",
    metavar="N",
    type=click.IntRange(1, _MOST_COMMITS),
    help="Record N commits all over the history of each SOURCE, at most 4. Commits whose image "
    "cannot be built are left out, and tests that do the same as at another commit.",
)
@SANDBOX
@FALLBACK
def suites(
    sources: tuple[str, ...],
    output: Path,
    workers: int,
    limit: int | None,
    commits: int | None,
    **given: Any,
) -> None:
    """Record each test of a project.

    A test runs untraced and twice traced; it gives a trace if it does the same each time. --limit
    counts the tests of each project.

    \b
    Examples:
      forager trace suites pypi:toolz -o traces/toolz
      forager trace suites https://github.com/pytoolz/toolz -o traces/history --commits 4
    """
    from forager.tracing.recording import SandboxRecorder
    from forager.tracing.suites import SuiteTracer, batches

    with trace_writer(output) as writer:
        find = partial(_of_commits, count=commits) if commits else images_of
        images, failed = find(sources, workers=workers)
        for image in images:
            suite = _suite(image, limit)
            work = list(batches(suite, writer))
            done = len(suite.tests) - sum(map(len, work))
            with Progress(image.source.name, len(suite.tests), start=done) as progress:
                recorder = SuiteTracer(suite, writer, say=progress.note)

                def record(
                    tests: list[str], image: "Image" = image, recorder: SuiteTracer = recorder
                ) -> None:
                    with opened_sandbox(
                        given["sandbox"], image.reference, _memory(image)
                    ) as sandbox:
                        recorder.trace(
                            SandboxRecorder(sandbox, image.setup, given["fallback"]), tests
                        )

                _record_batches(record, work, workers, progress, done, writer)
        print_kept("runs", writer.kept, writer.reasons)
    raise_failures([*images, *failed])


@click.command(cls=Verb)
@click.argument("sources", metavar="SOURCE|images.jsonl…", nargs=-1, required=True)
@OUTPUT
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
@option(
    "-m",
    "--model",
    metavar="NAME",
    heading=options.AUTHOR,
    help="Model that writes inputs for functions with too few.",
)
@options.author_url
@options.author_key_env
@SANDBOX
@FALLBACK
def functions(
    sources: tuple[str, ...], output: Path, workers: int, limit: int | None, **given: Any
) -> None:
    """Record calls of a project's functions.

    The inputs are those that the tests pass, changes of them, and values from pools. A call must
    return, and do the same again; of many calls those are kept that reach the most lines, then
    those that return something new. A model (-m) writes inputs for functions with fewer than five
    calls, or three results. --limit counts the functions of each project.

    \b
    Example:
      forager trace functions pypi:toolz -o traces/toolz-functions
    """
    from forager.tracing.functions import FunctionTracer, FunnelFile

    with trace_writer(output) as writer, asked_model(given, output) as write:
        funnel = FunnelFile(output)
        images, failed = images_of(sources, workers)
        with Progress("projects", len(images)) as progress:

            def record(image: "Image") -> None:
                recorder = FunctionTracer(
                    _suite(image, None), writer, funnel, given["count"],
                    most=limit or 1000, say=progress.note, write=write,
                )  # fmt: skip
                _record_functions(recorder, image, given)

            for done, _ in enumerate(record_in_parallel(record, images, workers, writer), 1):
                progress.update(done, functions=len(funnel.functions), kept=writer.kept)
        print_counts("functions left after each step", "functions", funnel.steps())
        funnel.close()
    raise_failures([*images, *failed])


def _record_functions(recorder: "FunctionTracer", image: "Image", given: dict[str, Any]) -> None:
    from forager.tracing.recording import SandboxRecorder

    with opened_sandbox(given["sandbox"], image.reference, _memory(image)) as sandbox:
        recorder.trace(SandboxRecorder(sandbox, image.setup, given["fallback"]))


def _record_batches(
    record: Any,
    batches: list[Any],
    workers: int,
    progress: Progress,
    done: int,
    writer: "TraceWriter",
) -> None:
    """Record batches; `done` counts what an earlier process did."""
    for batch in record_in_parallel(record, batches, workers, writer):
        done += len(batch)
        progress.update(done, kept=writer.kept)


def _of_commits(
    sources: tuple[str, ...], workers: int, count: int
) -> "tuple[list[Image], list[Image | ForagerError]]":
    """The images of commits of each source's history; those that cannot be built are no failures.

    Raises UsageError for a file of images, and the error of a source of which none can be built.
    """
    from forager.images.build import build
    from tasks.history import open_history, spread

    if files := [source for source in sources if source.endswith(".jsonl")]:
        raise UsageError(f"--commits needs the history of a path or git URL, not {files[0]}")
    found = [commit for source in sources for commit in spread(open_history(source), count)]
    if not found:
        raise UsageError(f"{', '.join(sources)}: no commit changes code or tests")

    def make(source: str, progress: Progress) -> "Image":
        return build(source, report=lambda step: progress.note(f"{source}: {step}"))

    built = make_all("images", found, make, workers)
    if not (images := succeeded(built)):
        raise_failures(built)
    return images, []


def _base() -> str:
    from forager.images.base import ensure_base
    from forager.sandboxes.engine import connect

    return ensure_base(connect(), report=say)


def _memory(image: "Image") -> int:
    return max(image.recipe.memory, 4 << 30)


def _suite(image: "Image", limit: int | None) -> "TracedSuite":
    from forager.tracing.suites import TracedSuite

    commit = image.source.commit
    return TracedSuite(
        reference=image.reference,
        tests=image.passing[:limit],
        test_seconds=image.test_seconds,
        arguments=image.setup.arguments,
        licence=image.source.licence,
        image_digest=image.digest,
        labels={"project": image.source.name, **({"commit": commit} if commit else {})},
    )


trace.add_command(programs_verb, "programs")
trace.add_command(suites)
trace.add_command(functions)
trace.add_command(tasks_verb, "tasks")
trace.add_command(narrate)
