"""Traces of small programs for the tests of views and readers."""

from pathlib import Path

from recordings import Recording, recorded

from forager.tracing.making import Redaction, checked
from forager.tracing.record import Interpreter, Origin, Trace, TraceOutcome


def make_trace(
    found: Recording, text: str, name: str = "program.py"
) -> tuple[Trace, dict[str, str]]:
    """Return the record of a recording, and its sources."""
    made = checked(found.stream, Redaction())
    sources = {name: text}
    trace = Trace(
        id="t", kind="program", name=name, origin=Origin(source="tests"),
        interpreter=Interpreter(version="3", recorder="c"), outcome=TraceOutcome(kind="returned"),
    )  # fmt: skip
    return made.complete(trace, sources), sources


def traced(tmp_path: Path, source: str, version: str = "") -> tuple[Trace, dict[str, str]]:
    """Record `main()` of a source, and return the record and the sources."""
    return make_trace(
        recorded(tmp_path, source, "c", version), (tmp_path / "program.py").read_text()
    )
