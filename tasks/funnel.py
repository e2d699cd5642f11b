"""The tasks of a file, and in a second file what became of every other candidate."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from forager.environments.repository.task import RepositoryTask
from forager.records import R, Record, RecordWriter, read_records, write_records


class Dropped(Record):
    """A candidate that became no task, with the reason."""

    repo: str
    commit: str
    stage: str
    """Where it was dropped: image, tests, task."""
    reason: str


class Counts(Record):
    """How many commits of a history came how far."""

    repo: str
    counts: dict[str, int]


class Funnel:
    """Appends tasks to a file, and dropped candidates to NAME.funnel.jsonl."""

    def __init__(self, output: Path, repo: str) -> None:
        dropped = funnel_path(output)
        self._repo, self._output = repo, output
        self._images: set[str] = set()
        self._dropped = {drop.commit: drop for drop in _read(dropped, Dropped) if drop.repo == repo}
        self._made: dict[str, str] = {}
        for task in _read(output, RepositoryTask):
            if task.repo == repo and task.fix:
                self._note(task)
        self._tasks, self._drops = RecordWriter(output), RecordWriter(dropped)

    def knows(self, commit: str) -> bool:
        """Whether a candidate is decided."""
        return commit in self._dropped or commit in self._made.values()

    def add(self, task: RepositoryTask) -> None:
        """Keep a task, unless it is kept already."""
        if task.instance_id not in self._made:
            self._tasks.append(task)
            self._note(task)

    def _note(self, task: RepositoryTask) -> None:
        self._made[task.instance_id] = task.fix.commit if task.fix else ""
        self._images.add(task.image)

    def drop(self, commit: str, stage: str, reason: str) -> None:
        """Record why a candidate became no task."""
        drop = Dropped(repo=self._repo, commit=commit, stage=stage, reason=reason)
        self._drops.append(drop)
        self._dropped[commit] = drop

    @property
    def made(self) -> int:
        """How many tasks of the repository there are."""
        return len(self._made)

    def whole(self, counts: Counter[str]) -> Counter[str]:
        """The counts with tasks, their images and what was dropped, which is kept, too."""
        counts = counts + Counter(
            f"{drop.stage}: {drop.reason.partition(':')[0]}" for drop in self._dropped.values()
        )
        counts["tasks"], counts["images"] = len(self._made), len(self._images)
        known = {row.repo: row for row in _read(counts_path(self._output), Counts)}
        known[self._repo] = Counts(repo=self._repo, counts=dict(counts))
        write_records(counts_path(self._output), known.values())
        return counts

    def close(self) -> None:
        """Close the files."""
        self._tasks.close()
        self._drops.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def funnel_path(output: Path) -> Path:
    """Where the dropped candidates of a tasks file are kept."""
    return output.with_name(f"{output.stem}.funnel.jsonl")


def counts_path(output: Path) -> Path:
    """Where the counts of each history are kept, as the table at the end shows them."""
    return output.with_name(f"{output.stem}.counts.jsonl")


def _read(path: Path, kind: type[R]) -> Iterator[R]:
    return read_records(path, kind) if path.exists() else iter(())
