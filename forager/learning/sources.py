"""Runs and files of attempts as inputs, identified by digests."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Self

from forager.environments.task import Task
from forager.errors import StoreError
from forager.records import Record, locate_records, parse_record, read_records
from forager.trajectories.acceptance import Acceptance
from forager.trajectories.choice import Choice
from forager.trajectories.index import ALL, Places, sample
from forager.trajectories.record import Trajectory
from forager.trajectories.reproduction import Reproduction, results_path
from forager.trajectories.shards import SUFFIX
from forager.trajectories.store import open_index
from forager.trajectories.summary import Summary

_BLOCK = 1 << 20  # bytes read at a time


class Artifact(Record):
    """An input or output of a stage: a run, a file of attempts, a data set or a model."""

    path: str
    digest: str


class Sources:
    """Several runs or files of attempts, read as one. A context manager, for one thread.

    Ids are unique: if an earlier run has an attempt of the same id, `~` and the number of the run
    are appended. Suspect attempts that a person accepted count as resolved, or all with
    `accept_suspect`. Raises UsageError for a path that is neither a run nor a file of attempts.
    """

    def __init__(self, paths: Sequence[Path], *, accept_suspect: bool = False) -> None:
        self.paths = list(paths)
        self._stack = ExitStack()
        try:
            self._indexes = [
                self._stack.enter_context(open_index(path, accept_suspect=accept_suspect))
                for path in paths
            ]
        except BaseException:
            self._stack.close()
            raise

    def records(self) -> list[Artifact]:
        """The sources with their digests."""
        return [Artifact(path=str(path), digest=digest(path)) for path in self.paths]

    def places(
        self,
        choice: Choice = ALL,
        *,
        limit: int | None = None,
        drawn: int | None = None,
        seed: int = 0,
    ) -> "list[Places[int]]":
        """Places of the attempts of each source: the first `limit`, or `drawn` by the seed."""
        if drawn is not None:
            return sample(self._indexes, drawn, seed, choice)
        chosen = []
        for index in self._indexes:
            chosen.append(index.places(choice, limit=limit))
            limit = None if limit is None else limit - len(chosen[-1])
        return chosen

    def summaries(self, number: int, places: "Places[int]") -> Iterator[Summary]:
        """Yield summaries of the attempts at these places of a source.

        Raises StoreError if the source has changed since the places were taken.
        """
        count = 0
        for summary in self._indexes[number].summaries(places):
            count += 1
            id = self._id(number, summary.id)
            yield summary if id == summary.id else summary.model_copy(update={"id": id})
        if count < len(places):
            raise StoreError(f"{self.paths[number]} has changed in the meantime; run this again")

    def trajectories(self, number: int, places: "Places[int]") -> Iterator[Trajectory]:
        """Yield the attempts at these places of a source."""
        for attempt in self._indexes[number].trajectories(places):
            id = self._id(number, attempt.id)
            yield attempt if id == attempt.id else attempt.model_copy(update={"id": id})

    def tasks(self) -> Iterator[Task]:
        """Yield the tasks that are saved next to the attempts; the first of each id."""
        for path, offset in self._tasks.values():
            yield _task(path, offset)

    def task(self, id: str) -> Task | None:
        """The task with this id, if it is saved next to the attempts."""
        place = self._tasks.get(id)
        return _task(*place) if place else None

    @cached_property
    def _tasks(self) -> dict[str, tuple[Path, int]]:
        """File and offset of each task, by id."""
        places: dict[str, tuple[Path, int]] = {}
        for path in self.paths:
            file = (path if path.is_dir() else path.parent) / "tasks.jsonl"
            for offset, _, task in locate_records(file, Task) if file.is_file() else ():
                places.setdefault(task.instance_id, (file, offset))
        return places

    def reproductions(self) -> Iterator[Reproduction]:
        """Yield results of running attempts again; the last one of an attempt counts."""
        for number, path in enumerate(self.paths):
            file = results_path(path)
            for result in read_records(file, Reproduction) if file.is_file() else ():
                yield result.model_copy(update={"id": self._id(number, result.id)})

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
    """blake2b over the attempts of a run or file, results of running them again, and acceptances.

    It depends on the stored bytes, not on the names of the shards.
    """
    shards = sorted((path / "trajectories").glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    hashed = blake2b(digest_size=16)
    for file in [*shards, results_path(path)]:
        if file.is_file():
            with file.open("rb") as opened:
                while block := opened.read(_BLOCK):
                    hashed.update(block)
    for id in sorted(Acceptance(path).ids):
        hashed.update(f"accepted {id}\n".encode())
    return hashed.hexdigest()


def _task(path: Path, offset: int) -> Task:
    with path.open("rb") as file:
        file.seek(offset)
        return parse_record(Task, file.readline())
