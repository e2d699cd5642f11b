"""The runs and files of attempts that something is made from, and what they were by digest."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Self

from forager.environments.task import Task
from forager.errors import StoreError, UsageError
from forager.records import Record, locate_records, read_records
from forager.trajectories.choice import Choice
from forager.trajectories.index import ALL, Index, Places, sample
from forager.trajectories.record import Trajectory
from forager.trajectories.reproduction import Reproduction, results_path
from forager.trajectories.shards import SUFFIX
from forager.trajectories.store import Run
from forager.trajectories.summary import Summary

_BLOCK = 1 << 20  # bytes read at a time


class Source(Record):
    """A run, or a file of attempts, as it was read. `digest` is of the attempts' bytes."""

    path: str
    digest: str


class Sources:
    """Several runs or files of attempts, read as one. A context manager, for one thread.

    An attempt whose id an earlier run has too gets the number of its run behind its id, so that
    ids are unique here. Raises UsageError for what is no run and no file of attempts.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self._stack = ExitStack()
        try:
            self._indexes = [self._stack.enter_context(_index(path)) for path in paths]
        except BaseException:
            self._stack.close()
            raise

    def records(self) -> list[Source]:
        """What the sources are."""
        return [Source(path=str(path), digest=digest(path)) for path in self.paths]

    def places(
        self,
        choice: Choice = ALL,
        *,
        limit: int | None = None,
        drawn: int | None = None,
        seed: int = 0,
    ) -> "list[Places[int]]":
        """The places of the attempts of each source: the first ones, or so many drawn."""
        if drawn is not None:
            return sample(self._indexes, drawn, seed, choice)
        chosen = []
        for index in self._indexes:
            chosen.append(index.places(choice, limit=limit))
            limit = None if limit is None else limit - len(chosen[-1])
        return chosen

    def summaries(self, number: int, places: "Places[int]") -> Iterator[Summary]:
        """The attempts at these places of a source, in one line each.

        Raises StoreError where the source was written to so that some are elsewhere now.
        """
        count = 0
        for one in self._indexes[number].summaries(places):
            count += 1
            id = self._id(number, one.id)
            yield one if id == one.id else one.model_copy(update={"id": id})
        if count < len(places):
            raise StoreError(f"{self.paths[number]} was changed meanwhile; run this again")

    def trajectories(self, number: int, places: "Places[int]") -> Iterator[Trajectory]:
        """The attempts at these places of a source, one at a time."""
        for one in self._indexes[number].trajectories(places):
            id = self._id(number, one.id)
            yield one if id == one.id else one.model_copy(update={"id": id})

    def tasks(self) -> Iterator[Task]:
        """The tasks, as far as they are at hand; of those of one name the first."""
        for path, offset in self._tasks.values():
            yield _task(path, offset)

    def task(self, id: str) -> Task | None:
        """The task of this name, where it is at hand."""
        place = self._tasks.get(id)
        return _task(*place) if place else None

    @cached_property
    def _tasks(self) -> dict[str, tuple[Path, int]]:
        """Where the tasks lie: file and offset, by name."""
        places: dict[str, tuple[Path, int]] = {}
        for path in self.paths:
            file = (path if path.is_dir() else path.parent) / "tasks.jsonl"
            for offset, _, task in locate_records(file, Task) if file.is_file() else ():
                places.setdefault(task.instance_id, (file, offset))
        return places

    def reproductions(self) -> Iterator[Reproduction]:
        """What came of running attempts again; of an attempt the last one holds."""
        for number, path in enumerate(self.paths):
            file = results_path(path)
            for one in read_records(file, Reproduction) if file.is_file() else ():
                yield one.model_copy(update={"id": self._id(number, one.id)})

    def close(self) -> None:
        """Close the indexes."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _id(self, number: int, id: str) -> str:
        taken = any(index.matching(id)[:1] == [id] for index in self._indexes[:number])
        return f"{id}~{number + 1}" if taken else id


def digest(path: Path) -> str:
    """The digest of a run's or a file's attempts, and of what is said of them by running again.

    Of the bytes as they lie there, whatever the names of the shards.
    """
    shards = sorted((path / "trajectories").glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    hashed = blake2b(digest_size=16)
    for file in [*shards, results_path(path)]:
        if file.is_file():
            with file.open("rb") as opened:
                while block := opened.read(_BLOCK):
                    hashed.update(block)
    return hashed.hexdigest()


def _task(path: Path, offset: int) -> Task:
    with path.open("rb") as file:
        file.seek(offset)
        return Task.model_validate_json(file.readline())


def _index(path: Path) -> Index:
    if path.is_dir():
        return Run(path).index()
    if not path.is_file():
        raise UsageError(f"{path} is no run and no file of attempts")
    return Index(lambda: [path])
