"""What the verbs of `forager trace` share."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forager.cli import options
from forager.cli.batch import terminable
from forager.cli.console import print_table, say
from forager.cli.models import open_author
from forager.cli.verb import option
from forager.errors import ForagerError

if TYPE_CHECKING:
    from threading import Event

    from forager.tracing.asking import WrittenCalls
    from forager.tracing.store import TraceWriter
    from tasks.author import Author

SANDBOX = options.sandbox("Where the code runs.")
FALLBACK = option(
    "--fallback",
    is_flag=True,
    help="Use the recorder in Python, which is slower and records no threads.",
)
OUTPUT = options.output("DIR", "Directory of the traces; the same command goes on with it.")


@contextmanager
def trace_writer(output: Path) -> Iterator["TraceWriter"]:
    """A directory of traces, which no other process writes.

    Raises UsageError, and at the end ForagerError if sandboxes were lost.
    """
    from forager.locks import claimed_output
    from forager.tracing.store import TraceWriter

    with terminable(), claimed_output(output), TraceWriter(output) as writer:
        yield writer
    if lost := writer.lost:
        raise ForagerError(
            f"{len(lost):,} parts of the work were lost to infrastructure, the last because "
            f"{lost[-1]}; run again to record them"
        )


@contextmanager
def asked_model(given: dict[str, Any], output: Path) -> Iterator["WrittenCalls | None"]:
    """What asks the model of -m for calls of functions; None without one."""
    from forager.trajectories.record import Sampling

    with open_author(given, output, Sampling()) as author:
        if author is None:
            yield None
            return
        yield lambda question: author.text(question, lambda _: "", 1)[0]
        say_paid(author)


def say_paid(author: "Author") -> None:
    """Print what a model has read and written."""
    if author.paid.completion_tokens:
        paid = author.paid
        say(f"{paid.prompt_tokens:,} tokens read and {paid.completion_tokens:,} written")


@contextmanager
def opened_sandbox(kind: str, image: str, memory: int) -> Iterator[Any]:
    """A sandbox of a kind, with so many bytes of memory. Raises SandboxError."""
    from forager.sandboxes.kinds import sandbox_kind
    from forager.sandboxes.sandbox import Limits

    sandbox = sandbox_kind(kind)(image, limits=Limits(memory=memory))
    try:
        yield sandbox
    finally:
        sandbox.close()


def record_in_parallel(
    record: Any, items: Iterable[Any], workers: int, writer: "TraceWriter"
) -> Iterator[Any]:
    """As `in_parallel`; what loses its sandboxes is recorded again, and at last left out."""
    from threading import Event

    from forager.resumed import Lost, made_or_lost

    ended = Event()

    def unless_ended(item: Any) -> None:
        if not ended.is_set():  # else what is lost was interrupted
            record(item)

    def work(item: Any) -> None:
        made = made_or_lost(lambda: unless_ended(item))
        if isinstance(made, Lost):
            writer.lost.append(made.why)

    return in_parallel(work, items, workers, ended)


def in_parallel(
    work: Any, items: Iterable[Any], workers: int, ended: "Event | None" = None
) -> Iterator[Any]:
    """Call a function with each item; yield the items that are done, as they are.

    Few items are taken ahead of the work. The first error ends it, when the running work has ended,
    which `ended` tells it.
    """
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    left = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        try:
            running = {pool.submit(work, item): item for item in islice(left, 2 * workers)}
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    item = running.pop(future)
                    future.result()
                    running |= {pool.submit(work, other): other for other in islice(left, 1)}
                    yield item
        finally:
            if ended is not None:
                ended.set()
            pool.shutdown(wait=False, cancel_futures=True)


def print_kept(what: str, kept: int, reasons: Counter[str]) -> None:
    """Print a table of what was kept, and why the rest was not."""
    print_counts("", what, Counter({"kept": kept}) + reasons)


def print_counts(title: str, what: str, counts: Counter[str]) -> None:
    """Print a table of counts."""
    from rich.table import Table

    table = Table(title, what, box=None)
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    print_table(table)
