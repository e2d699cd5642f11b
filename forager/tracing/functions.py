"""Traces of a project's functions, with inputs that its tests pass and others made from those."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter

from forager.programs.tracer.inputs import MOST_ITEMS
from forager.records import Record, RecordWriter, read_records
from forager.tracing.asking import WrittenCalls, calls_in, function_source, question_for
from forager.tracing.making import Checked, Redaction, checked, secrets_of
from forager.tracing.record import Interpreter, Trace, TraceOutcome
from forager.tracing.recording import SandboxRecorder, TraceLimits, unpacked_stream
from forager.tracing.store import TraceWriter
from forager.tracing.suites import SourceReader, TracedSuite
from forager.untrusted import Items, Malformed, Report

LIMITS = TraceLimits(events=5_000, bytes=1 << 20, seconds=5, depth=100)
FUNNEL = "functions.jsonl"
LEAST_INPUTS, LEAST_OUTPUTS = 5, 3
"""What a function must have to count as covered."""
_STARTUP = 180.0  # seconds
_A_FUNCTION = 60.0  # seconds at most
_AT_ONCE = 60  # functions of one run, whose traces are on the disk at its end


class _Call(Report):
    arguments: str
    origin: str
    value: str
    items: int | None = None
    """How many items were taken, if it gave a generator."""
    stream: str

    @property
    def same(self) -> tuple[str, str, str]:
        """What another process must do, too."""
        return self.arguments, self.value, self.stream


class _FunctionReport(Report):
    """What was tried with a function."""

    function: str = ""
    kind: str = ""
    observed: int = 0
    tried: int = 0
    valid: int = 0
    steady: int = 0
    outputs: int = 0
    recorder: str = ""
    access: str = Field(  # what follows the name, see programs/tracer/observing.py
        "", pattern=r"^(\.(fget|fset|fdel|func|__func__|__wrapped__))*$"
    )
    calls: Items[_Call] = []
    end: bool = False


class FunctionFunnel(Record):
    """How many inputs of a function were left after each step."""

    image: str
    function: str
    stopped: bool = False
    observed: int = 0
    """Distinct inputs that tests pass, of those that can be copied."""
    written: int = 0
    """Inputs by a model."""
    tried: int = 0
    valid: int = 0
    """That return within a second."""
    steady: int = 0
    """That return the same again."""
    outputs: int = 0
    """Distinct values that are returned; of a call that returns None, what it changes."""
    kept: int = 0
    """Traces."""

    @property
    def covered(self) -> bool:
        """Whether it has enough inputs, with enough outputs."""
        return self.kept >= LEAST_INPUTS and self.outputs >= LEAST_OUTPUTS


_REPORT = TypeAdapter(_FunctionReport)


@dataclass(frozen=True)
class FunctionTracer:
    """Records a project's functions."""

    suite: TracedSuite
    writer: TraceWriter
    funnel: "FunnelFile"
    count: int = 10
    """Calls of a function that are kept."""
    limits: TraceLimits = LIMITS
    most: int = 1000
    """Functions of a project."""
    say: Callable[[str], None] = lambda _: None
    write: WrittenCalls | None = None
    """Asks a model for calls of the functions that are not covered otherwise."""

    def trace(self, tracer: SandboxRecorder) -> None:
        """Try the project's functions that were not tried yet. Raises SandboxError, ModelError."""
        sources = SourceReader(tracer)
        while (left := self.most - len(self.funnel.done(self.suite.reference))) > 0:
            if not self._some(tracer, min(left, _AT_ONCE), sources, {}):
                break
        if self.write is not None:
            self._ask(tracer, sources, self.write)

    def _ask(self, tracer: SandboxRecorder, sources: SourceReader, write: WrittenCalls) -> None:
        """Try the functions that are not covered with inputs by a model."""
        names = self.funnel.uncovered(self.suite.reference)
        for start in range(0, len(names), _AT_ONCE):
            calls = {}
            for name in names[start : start + _AT_ONCE]:
                path, _, qualified = name.partition(":")
                plain = "." not in qualified  # a method needs an object, which a literal is not
                text = sources.of([path]).get(path, "") if plain else ""
                code = function_source(text, qualified)
                if code and (found := calls_in(write(question_for(qualified, path, code)))):
                    calls[name] = found
            if calls:
                self._some(tracer, len(calls), sources, calls)

    def _some(
        self,
        tracer: SandboxRecorder,
        most: int,
        sources: SourceReader,
        written: dict[str, list[str]],
    ) -> int:
        """Try some functions, those with written calls again; return their number.

        They are tried in two processes, and calls count that do the same in both: a hash of an
        address does not.
        """
        done = self.funnel.done(self.suite.reference) - set(written)
        request = {
            "written": written,
            "arguments": self.suite.pytest_arguments,
            "tests": list(self.suite.tests),
            "limits": self.limits.values(),
            "memory": 4 << 30,
            "done": sorted(done),
            "most": most,
            "count": self.count,
        }
        found = self._tried(tracer, request)
        stopped = {report.function for report in found if report.kind != "tried"}
        again = {**request, "done": sorted(done | stopped), "most": len(found) - len(stopped)}
        others = {
            report.function: {call.same for call in report.calls}
            for report in (self._tried(tracer, again) if again["most"] else ())
        }
        redact, version = Redaction(secrets_of(tracer.environment())), tracer.version()
        for report in found:
            calls = len(written.get(report.function, ()))
            same = others.get(report.function, set())
            steady = [call for call in report.calls if call.same in same]
            report = report.model_copy(update={"calls": steady})
            self._keep(report, redact, version, sources, calls)
        return len(found)

    def _tried(self, tracer: SandboxRecorder, request: dict[str, Any]) -> list[_FunctionReport]:
        """Try functions in a new process."""
        seconds = _STARTUP + 30 * self.suite.test_seconds + request["most"] * _A_FUNCTION
        run = tracer.ask("functions", request, _REPORT, seconds)
        if not run.reports or run.problem:
            self.say(f"{self.suite.reference}: {run.problem or run.ending}")
        return [report for report in run.reports if report.function]

    def _keep(
        self,
        report: _FunctionReport,
        redact: Redaction,
        version: str,
        sources: SourceReader,
        written: int,
    ) -> None:
        calls = list(_checked(report.calls, redact, self.limits))
        chosen = choose(calls, self.count)
        for call, found in chosen:
            texts = sources.of(found.files)
            trace = self._record(report, call, found.digest, version, redact)
            self.writer.add(found.complete(trace, texts), texts)
        self.funnel.add(
            FunctionFunnel(
                image=self.suite.reference,
                function=report.function,
                stopped=report.kind != "tried",
                observed=report.observed,
                written=written,
                tried=report.tried,
                valid=report.valid,
                steady=report.steady,
                outputs=len({_output(*pair) for pair in chosen}),
                kept=len(chosen),
            )
        )

    def _record(
        self,
        report: _FunctionReport,
        call: _Call,
        digest: str,
        version: str,
        redact: Redaction,
    ) -> Trace:
        name = report.function.partition(":")[2]
        return Trace(
            id=f"{self.suite.reference}::{report.function}#{digest[:12]}",
            kind="function",
            name=name,
            origin=self.suite.origin,
            interpreter=Interpreter.reported(version, report.recorder),
            entry=redact(_entry(f"{name}{report.access}({call.arguments})", call.items)),
            outcome=TraceOutcome(kind="returned", value=redact(call.value)),
            labels={**self.suite.labels, "input": call.origin},
        )


