"""Audits a run: makes stronger tests for a sample of its successes, and grades these with them."""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

from forager.config import save_settings
from forager.environments.task import Task
from forager.errors import UsageError
from forager.learning.bootstrap.split import clusters
from forager.learning.rl.layout import RlLayout
from forager.locks import claimed
from forager.mutation.candidates import Families
from forager.records import Record
from forager.resumed import OnProgress, RecordFile, Resumed, digest, resumed
from forager.rollout.sandboxes import Sandboxes
from forager.sandboxes.kinds import sandbox_kind
from forager.trajectories.choice import Choice
from forager.trajectories.store import open_index, tasks_of
from forager.trajectories.summary import Summary
from tasks.audited import (
    ATTEMPTS,
    MAY_CHANGE,
    TESTS,
    AuditedAttempt,
    AuditSettings,
    RunAudit,
    audit,
    audit_order,
)
from tasks.strengthening import Effort, StrongerTests, failures, lacking, strengthen

R = TypeVar("R", bound=Record)


def audit_run(
    settings: AuditSettings,
    output: Path,
    families: Families,
    written: Mapping[str, Sequence[str]] = {},
    on_progress: OnProgress = lambda *_: None,
) -> RunAudit:
    """Audit a run; the same call resumes, and makes only what the directory `output` lacks.

    `families` make the mutants; `written` holds tests that others wrote, by the task that they are
    about. What loses its sandboxes again and again is in `lost` of the result; the next call makes
    it. Raises UsageError for a run without successes or without their tasks, and if `output` has
    other settings or another process writes it.
    """
    source = attempts_of(Path(settings.run))
    successes = _successes(source, settings.run)
    settings = settings.model_copy(update={"written_digest": _digest(written)})
    sandboxes = Sandboxes(sandbox_kind(settings.sandbox))
    try:
        with claimed(output):
            save_settings(output, settings, MAY_CHANGE)
            auditing = _Audit(settings, output, families, written, sandboxes, on_progress)
            return auditing.result(source, successes)
    finally:
        sandboxes.close()


def attempts_of(run: Path) -> Path:
    """The run or file that holds the attempts: one of `forager rl` has them in a run of its own."""
    layout = RlLayout(run)
    return layout.attempts if layout.ledger.is_file() else run


def _digest(written: Mapping[str, Sequence[str]]) -> str:
    texts = sorted((task, list(programs)) for task, programs in written.items())
    return digest(repr(texts)) if texts else ""


def _successes(source: Path, run: str) -> list[Summary]:
    with open_index(source) as index:
        found = list(index.summaries(index.places(Choice(resolved=True), sort="id")))
    if not found:
        raise UsageError(
            f"{run} has no success to audit; `forager list {source}` shows its attempts"
        )
    return found


def _tasks(source: Path, successes: Sequence[Summary]) -> dict[str, Task]:
    """The tasks of the successes. Raises UsageError."""
    tasks = tasks_of(source)
    names = {attempt.instance_id for attempt in successes}
    if missing := names - tasks.keys():
        raise UsageError(f"{source} lacks the task {min(missing)}; add it to its tasks.jsonl")
    return {name: tasks[name] for name in sorted(names)}


class _Audit:
    """One audit, whose records are in the directory `output`."""

    def __init__(
        self,
        settings: AuditSettings,
        output: Path,
        families: Families,
        written: Mapping[str, Sequence[str]],
        sandboxes: Sandboxes,
        on_progress: OnProgress,
    ) -> None:
        self._settings, self._output = settings, output
        self._families, self._written = families, written
        self._sandboxes, self._on_progress = sandboxes, on_progress
        self._lost: dict[str, str] = {}

    def result(self, source: Path, successes: Sequence[Summary]) -> RunAudit:
        """Make the tests that the directory lacks, and grade the attempts that it lacks.

        Attempts whose tasks have no stronger tests make place for others; what infrastructure lost
        keeps its place, so that the next start audits the same attempts.
        """
        tasks = _tasks(source, successes)
        lacks = {id: lacking(task) for id, task in tasks.items()}
        able = [attempt for attempt in successes if not lacks[attempt.instance_id]]
        left, chosen = audit_order(able, self._settings.seed), list[Summary]()
        tests: dict[str, StrongerTests] = {}
        while left and (lack := self._settings.sample - len(chosen)) > 0:
            taken, left = left[:lack], left[lack:]
            new = dict.fromkeys(attempt.instance_id for attempt in taken)
            known = tests.keys() | self._lost.keys()
            tests |= self._stronger([tasks[id] for id in new if id not in known])
            testless = {id for id, found in tests.items() if not found.count}
            chosen += [attempt for attempt in taken if attempt.instance_id not in testless]
        tested = [attempt for attempt in chosen if attempt.instance_id in tests]
        audited = self._graded(source, tested, tasks, tests)
        near = clusters(list(tasks.values()), "function")
        found = audit(self._settings.run, successes, tasks, lacks, tests, audited, near)
        return found.model_copy(update={"lost": self._lost})

    def _stronger(self, needed: Sequence[Task]) -> dict[str, StrongerTests]:
        """The stronger tests of tasks by their ids."""
        effort = Effort(self._settings.cases, self._settings.mutants, self._settings.seed)
        tasks = {digest(task.model_dump_json()): task for task in needed}

        def make(key: str) -> StrongerTests:
            texts = self._written.get(tasks[key].instance_id, ())
            made = strengthen(tasks[key], texts, self._families, effort, self._sandboxes)
            return made.model_copy(update={"key": key})

        found = self._resumed("tasks", list(tasks), make, TESTS, StrongerTests)
        self._lost |= {tasks[key].instance_id: why for key, why in found.lost.items()}
        return {tests.instance_id: tests for tests in found.records.values()}

    def _graded(
        self,
        source: Path,
        chosen: Sequence[Summary],
        tasks: Mapping[str, Task],
        tests: Mapping[str, StrongerTests],
    ) -> list[AuditedAttempt]:
        """The attempts with stronger tests, graded with these."""
        with open_index(source) as index:
            given = [
                (attempt.id, attempt.instance_id, index.get(attempt.id).outcome.answer)
                for attempt in chosen
            ]
        todo = {digest(repr((*entry, tests[entry[1]].key))): entry for entry in given}

        def grade(key: str) -> AuditedAttempt:
            id, name, answer = todo[key]
            return AuditedAttempt(
                key=key,
                id=id,
                instance_id=name,
                environment=tasks[name].environment,
                tests=tests[name].count,
                failed=failures(tasks[name], answer, tests[name], self._sandboxes),
            )

        found = self._resumed("attempts", list(todo), grade, ATTEMPTS, AuditedAttempt)
        self._lost |= {todo[key][0]: why for key, why in found.lost.items()}
        return list(found.records.values())

    def _resumed(
        self, what: str, keys: list[str], make: Callable[[str], R], file: str, kind: type[R]
    ) -> Resumed[R]:
        """The records of these keys, in a file of the audit."""
        records = RecordFile(self._output / file, kind, attrgetter("key"))
        return resumed(what, keys, make, records, self._settings.workers, self._on_progress)
