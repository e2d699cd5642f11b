"""Traces of programs that read an input: which programs there are, and how they are recorded."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from pydantic import Field, TypeAdapter

from forager.errors import UsageError
from forager.inside import is_inside
from forager.records import Record, read_records
from forager.tracing.making import Redaction, checked, secrets_of
from forager.tracing.record import Interpreter, Origin, Trace, TraceOutcome
from forager.tracing.recording import SandboxRecorder, TraceLimits, unpacked_stream
from forager.tracing.store import TraceWriter
from forager.untrusted import Malformed, Report, source_text

LIMITS = TraceLimits(events=40_000, bytes=1 << 20, seconds=10)
MOST_LINES = 10_000  # line events of a program's trace, as in CWM
_BATCH = 16  # jobs of one start of the interpreter
_STARTUP = 60.0  # seconds, in which the helper may be compiled
_LARGEST_FILE = 1 << 20  # bytes of a program or input
_NO_TRACE = {  # kinds of runs, and what they say about the program
    "invalid": "not valid Python",
    "stopped": "takes too long or too much",
    "ended": "ends its process itself",
}
_ANSWERS = (".ans", ".out", ".expected", ".a")


class ProgramInput(Record):
    """An input of a program, and what it should print."""

    stdin: str = ""
    expected: str | None = None
    name: str = ""


class TracedProgram(Record):
    """A program with inputs: a line of the file that `forager trace programs` reads."""

    id: str
    source: str = Field(description="The program, for Python 3.")
    inputs: list[ProgramInput]
    licence: str = ""
    verdict: str = Field("", description="What a judge said, such as `accepted`.")
    labels: dict[str, str] = {}


class _Program(Report):
    """A run of a program: 0 is untraced, 1 and 2 are traced."""

    id: str = ""
    run: int = 0
    kind: str = ""
    value: str = ""
    output: str = ""
    cut: bool = False
    stream: str = ""
    seconds: float = 0.0
    recorder: str = ""
    end: bool = False


_REPORT = TypeAdapter(_Program)


def read_programs(path: Path) -> Iterator[TracedProgram]:
    """Yield the programs of a file of JSON lines, or of a directory. Raises UsageError."""
    if path.is_dir():
        yield from _in_directory(path)
    else:
        yield from read_records(path, TracedProgram)


def _in_directory(root: Path) -> Iterator[TracedProgram]:
    """Programs `NAME.py` with inputs `*.in` in `NAME/`, next to them, or in `data/` further up.

    Inputs that are not UTF-8 are left out, and answers that are not stand for none.
    """
    for path in sorted(root.rglob("*.py")):
        if _is_readable(path, root) and (found := _inputs_of(path, root)):
            yield TracedProgram(
                id=str(path.relative_to(root)),
                source=_source(path),
                inputs=[made for given in found if (made := _input(given, root))],
                verdict=path.parent.name if path.parent.parent.name == "submissions" else "",
            )


def _inputs_of(path: Path, root: Path) -> list[Path]:
    places = [path.with_suffix("")]
    above = path.parent
    while above != root.parent:
        places.append(above / "data")
        above = above.parent
    found = next((sorted(place.rglob("*.in")) for place in places if place.is_dir()), [])
    found = found or sorted(path.parent.glob(f"{path.stem}*.in"))
    return [given for given in found if _is_readable(given, root)]


def _is_readable(path: Path, root: Path) -> bool:
    """Whether it is a file of the directory, no link to others, and not too large."""
    return path.is_file() and is_inside(path, root) and path.stat().st_size <= _LARGEST_FILE


def _source(path: Path) -> str:
    """A program's text in the encoding that it names."""
    text = source_text(path.read_bytes())
    return "\0" if text is None else text  # which is dropped as no valid Python


