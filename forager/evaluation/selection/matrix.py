"""The matrix of attempts and tests: one sandbox per task and one per different answer.

All tests of an answer run in its sandbox, so a row costs one start, whatever the number of tests.
Rows of tasks are appended to a file as they are done, and a second start takes them from there.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from pydantic import Field

from forager.environments.environment import KnowsReference, OwnTests, TriesAnswers
from forager.environments.registry import environment_of
from forager.environments.task import Task
from forager.errors import UsageError
from forager.evaluation.selection.pool import PooledAttempt
from forager.records import Record, RecordWriter, read_records
from forager.resumed import digest, retried
from forager.sandboxes.sandbox import Limits, SandboxFactory


class TestedAnswer(Record):
    """The row of one answer, which all submissions with the same canonical text share."""

    __test__ = False

    canonical: str = Field(description="Digest of the canonical answer.")
    own: int = Field(description="Own tests that pass.")
    written: list[bool] = Field(description="Whether each counted written test finds no fault.")

    @property
    def passes(self) -> int:
        """All tests that pass."""
        return self.own + sum(self.written)


class TaskMatrix(Record):
    """The rows of one task.

    `right` says of each counted written test whether it finds no fault in the reference; it is for
    measuring, and None where no reference is known. Sandboxes that `right` took are not counted.
    """

    instance_id: str
    key: str = Field(description="Digest of everything that the rows follow from.")
    own: int = Field(description="Own tests that count.")
    written: int = Field(description="Different written tests.")
    kept: int = Field(description="Those of them that show the fault.")
    counted: int = Field(description="Kept tests that count: the most common ones.")
    answers: list[TestedAnswer]
    right: list[bool] | None = None
    sandboxes: int

    @property
    def tested(self) -> int:
        """Answers that were tested; an empty one is not."""
        return sum(row.canonical != digest("") for row in self.answers)

    def passes(self, submission: PooledAttempt) -> int:
        """How many tests a submission passes."""
        wanted = digest(submission.canonical)
        return next(row.passes for row in self.answers if row.canonical == wanted)


class MatrixRequest(Record):
    """Which tests count.

    `counted` is the number of written tests per task, the most common first (CWM: five).
    """

    own: OwnTests = "regression"
    counted: int = Field(5, ge=0)


def matrices(
    tasks: Mapping[str, Task],
    submissions: Mapping[str, Sequence[PooledAttempt]],
    written: Mapping[str, Sequence[str]],
    request: MatrixRequest,
    sandboxes: SandboxFactory,
    path: Path,
    *,
    workers: int = 1,
    on_progress: Callable[[int], None] = lambda _: None,
) -> dict[str, TaskMatrix]:
    """Make the matrices that the file lacks, and return those of all tasks.

    `written` holds programs by task. Raises UsageError if a task's answers cannot be tested, and
    SandboxError if a task loses its sandboxes three times; tasks under way are finished first.
    """
    for task in tasks.values():
        if not isinstance(environment_of(task), TriesAnswers):
            raise UsageError(
                f"{task.instance_id} (environment {task.environment!r}) has no tests to run on "
                "answers; choose by majority, reward or shortest"
            )
    keys = {
        name: _key(task, submissions[name], written.get(name, ()), request)
        for name, task in tasks.items()
    }
    found = _known(path, keys)
    on_progress(len(found))
    with RecordWriter(path) as writer, ThreadPoolExecutor(workers) as threads:

        def make(name: str) -> TaskMatrix:
            made = retried(
                lambda: _matrix(
                    tasks[name],
                    keys[name],
                    submissions[name],
                    written.get(name, ()),
                    request,
                    sandboxes,
                )
            )
            writer.append(made)
            return made

        try:
            futures = [threads.submit(make, name) for name in tasks if name not in found]
            for done in as_completed(futures):
                made = done.result()
                found[made.instance_id] = made
                on_progress(len(found))
        finally:
            threads.shutdown(cancel_futures=True)
    return found


def _known(path: Path, keys: Mapping[str, str]) -> dict[str, TaskMatrix]:
    if not path.exists():
        return {}
    return {
        row.instance_id: row
        for row in read_records(path, TaskMatrix)
        if keys.get(row.instance_id) == row.key
    }


def _key(
    task: Task, submissions: Sequence[PooledAttempt], written: Sequence[str], request: MatrixRequest
) -> str:
    answers = sorted({submission.canonical for submission in submissions})
    parts = [task.model_dump_json(), request.model_dump_json(), *answers, *written]
    return digest("\0".join(map(digest, parts)))


def _matrix(
    task: Task,
    key: str,
    submissions: Sequence[PooledAttempt],
    written: Sequence[str],
    request: MatrixRequest,
    sandboxes: SandboxFactory,
) -> TaskMatrix:
    environment = environment_of(task)
    assert isinstance(environment, TriesAnswers)
    hidden, limits = environment.without_truth(task), environment.limits(task, Limits())
    votes = Counter(written)
    texts = list(votes)
    before = environment.baseline(hidden, request.own, texts, limits, sandboxes)
    kept = [text for text, shows in zip(texts, before.shows, strict=True) if shows]
    counted = sorted(kept, key=lambda text: -votes[text])[: request.counted]
    answers = {submission.canonical: submission.answer for submission in submissions}
    rows = []
    for canonical, answer in answers.items():
        row = TestedAnswer(canonical=digest(canonical), own=0, written=[False] * len(counted))
        if canonical:
            tried = environment.trial(hidden, answer, before.own, counted, limits, sandboxes)
            row = row.model_copy(update={"own": tried.own, "written": tried.written})
        rows.append(row)
    return TaskMatrix(
        instance_id=task.instance_id,
        key=key,
        own=len(before.own),
        written=len(texts),
        kept=len(kept),
        counted=len(counted),
        answers=rows,
        right=_right(task, counted, limits, sandboxes),
        sandboxes=1 + sum(map(bool, answers)),
    )


def _right(
    task: Task, counted: Sequence[str], limits: Limits, sandboxes: SandboxFactory
) -> list[bool] | None:
    """Which of these tests find no fault in the reference, if there is one."""
    environment = environment_of(task)
    if not isinstance(environment, KnowsReference) or not environment.reference(task):
        return None
    if not counted:
        return []
    assert isinstance(environment, TriesAnswers)
    reference = environment.reference(task)
    return environment.trial(task, reference, [], counted, limits, sandboxes).written
