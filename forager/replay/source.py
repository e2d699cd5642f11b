"""The attempts of a run or of a file, with their tasks and marks."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from forager.environments.task import Task
from forager.errors import UsageError
from forager.records import LONGEST_LINE, bounded_lines, parse_record
from forager.replay.query import AttemptQuery
from forager.replay.recording import Recording
from forager.trajectories.choice import Choice
from forager.trajectories.index import Index, Places
from forager.trajectories.marks import Marks
from forager.trajectories.store import Run, open_index
from forager.trajectories.summary import Summary


class AttemptSource:
    """The attempts of a run or a file. For one thread, except `said`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index = self._open()
        self.marks = Marks(path)
        self._signature = self._look()

    def chosen(self, choice: Choice, sort: str = "") -> "Places[int]":
        """The places of attempts."""
        return self.index.places(choice, sort)

    def summaries(self, places: "Places[int]") -> list[Summary]:
        """The summaries of attempts."""
        return list(self.index.summaries(places))

    def recording(self, id: str) -> Recording:
        """An attempt in steps. Raises UsageError if the run did not keep it."""
        if self.index.matching(id) != [id]:
            raise UsageError(f"{id} was not kept; infrastructure.jsonl says what was lost")
        trajectory = self.index.get(id)
        return Recording(trajectory, self.task(trajectory.instance_id))

    def others(self, summary: Summary) -> list[Summary]:
        """The other attempts at the same task, by their numbers from this one on."""
        choice = Choice(instance_id=summary.instance_id)
        all = sorted(self.index.summaries(self.chosen(choice)), key=lambda attempt: attempt.attempt)
        place = next((n for n, attempt in enumerate(all) if attempt.id == summary.id), 0)
        return all[place + 1 :] + all[:place]

    def summary(self, id: str) -> Summary | None:
        """The summary of an attempt; None if the run did not keep it."""
        found = self.index.summaries(self.chosen(Choice(ids=frozenset([id]))))
        return next(found, None)

    def task(self, instance_id: str) -> Task | None:
        """A task; reads the file up to its line, and parses that line only."""
        path = (self.path if self.path.is_dir() else self.path.parent) / "tasks.jsonl"
        if not path.is_file():
            return None
        wanted = json.dumps(instance_id, ensure_ascii=False).encode()
        with path.open("rb") as file:
            for _, _, line in bounded_lines(file, LONGEST_LINE):
                if line and wanted in line and line.endswith(b"\n"):
                    task = parse_record(Task, line)
                    if task.instance_id == instance_id:
                        return task
        return None

    def said(
        self, query: AttemptQuery, choice: Choice, wanted: Callable[[], bool]
    ) -> Iterator[str]:
        """Yield the ids of attempts in which the query's texts occur, while `wanted` returns True.

        May be called in a thread: it opens an index of its own.
        """
        texts = [json.dumps(text, ensure_ascii=False)[1:-1].lower().encode() for text in query.says]
        with self._open() as index:
            for summary, line in index.entries(index.places(choice)):
                if not wanted():
                    return
                low = line.lower()
                if all(text in low for text in texts):
                    yield summary.id

    def refresh(self) -> bool:
        """Read what was added to the run or its marks; return whether anything was."""
        changed = self.marks.refresh()
        signature = self._look()
        if changed or signature != self._signature:
            self._signature, changed = signature, True
            self.index.update()
        return changed

    def close(self) -> None:
        """Close the index."""
        self.index.close()

    def _open(self) -> Index:
        return open_index(self.path)

    def _look(self) -> list[tuple[str, int]]:
        """The files of attempts and their sizes."""
        files = Run(self.path).shards() if self.path.is_dir() else [self.path]
        return sorted((file.name, file.stat().st_size) for file in files if file.exists())