def _text(path: Path) -> str | None:
    """A file's text with its ends of lines; None if it is not UTF-8."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        return None


def _input(path: Path, root: Path) -> ProgramInput | None:
    answers = (path.with_suffix(suffix) for suffix in _ANSWERS)
    answer = next((place for place in answers if _is_readable(place, root)), None)
    given = _text(path)
    if given is None:
        return None
    expected = _text(answer) if answer else None
    return ProgramInput(stdin=given, expected=expected, name=str(path.relative_to(root)))


class ProgramJob(Record):
    """One program on one input."""

    program: TracedProgram
    number: int

    @property
    def id(self) -> str:
        """The id of the trace."""
        return f"{self.program.id}#{self.input.name or self.number}"

    @property
    def input(self) -> ProgramInput:
        """The input."""
        return self.program.inputs[self.number]

    @property
    def path(self) -> str:
        """The name that the program has in the trace."""
        name = Path(self.program.id).name
        return name if name.endswith(".py") else "program.py"


def jobs_of(programs: Iterable[TracedProgram], most_inputs: int) -> Iterator[ProgramJob]:
    """Each program with each of its first inputs. Raises UsageError if two have the same id."""
    seen = set[str]()
    for program in programs:
        for number in range(min(most_inputs, len(program.inputs))):
            job = ProgramJob(program=program, number=number)
            if job.id in seen:
                raise UsageError(
                    f"{job.id} occurs twice: give each program an id of its own, and each input of "
                    "a program a name of its own or none"
                )
            seen.add(job.id)
            yield job


def batches(jobs: Iterable[ProgramJob]) -> Iterator[list[ProgramJob]]:
    """Jobs for one start of an interpreter."""
    found = iter(jobs)
    while batch := list(islice(found, _BATCH)):
        yield batch


def trace_programs(
    tracer: SandboxRecorder,
    jobs: list[ProgramJob],
    writer: TraceWriter,
    source: str,
    limits: TraceLimits,
) -> None:
    """Record jobs into a directory; what gives no trace is noted. Raises SandboxError."""
    jobs = [job for job in jobs if job.id not in writer.ids]
    if not jobs:
        return
    request = {
        "limits": limits.values(),
        "memory": 1 << 30,
        "jobs": [
            {
                "id": job.id,
                "path": job.path,
                "source": job.program.source,
                "stdin": job.input.stdin,
            }
            for job in jobs
        ],
    }
    seconds = _STARTUP + len(jobs) * 3 * (limits.seconds + 6)
    run = tracer.ask("programs", request, _REPORT, seconds)
    found: dict[str, dict[int, _Program]] = {}
    for report in run.reports:
        found.setdefault(report.id, {})[report.run] = report
    redact = Redaction(secrets_of(tracer.environment()))
    version = tracer.version()
    for job in jobs:
        runs = found.get(job.id, {})
        reason = "not run" if len(runs) < 3 else _problem(runs)
        if not reason:
            try:
                trace = _trace(job, runs[1], redact, source, version)
            except Malformed as error:
                reason = f"malformed: {error}"
            else:
                reason = _excess(trace)
                if not reason:
                    writer.add(trace, {job.path: redact.given(job.program.source)})
        if reason:
            writer.drop(job.id, reason)


def _problem(runs: dict[int, _Program]) -> str:
    """Why the runs of a job give no trace."""
    plain, first, second = runs[0], runs[1], runs[2]
    if plain.kind in _NO_TRACE:
        return _NO_TRACE[plain.kind]
    if plain.cut:
        return "prints more than 1 MiB"
    if (_ended(first), first.stream) != (_ended(second), second.stream):
        return "two runs differ"
    return "" if _ended(plain) == _ended(first) else "tracing changes the outcome"


def _ended(run: _Program) -> tuple[str, str, str]:
    return run.kind, run.value, run.output


def _excess(trace: Trace) -> str:
    if trace.counts.lines > MOST_LINES or "events" in trace.truncated:
        return f"more than {MOST_LINES:,} lines"
    return f"truncated: {trace.truncated[0]}" if trace.truncated else ""


def _trace(job: ProgramJob, run: _Program, redact: Redaction, source: str, version: str) -> Trace:
    found = checked(unpacked_stream(run.stream), redact)
    output = unpacked_stream(run.output).decode(errors="replace")
    trace = Trace(
        id=job.id,
        kind="program",
        name=job.program.id,
        origin=Origin(source=source, licence=job.program.licence),
        interpreter=Interpreter.reported(version, run.recorder),
        entry=f"python {job.path}",
        input=redact.given(job.input.stdin),
        outcome=TraceOutcome(
            kind="exited" if run.kind == "exited" else "raised",
            value=redact(run.value),
            output=redact(output),
            verdict=_verdict(job.input.expected, run, output),
        ),
        seconds=run.seconds,
        labels={**job.program.labels, **({"judged": v} if (v := job.program.verdict) else {})},
    )
    return found.complete(trace, {job.path: redact.given(job.program.source)})


def _verdict(expected: str | None, run: _Program, output: str) -> str:
    """Compare what was printed, word by word; no judge's own rules are known."""
    if run.kind != "exited" or run.value not in ("0", "None", "False"):
        return "error"
    if expected is None:
        return ""
    return "accepted" if expected.split() == output.split() else "wrong"