def _entry(call: str, items: int | None) -> str:
    """The expression whose value was recorded."""
    if items is None:
        return call
    return f"list({call})" if items < MOST_ITEMS else f"list(itertools.islice({call}, {items}))"


def _checked(
    calls: Iterable[_Call], redact: Redaction, limits: TraceLimits
) -> Iterable[tuple[_Call, Checked]]:
    """The calls whose traces are whole."""
    for call in calls:
        try:
            found = checked(unpacked_stream(call.stream), redact, most_events=limits.events + 1)
        except Malformed:
            continue
        if found.counts.frames and not found.truncated:
            yield call, found


def _output(call: _Call, found: Checked) -> object:
    """What a call returns, or else what it changes."""
    return call.value if call.value != "None" else found.effect


def choose(calls: list[tuple[_Call, Checked]], count: int) -> list[tuple[_Call, Checked]]:
    """Calls that together reach the most lines and outputs, first those that add something."""
    left, chosen = list(calls), list[tuple[_Call, Checked]]()
    lines: set[tuple[str, int]] = set()
    outputs: set[object] = set()
    while left and len(chosen) < count:
        best = max(
            left, key=lambda pair: (len(pair[1].lines - lines), _output(*pair) not in outputs)
        )
        left.remove(best)
        chosen.append(best)
        lines |= best[1].lines
        outputs.add(_output(*best))
    return chosen


class FunnelFile:
    """The funnels of all functions, in a file that grows."""

    def __init__(self, directory: Path) -> None:
        self._writer = RecordWriter(directory / FUNNEL)
        self.functions: list[FunctionFunnel] = []
        try:
            self.functions = list(read_records(directory / FUNNEL, FunctionFunnel))
        except BaseException:
            self._writer.close()
            raise

    def done(self, image: str) -> set[str]:
        """The functions of an image that were tried."""
        return {found.function for found in self.functions if found.image == image}

    def uncovered(self, image: str) -> list[str]:
        """The functions of an image that need other inputs, which no model was asked for yet."""
        return [
            found.function
            for found in self._last()
            if found.image == image and not (found.covered or found.written)
        ]

    def add(self, found: FunctionFunnel) -> None:
        """Note a function that was tried. Raises StoreError."""
        self._writer.append(found)
        self.functions.append(found)

    def _last(self) -> list[FunctionFunnel]:
        """The last trial of each function."""
        return list({(found.image, found.function): found for found in self.functions}.values())

    def steps(self) -> Counter[str]:
        """How many functions are left after each step."""
        return Counter(
            step
            for found in self._last()
            for step, holds in (
                ("functions", True),
                ("observed in tests", found.observed > 0),
                ("with a valid input", found.valid > 0),
                (f"with {LEAST_INPUTS} valid inputs", found.valid >= LEAST_INPUTS),
                (f"with {LEAST_INPUTS} steady inputs", found.steady >= LEAST_INPUTS),
                (f"with {LEAST_INPUTS} whole traces", found.kept >= LEAST_INPUTS),
                (f"and {LEAST_OUTPUTS} outputs", found.covered),
            )
            if holds
        )

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
