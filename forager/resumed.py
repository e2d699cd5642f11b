"""Records that are made once: a file keeps them, and the same command makes those that it lacks."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from forager.records import Record, RecordWriter, read_records
from forager.threads import in_order

R = TypeVar("R", bound=Record)

OnProgress = Callable[[str, int, int], None]
"""Takes the name of a stage, how many of its records are there, and how many it will have."""


def resumed(
    what: str,
    names: Sequence[str],
    make: Callable[[str], R],
    path: Path,
    kind: type[R],
    name_of: Callable[[R], str],
    workers: int,
    on_progress: OnProgress,
) -> dict[str, R]:
    """The records of these names; those that the file lacks are made now, by several threads."""
    with RecordWriter(path) as writer:
        found = {name_of(record): record for record in read_records(path, kind)}
        todo = [name for name in names if name not in found]
        start = len(names) - len(todo)
        on_progress(what, start, len(names))
        with ThreadPoolExecutor(workers) as pool:
            made = in_order(pool, make, todo, 2 * workers)
            for done, (name, record) in enumerate(made, start + 1):
                writer.append(record)
                found[name] = record
                on_progress(what, done, len(names))
    return {name: found[name] for name in names}
