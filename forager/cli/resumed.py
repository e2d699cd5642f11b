"""Records that are made once: a file keeps them, and the same command makes those that it lacks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from forager.cli.progress import Progress

if TYPE_CHECKING:
    from forager.records import Record

R = TypeVar("R", bound="Record")


def resumed(
    what: str,
    names: Sequence[str],
    make: Callable[[str], R],
    path: Path,
    kind: type[R],
    name_of: Callable[[R], str],
    workers: int,
) -> dict[str, R]:
    """The records of these names; those that the file lacks are made now, by several threads."""
    from concurrent.futures import ThreadPoolExecutor

    from forager.records import RecordWriter, read_records
    from forager.threads import in_order

    with RecordWriter(path) as writer:
        found = {name_of(record): record for record in read_records(path, kind)}
        todo = [name for name in names if name not in found]
        start = len(names) - len(todo)
        with (
            Progress(what, len(names), start=start) as progress,
            ThreadPoolExecutor(workers) as pool,
        ):
            made = in_order(pool, make, todo, 2 * workers)
            for done, (name, record) in enumerate(made, start + 1):
                writer.append(record)
                found[name] = record
                progress.update(done)
    return {name: found[name] for name in names}
