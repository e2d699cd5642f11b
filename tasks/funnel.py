"""The tasks of a file, and what became of every other candidate: kept beside it."""

from collections import Counter
from pathlib import Path
from typing import Self

from forager.environments.task import Task
from forager.records import Record, RecordWriter, read_records


class Dropped(Record):
    """A candidate that is no task, and why."""

    repo: str
    commit: str
    stage: str
    """Where it was dropped: image, tests, task."""
    reason: str


class Funnel:
    """Appends tasks to a file, and dropped candidates to the one beside it."""

    def __init__(self, output: Path, repo: str) -> None:
        beside = funnel_path(output)
        self._repo = repo
        self._dropped = {
            one.commit: one
            for one in (read_records(beside, Dropped) if beside.exists() else ())
            if one.repo == repo
        }
        made = read_records(output, Task) if output.exists() else ()
        self._made = {
            one.instance_id: one.fix.commit for one in made if one.repo == repo and one.fix
        }
        self._tasks, self._drops = RecordWriter(output), RecordWriter(beside)

    def knows(self, commit: str) -> bool:
        """Whether a candidate is decided."""
        return commit in self._dropped or commit in self._made.values()

    def add(self, task: Task) -> None:
        """Keep a task, unless it is kept already."""
        if task.instance_id not in self._made:
            self._tasks.append(task)
            self._made[task.instance_id] = task.fix.commit if task.fix else ""

    def drop(self, commit: str, stage: str, reason: str) -> None:
        """Keep why a candidate is no task."""
        one = Dropped(repo=self._repo, commit=commit, stage=stage, reason=reason)
        self._drops.append(one)
        self._dropped[commit] = one

    @property
    def made(self) -> int:
        """How many tasks of the repository there are."""
        return len(self._made)

    def stages(self) -> Counter[str]:
        """How many candidates were dropped, by stage and reason without its particulars."""
        return Counter(
            f"{one.stage}: {one.reason.partition(':')[0]}" for one in self._dropped.values()
        )

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
