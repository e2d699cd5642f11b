"""The failing test of a task before and after the fix, aligned at the first state that differs.

```
OUT/
  traces.jsonl, sources.jsonl, dropped.jsonl    as all traces (`forager/tracing/store.py`)
  fixes.jsonl                                   one pair of traces a line (`TracedFix`)
```

A pair is on the disk once both traces are.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.workspace import apply_patch, open_task
from forager.errors import TaskError
from forager.records import Record, RecordWriter, read_records
from forager.sandboxes.sandbox import Limits, SandboxFactory
from forager.tracing.aligning import VALUE, TraceSide, align, divergence
from forager.tracing.reader import TraceReader
from forager.tracing.record import Trace
from forager.tracing.recording import SandboxRecorder
from forager.tracing.store import TraceWriter
from forager.tracing.suites import SuiteRecorder, TracedSuite, TracedTest

FIXES = "fixes.jsonl"
SIDES = ("before", "after")
_TEST_SECONDS = 10.0  # that a test may take untraced
_OUTCOMES = {"before": "failed", "after": "passed"}


class FirstDifference(Record):
    """Where the traces before and after a fix diverge."""

    kind: Literal["state", "flow"]
    """`state`: both are at the same step, and values differ; `flow`: they take other steps."""
    before: int | None
    """Index of the event at which the trace stands; None if it has ended."""
    after: int | None
    names: list[str] = []
    """The variables that differ."""
    value: bool = False
    """Whether what is returned, yielded or raised differs."""


class TracedFix(Record):
    """A task's test before and after the fix."""

    instance_id: str
    test: str
    before: str
    """The id of the trace before the fix."""
    after: str
    patch: str
    """The fix."""
    difference: FirstDifference


class FixWriter:
    """Adds pairs of traces to a directory."""

    def __init__(self, directory: Path, traces: TraceWriter) -> None:
        self._traces = traces
        self._fixes = RecordWriter(directory / FIXES)
        self._done = {(fix.instance_id, fix.test) for fix in read_fixes(directory)}

    @property
    def kept(self) -> int:
        """Pairs that are there."""
        return len(self._done)

    def has(self, task: RepositoryTask, test: str) -> bool:
        """Whether a test was tried, at this start or at an earlier one."""
        return (task.instance_id, test) in self._done or _id(task, test) in self._traces.ids

    def add(self, fix: TracedFix, found: list[TracedTest]) -> None:
        """Write both traces, then the pair. Raises StoreError."""
        for made in found:
            assert made.trace is not None
            self._traces.add(made.trace, made.sources)
        self._fixes.append(fix)
        self._done.add((fix.instance_id, fix.test))

    def drop(self, task: RepositoryTask, test: str, reason: str) -> None:
        """Note why a test gives no pair. Raises StoreError."""
        self._traces.drop(_id(task, test), reason)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._fixes.close()


def read_fixes(directory: Path) -> Iterator[TracedFix]:
    """Yield the pairs of a directory."""
    path = directory / FIXES
    return read_records(path, TracedFix) if path.exists() else iter(())


def _id(task: RepositoryTask, test: str, side: str = "") -> str:
    return f"{task.instance_id}::{test}" + (f"::{side}" if side else "")


def difference(before: TraceSide, after: TraceSide) -> FirstDifference | None:
    """Where two traces diverge; None if they do not."""
    pairs = align(before, after)
    place = divergence(pairs)
    if place == len(pairs):
        return None
    pair = pairs[place]
    later = pairs[place:]
    return FirstDifference(
        kind="state" if pair.names else "flow",
        before=next((other.left for other in later if other.left is not None), None),
        after=next((other.right for other in later if other.right is not None), None),
        names=[name for name in pair.names if name != VALUE],
        value=VALUE in pair.names,
    )


@dataclass(frozen=True)
class FixTracer:
    """Records the tests that a task's fix makes pass, in fresh sandboxes."""

    sandboxes: SandboxFactory
    writer: FixWriter
    most: int = 1
    """Tests of each task."""
    fallback: bool = False
    say: Callable[[str], None] = lambda _: None

    def trace(self, task: RepositoryTask) -> None:
        """Record tests before and after the fix, and write those pairs that differ.

        Raises SandboxError.
        """
        chosen = task.FAIL_TO_PASS[: self.most]
        tests = [test for test in chosen if not self.writer.has(task, test)]
        if not tests:
            return
        if task.setup.command:
            for test in tests:
                self.writer.drop(task, test, "its tests have a command of their own")
            return
        try:
            before, after = (self._record(task, tests, side) for side in SIDES)
        except TaskError as error:
            self._drop_all(task, tests, str(error))
            return
        for test in tests:
            self._pair(task, test, [before[test], after[test]])

    def _drop_all(self, task: RepositoryTask, tests: list[str], problem: str) -> None:
        self.say(f"{task.instance_id}: {problem}")
        for test in tests:
            self.writer.drop(task, test, "the task does not fit its image")

    def _pair(self, task: RepositoryTask, test: str, found: list[TracedTest]) -> None:
        for side, made in zip(SIDES, found, strict=True):
            if problem := _problem(made, side):
                self.writer.drop(task, test, problem)
                return
        where = difference(*map(_side, found))
        if where is None:
            self.writer.drop(task, test, "no state differs")
            return
        fix = TracedFix(
            instance_id=task.instance_id,
            test=test,
            before=_id(task, test, "before"),
            after=_id(task, test, "after"),
            patch=task.patch,
            difference=where,
        )
        self.writer.add(fix, found)

    def _record(self, task: RepositoryTask, tests: list[str], side: str) -> dict[str, TracedTest]:
        limits = Limits().with_memory(max(task.setup.memory, 4 << 30))
        opened, _ = open_task(task, limits, sandbox=self.sandboxes, for_agent=False)
        with closing(opened) as sandbox:
            for patch in (task.patch if side == "after" else "", task.test_patch):
                applied = apply_patch(sandbox, patch) if patch else None
                if applied and applied.exit_code:
                    raise TaskError(f"a patch does not apply: {applied.output.strip()[:200]}")
            recorder = SuiteRecorder(_suite(task, tests, side), say=self.say)
            tracer = SandboxRecorder(sandbox, task.setup, self.fallback)
            return {made.test: _named(made, task, side) for made in recorder.record(tracer, tests)}


def _suite(task: RepositoryTask, tests: list[str], side: str) -> TracedSuite:
    return TracedSuite(
        reference=task.image,
        tests=tests,
        test_seconds=_TEST_SECONDS * len(tests),
        arguments=task.setup.arguments,
        licence=task.licence,
        labels={"task": task.instance_id, "side": side},
    )


def _named(made: TracedTest, task: RepositoryTask, side: str) -> TracedTest:
    if made.trace is None:
        return made
    name = _id(task, made.test, side)
    return made._replace(trace=made.trace.model_copy(update={"id": name}))


def _problem(made: TracedTest, side: str) -> str:
    """Why a trace cannot be one of a pair."""
    if made.trace is None:
        return f"{made.problem} {side} the fix"
    if made.trace.outcome.kind != _OUTCOMES[side]:
        return f"{made.trace.outcome.kind} {side} the fix"
    return ""


def _side(made: TracedTest) -> TraceSide:
    trace: Trace | None = made.trace
    assert trace is not None
    return TraceSide(TraceReader(trace), made.sources)
