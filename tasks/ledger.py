"""The tasks of a file and the rejected candidates: what an earlier run has decided."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, Self

from forager.environments.repository.task import RepositoryTask
from forager.errors import UsageError
from forager.images.image import Image
from forager.mutation.candidates import Candidate
from forager.records import Record, RecordWriter, read_records


def no_progress(done: int, **counts: int) -> None:
    """Implements OnTaskProgress for programs that show none."""
    del done, counts


class OnTaskProgress(Protocol):
    """Called after each candidate."""

    def __call__(self, done: int, **counts: int) -> None:
        """`done` is the number of tasks; `counts` counts what was tried."""
        ...


class RejectedCandidate(Record):
    """A candidate that became no task, with the reason."""

    instance_id: str
    family: str
    operator: str
    file: str
    function: str
    line: int
    reason: str


class Ledger:
    """Appends tasks of one image to a file, and rejected candidates to NAME.rejected.jsonl."""

    def __init__(self, output: Path, image: Image) -> None:
        self._failing: dict[str, tuple[str, ...]] = {}
        self._reasons: dict[str, str] = {}
        with ExitStack() as stack:
            # Before the files are read: an earlier writer may still append.
            self._tasks = stack.enter_context(RecordWriter(output))
            self._rejections = stack.enter_context(RecordWriter(rejected_path(output)))
            self._read(output, image)
            self._files = stack.pop_all()

    def _read(self, output: Path, image: Image) -> None:
        for task in read_records(output, RepositoryTask):
            if task.repo == image.source.name and task.image != image.reference:
                raise UsageError(
                    f"{output} has tasks of {task.image}, but the project's image is now "
                    f"{image.reference}: give another file with -o"
                )
            self._failing[task.instance_id] = tuple(task.FAIL_TO_PASS)
        self._reasons |= {rejected.instance_id: rejected.reason for rejected in _rejections(output)}

    def knows(self, name: str) -> bool:
        """Whether an earlier or this run decided on a candidate."""
        return name in self._failing or name in self._reasons

    def failing(self, name: str) -> Sequence[str] | None:
        """The failing tests of a task; None for a rejected candidate."""
        return self._failing.get(name)

    def reason(self, name: str) -> str:
        """Why a known candidate was rejected."""
        return self._reasons.get(name, "")

    def add(self, task: RepositoryTask) -> None:
        """Append a task."""
        self._tasks.append(task)
        self._failing[task.instance_id] = tuple(task.FAIL_TO_PASS)

    def reject(self, name: str, candidate: Candidate, reason: str) -> None:
        """Record why a candidate was rejected."""
        fields = candidate.model_dump(include={"family", "operator", "file", "function", "line"})
        self._rejections.append(RejectedCandidate(instance_id=name, reason=reason, **fields))
        self._reasons[name] = reason

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def rejected_path(output: Path) -> Path:
    """The file of the rejected candidates of a tasks file."""
    return output.with_name(f"{output.stem}.rejected.jsonl")


def written_path(output: Path) -> Path:
    """The file of a model's answers for a tasks file."""
    return output.with_name(f"{output.stem}.written.jsonl")


def yields(output: Path) -> dict[str, Counter[str]]:
    """For each family, the number of tasks, and of rejected candidates by reason."""
    table: dict[str, Counter[str]] = {}
    for task in read_records(output, RepositoryTask):
        if task.mutation:
            table.setdefault(task.mutation.family, Counter())["tasks"] += 1
    for rejected in _rejections(output):
        table.setdefault(rejected.family, Counter())[rejected.reason] += 1
    return table


def _rejections(output: Path) -> Iterable[RejectedCandidate]:
    path = rejected_path(output)
    return read_records(path, RejectedCandidate) if path.exists() else ()
