"""The tasks of a file, and in a second file what became of every other candidate."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from forager.environments.repository.task import RepositoryTask
from forager.records import R, Record, RecordWriter, read_records, write_records


class DroppedCandidate(Record):
    """A candidate that became no task, with the reason."""

    repo: str
    commit: str
    stage: str
    """The stage that dropped it: image, tests, task or releases."""
    reason: str


class FunnelCounts(Record):
    """How many commits of a history reached each stage."""

    repo: str
    counts: dict[str, int]


class Funnel:
    """Appends tasks to a file, and dropped candidates to NAME.funnel.jsonl."""

    def __init__(self, output: Path, repo: str) -> None:
        self._repo, self._output = repo, output
        self._images: set[str] = set()
        self._dropped: dict[str, DroppedCandidate] = {}
        self._made: dict[str, str] = {}
        self._texts: Counter[str] = Counter()
        with ExitStack() as stack:
            # Before the files are read: an earlier writer may still append.
            self._tasks = stack.enter_context(RecordWriter(output))
            self._drops = stack.enter_context(RecordWriter(funnel_path(output)))
            self._read()
            self._files = stack.pop_all()

    def _read(self) -> None:
        for drop in _read(funnel_path(self._output), DroppedCandidate):
            if drop.repo == self._repo:
                self._dropped[drop.commit] = drop
        for task in _read(self._output, RepositoryTask):
            if task.repo == self._repo and task.fix:
                self._note(task)

    def knows(self, commit: str) -> bool:
        """Whether an earlier or this run decided on a commit."""
        return commit in self._dropped or commit in self._made.values()

    def add(self, task: RepositoryTask) -> None:
        """Append a task, unless the file has it."""
        if task.instance_id not in self._made:
            self._tasks.append(task)
            self._note(task)

    def _note(self, task: RepositoryTask) -> None:
        self._made[task.instance_id] = task.fix.commit if task.fix else ""
        self._images.add(task.image)
        if revealed := task.fix.revealed if task.fix else None:
            self._texts["sentences left out"] += revealed.left_out
            self._texts.update(f"{origin} reveals the fix" for origin in revealed.refused)

    def drop(self, commit: str, stage: str, reason: str) -> None:
        """Record why a candidate became no task."""
        drop = DroppedCandidate(repo=self._repo, commit=commit, stage=stage, reason=reason)
        self._drops.append(drop)
        self._dropped[commit] = drop

    @property
    def made(self) -> int:
        """The number of the repository's tasks in the file."""
        return len(self._made)

    def whole(self, counts: Counter[str]) -> Counter[str]:
        """Add tasks, images and drop reasons to the counts, and write them to COUNTS."""
        counts = counts + Counter(
            f"{drop.stage}: {drop.reason.partition(':')[0]}" for drop in self._dropped.values()
        )
        counts += self._texts
        counts["tasks"], counts["images"] = len(self._made), len(self._images)
        known = {row.repo: row for row in _read(counts_path(self._output), FunnelCounts)}
        known[self._repo] = FunnelCounts(repo=self._repo, counts=dict(counts))
        write_records(counts_path(self._output), known.values())
        return counts

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def funnel_path(output: Path) -> Path:
    """The path of the dropped candidates of a tasks file."""
    return output.with_name(f"{output.stem}.funnel.jsonl")


def counts_path(output: Path) -> Path:
    """The path of the counts of each history, which the final table shows."""
    return output.with_name(f"{output.stem}.counts.jsonl")


def _read(path: Path, kind: type[R]) -> Iterator[R]:
    return read_records(path, kind) if path.exists() else iter(())
