"""Traces of a project's own tests: one for each test."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import TypeAdapter

from forager.environments.repository.testing import always
from forager.tracing.making import Checked, Redaction, checked, secrets_of
from forager.tracing.record import Interpreter, Origin, Trace, TraceOutcome
from forager.tracing.recording import SandboxRecorder, TraceLimits, unpacked_stream
from forager.tracing.store import TraceWriter
from forager.untrusted import Malformed, Report, source_text

LIMITS = TraceLimits()
_BATCH = 40  # tests of one run
_STARTUP = 120.0  # seconds
_SLOWER = 30  # times that tracing may slow the tests down
_LARGEST_FILE = 2 << 20  # bytes of a source
_OUTCOMES = {"passed": "passed", "failed": "failed", "error": "failed"}


@dataclass(frozen=True)
class TracedSuite:
    """A project's tests, in an image."""

    reference: str
    """The image's name, or that of the project."""
    tests: Sequence[str]
    test_seconds: float
    arguments: Sequence[str] = ()
    licence: str = ""
    image_digest: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def id(self, test: str) -> str:
        """The id of a test's trace."""
        return f"{self.reference}::{test}"

    @property
    def origin(self) -> Origin:
        """Where its traces come from."""
        return Origin(source=self.reference, licence=self.licence, image_digest=self.image_digest)

    @property
    def pytest_arguments(self) -> list[str]:
        """What pytest is given, so that tests run in the same order each time."""
        return [*always(), "-p", "no:randomly", *self.arguments]


class _Test(Report):
    """A test that has run."""

    id: str = ""
    outcome: str = ""
    error: str = ""
    recorder: str = ""
    stream: str = ""
    seconds: float = 0.0
    end: bool = False

    @property
    def ended(self) -> tuple[str, str]:
        """What tracing must not change."""
        return self.outcome, self.error


_REPORT = TypeAdapter(_Test)


def batches(suite: TracedSuite, writer: TraceWriter) -> Iterator[list[str]]:
    """Groups of neighbours, which share fixtures, with a test that has not been tried yet.

    A test runs with the same neighbours at each start, as their caches change what it does.
    """
    for start in range(0, len(suite.tests), _BATCH):
        batch = list(suite.tests[start : start + _BATCH])
        if any(suite.id(test) not in writer.ids for test in batch):
            yield batch


class TracedTest(NamedTuple):
    """A test's trace and its sources, or why there is none."""

    test: str
    trace: Trace | None
    sources: dict[str, str]
    problem: str = ""


@dataclass(frozen=True)
class SuiteRecorder:
    """Records a suite's tests in one sandbox after the other."""

    suite: TracedSuite
    limits: TraceLimits = LIMITS
    say: Callable[[str], None] = lambda _: None

    def record(self, tracer: SandboxRecorder, tests: list[str]) -> Iterator[TracedTest]:
        """Run tests untraced and twice traced; yield traces of those that do the same each time.

        Raises SandboxError.
        """
        runs = [self._run(tracer, tests, number) for number in range(3)]
        redact = Redaction(secrets_of(tracer.environment()))
        sources, version = SourceReader(tracer), tracer.version()
        for test in tests:
            found = self._compared([run.get(test) for run in runs], redact)
            if isinstance(found, str):
                yield TracedTest(test, None, {}, found)
            else:
                texts = sources.of(found.files)
                trace = self._record(test, runs[1][test], version)
                yield TracedTest(test, found.complete(trace, texts), texts)

    def _run(self, tracer: SandboxRecorder, tests: list[str], number: int) -> dict[str, _Test]:
        request = {
            "arguments": self.suite.pytest_arguments,
            "tests": tests,
            "traced": number > 0,
            "limits": self.limits.values(),
        }
        share = len(tests) / max(1, len(self.suite.tests))
        seconds = _STARTUP + (1 if number == 0 else _SLOWER) * (
            self.suite.test_seconds * max(share, 0.1) + 10
        )
        run = tracer.ask("suite", request, _REPORT, seconds)
        if not run.reports:
            self.say(f"{self.suite.reference}: {run.ending}")
        return {report.id: report for report in run.reports if report.id}

    def _compared(self, reports: list[_Test | None], redact: Redaction) -> Checked | str:
        """The trace of a test, or why it gives none."""
        plain, first, second = reports
        if plain is None:
            return "does not run alone"
        if plain.outcome not in _OUTCOMES:
            return plain.outcome if plain.outcome in ("skipped", "xfailed") else "not run"
        if first is None or second is None:
            return "does not finish when traced"
        try:
            found = checked(unpacked_stream(first.stream), redact)
            if second.stream != first.stream:
                again = checked(unpacked_stream(second.stream), redact)
                if again.stream != found.stream:
                    return "two runs differ"
        except Malformed as error:
            return f"malformed: {error}"
        if first.ended != second.ended:
            return "two runs differ"
        return found if plain.ended == first.ended else "tracing changes the outcome"

    def _record(self, test: str, report: _Test, version: str) -> Trace:
        return Trace(
            id=self.suite.id(test),
            kind="test",
            name=test,
            origin=self.suite.origin,
            interpreter=Interpreter.reported(version, report.recorder),
            entry=f"pytest {shlex.quote(test)}",
            outcome=TraceOutcome(
                kind="failed" if report.outcome in ("failed", "error") else "passed",
                value=report.error,
            ),
            seconds=report.seconds,
            labels=self.suite.labels,
        )


@dataclass(frozen=True)
class SuiteTracer:
    """Writes the traces of a suite's tests."""

    suite: TracedSuite
    writer: TraceWriter
    limits: TraceLimits = LIMITS
    say: Callable[[str], None] = lambda _: None

    def trace(self, tracer: SandboxRecorder, tests: list[str]) -> None:
        """Record tests; keep what has a trace, and note why the others have none.

        What earlier starts kept or dropped stays as it is. Raises SandboxError.
        """
        recorder = SuiteRecorder(self.suite, self.limits, self.say)
        for found in recorder.record(tracer, tests):
            if self.suite.id(found.test) in self.writer.ids:
                continue
            if found.trace is None:
                self.writer.drop(self.suite.id(found.test), found.problem)
            elif found.trace.execution in self.writer.executions:
                self.writer.drop(self.suite.id(found.test), "the same as in another version")
            else:
                self.writer.add(found.trace, found.sources)


class SourceReader:
    """Reads the traced files of a project from its sandbox, once."""

    def __init__(self, tracer: SandboxRecorder) -> None:
        self._tracer = tracer
        self._redact = Redaction(secrets_of(tracer.environment()))
        self._texts: dict[str, str | None] = {}

    def of(self, paths: Sequence[str]) -> dict[str, str]:
        """The text of each file that can be read. Raises SandboxError."""
        for path in paths:
            if path not in self._texts:
                self._texts[path] = self._read(path)
        return {path: text for path in paths if (text := self._texts[path]) is not None}

    def _read(self, path: str) -> str | None:
        if path.startswith("/") or ".." in path.split("/"):
            return None
        try:
            content = self._tracer.sandbox.read(f"{self._tracer.setup.workdir}/{path}")
        except OSError:
            return None
        if len(content) > _LARGEST_FILE:
            return None
        text = source_text(content)
        return self._redact.given(content.decode(errors="replace") if text is None else text)
