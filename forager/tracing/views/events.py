"""Events as JSON objects, for programs that do not read the stream."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from forager.tracing.cutting import Cut, EpisodeStep, steps
from forager.tracing.record import Sources, Trace
from forager.tracing.source import SourceLines
from forager.tracing.values import kind_of


def event_objects(
    trace: Trace, sources: Sources, cut: Cut | None = None
) -> Iterator[dict[str, Any]]:
    """Yield an object for each event of an episode, or of all threads. Raises Malformed.

    A value is its type and its text, a change its kind as well: `new`, `changed`,
    `changed in place` or `deleted`.
    """
    lines = SourceLines(sources)
    last: dict[int, int] = {}
    cut = cut or Cut()
    for step in steps(trace, cut if cut.root else replace(cut, threads=True)):
        yield _object(step, lines, last.get(step.event.frame, 0))
        last[step.event.frame] = step.event.line


def _object(step: EpisodeStep, lines: SourceLines, before: int) -> dict[str, Any]:
    event = step.event
    line = lines.entry(event.code) if event.kind == "call" else event.line
    found: dict[str, Any] = {
        "event": event.kind,
        "thread": event.thread,
        "frame": event.frame,
        "depth": step.depth,
        "function": event.code.name,
        "file": event.code.file,
        "line": line,
        "source": lines.line(event.code.file, line).rstrip("\n"),
    }
    if event.value is not None:
        found["value"] = {"type": kind_of(event.value), "text": event.value}
    bindings = lines.bindings(event.code.file)
    found["changes"] = {
        change.name: {"kind": bindings.kind(change, before)}
        | ({} if change.new is None else {"type": kind_of(change.new), "text": change.new})
        for change in event.changes
    }
    if event.missing:
        found["missing"] = event.missing
    return found
