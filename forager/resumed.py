"""Records that are made once: a file keeps them, and the same command makes those that it lacks.

Infrastructure that fails is no record: what loses its sandboxes is made again, and at last left to
the next command.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from forager.errors import ForagerError, ImageMissing, SandboxError, TaskError
from forager.records import Record, RecordWriter, read_records
from forager.text import ending
from forager.threads import in_order

T = TypeVar("T")
R = TypeVar("R", bound=Record)

OnProgress = Callable[[str, int, int], None]
"""Takes the name of a stage, how many of its records are there, and how many it will have."""

_TRIES = 3  # of what loses its sandboxes
_NAMED = 3  # of what is lost


class RecordFile(NamedTuple, Generic[R]):
    """A file of records, each with a name."""

    path: Path
    kind: type[R]
    name_of: Callable[[R], str]


class Lost(NamedTuple):
    """What stands for something that lost its sandboxes."""

    why: str


class Resumed(NamedTuple, Generic[R]):
    """Records by name, in the order asked for, and why each of the others was lost."""

    records: dict[str, R]
    lost: dict[str, str]


def resumed(
    what: str,
    names: Sequence[str],
    make: Callable[[str], R],
    file: RecordFile[R],
    workers: int,
    on_progress: OnProgress,
) -> Resumed[R]:
    """The records of these names; those that the file lacks are made now, by several threads.

    Each enters the file as soon as it is made, so the file has them in no order.
    """
    with RecordWriter(file.path) as writer:
        found = {file.name_of(record): record for record in read_records(file.path, file.kind)}
        todo = [name for name in names if name not in found]
        start = len(names) - len(todo)
        lost: dict[str, str] = {}
        on_progress(what, start, len(names))
        with ThreadPoolExecutor(workers) as pool:
            made = in_order(pool, partial(_made, make, writer), todo, 2 * workers)
            for done, (name, result) in enumerate(made, start + 1):
                if isinstance(result, Lost):
                    lost[name] = result.why
                else:
                    found[name] = result
                on_progress(what, done, len(names))
    return Resumed({name: found[name] for name in names if name in found}, lost)


def _made(make: Callable[[str], R], writer: RecordWriter, name: str) -> R | Lost:
    record = made_or_lost(partial(make, name))
    if not isinstance(record, Lost):
        writer.append(record)
    return record


def made_or_lost(make: Callable[[], T]) -> T | Lost:
    """What was made, or why its last sandbox was lost."""
    try:
        return retried(make)
    except SandboxError as error:
        return Lost(ending(str(error)))


def retried(make: Callable[[], T]) -> T:
    """Make something, up to three times if it loses its sandboxes. Raises SandboxError."""
    for _ in range(_TRIES - 1):
        try:
            return make()
        except (ImageMissing, TaskError):  # no other sandbox would help
            raise
        except SandboxError:
            continue
    return make()


def digest(text: str) -> str:
    """A short name for a text, such as for all that a record follows from."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def check_lost(what: str, lost: Mapping[str, str]) -> None:
    """Raise ForagerError if something was lost; `lost` says why by name."""
    if lost:
        few = ", ".join([*lost][:_NAMED]) + (", …" if len(lost) > _NAMED else "")
        raise ForagerError(
            f"{len(lost):,} {what} were lost to infrastructure ({few}), the last because "
            f"{[*lost.values()][-1]}; run again for them"
        )
