"""The texts of the debugger's panes."""

from rich.text import Text

from forager.replay.debugger.session import DebugSession, VariableRow
from forager.tracing.aligning import VALUE, EventPair
from forager.tracing.record import Trace
from forager.tracing.store import TraceSummary
from forager.tracing.stream import OPENING, Event
from forager.tracing.values import kind_of
from forager.trajectories import draw

_SHORT = 60  # characters of a value in a line
_LARGEST = 200_000  # characters of a source that is coloured
_CHANGES = {"new": ("+", "green"), "changed": ("~", "yellow"), "deleted": ("-", "red")}
_CHANGES["changed in place"] = "≈", "yellow"
_ENDS = {"return": ("returns", "cyan"), "yield": ("yields", "cyan"), "exception": ("raises", "red")}
_SIGNS = {"same": (" = ", "dim"), "edited": (" ± ", "cyan"), "apart": (" ≠ ", "bold yellow")}
_BAD = {"failed", "raised", "wrong", "error", "stopped"}


def title(trace: Trace) -> Text:
    """What is shown, in a line."""
    outcome = trace.outcome.verdict or trace.outcome.kind
    parts = [trace.name, outcome, f"Python {trace.interpreter.version}"]
    parts += [f"truncated: {', '.join(trace.truncated)}"] if trace.truncated else []
    return Text(f" {draw.safe(' · '.join(parts))}", no_wrap=True, overflow="ellipsis")


def short_title(trace: Trace) -> Text:
    """The outcome, and the part of the id that tells traces of one source apart."""
    outcome = trace.outcome.verdict or trace.outcome.kind
    name = trace.id.removeprefix(f"{trace.origin.source}::")
    return Text(f" {draw.safe(f'{outcome} · {name}')}", no_wrap=True, overflow="ellipsis")


def happening(session: DebugSession, index: int) -> Text:
    """What an event is, in words."""
    event = session.event(index)
    name = draw.safe(event.code.name)
    if event.kind == "call":
        text = Text.assemble((name, "bold"), " is called")
    elif event.kind == "resume":
        text = Text.assemble((name, "bold"), " goes on")
    elif event.kind == "line":
        text = Text.assemble(f"line {event.line} of ", (name, "bold"), " comes next")
    elif event.kind == "unwind":
        text = Text.assemble((name, "bold"), (" ends by the exception", "red"))
    else:
        verb, style = _ENDS[event.kind]
        text = Text.assemble((name, "bold"), (f" {verb} ", style), draw.safe(event.value or ""))
    if event.missing:
        text.append(f" (events before are missing: {draw.safe(event.missing)})", "yellow")
    return text


def event_line(session: DebugSession, index: int) -> Text:
    """An event in a line of a list: its line and source, or its value."""
    event = session.event(index)
    text = Text("  " * min(session.depths[index], 12))
    if event.kind == "line":
        source = session.lines.line(event.code.file, event.line).strip()
        return text.append(f"{event.line} ", "dim").append(draw.safe(source))
    if event.kind in OPENING:
        return text.append_text(call_line(event))
    if event.kind == "unwind":
        return text.append("^ ends by the exception", "red")
    verb, style = _ENDS[event.kind]
    return text.append(f"{verb} ", style).append(_short(event.value or ""))


def call_line(event: Event) -> Text:
    """A call with its arguments."""
    if event.kind == "resume":
        return Text.assemble((draw.safe(event.code.name), "bold"), " goes on")
    arguments = ", ".join(f"{change.name}={change.new}" for change in event.changes)
    return Text.assemble((draw.safe(event.code.name), "bold"), f"({_short(arguments)})")


def frame_row(session: DebugSession, number: int) -> Text:
    """A call in the tree of calls: arguments and how it ended."""
    frame = session.reader.frames[number]
    text = Text("  " * min(frame.depth, 20))
    text.append_text(call_line(session.event(frame.first)))
    end = session.event(frame.last)
    if end.kind == "return":
        text.append(" → ", "dim").append(_short(end.value or ""), "cyan")
    elif end.kind == "unwind":
        text.append(" ✗", "red")
    return text


def variable_row(session: DebugSession, row: VariableRow) -> Text:
    """A variable, how it has changed, and the beginning of its value."""
    sign, style = _CHANGES.get(row.change, (" ", ""))
    text = Text()
    if row.watched:
        name = session.reader.frames[row.frame].code.name
        text.append("◉ ", "magenta").append(draw.safe(f"{name}: "), "dim")
    else:
        text.append(f"{sign} ", style)
    text.append(draw.safe(row.name), style or "bold")
    if row.value is None:
        return text.append(" is not bound", "dim")
    return text.append(" = ", "dim").append(_one_line(row.value))


def value_title(row: VariableRow) -> str:
    """The name, type and change of a variable."""
    parts = [row.name, kind_of(row.value) if row.value else "", row.change]
    return draw.safe(" · ".join(part for part in parts if part))


def pair_row(left: DebugSession, right: DebugSession, pair: EventPair, width: int) -> Text:
    """Two events side by side, each `width` characters wide."""
    sign = _SIGNS["apart" if pair.differs else pair.kind]
    return Text.assemble(_cell(left, pair.left, width), sign, _cell(right, pair.right, width))


def differing_names(pair: EventPair) -> str:
    """What differs between two paired events; empty if the states are equal."""
    return draw.safe(", ".join("the value" if name == VALUE else name for name in pair.names))


def _cell(session: DebugSession, index: int | None, width: int) -> Text:
    text = Text() if index is None else event_line(session, index)
    text.truncate(width, overflow="ellipsis", pad=True)
    return text


def summary_row(summary: TraceSummary, width: int) -> Text:
    """A trace in the list."""
    style = "red" if summary.outcome in _BAD else "green"
    more = " truncated" if summary.truncated else ""
    right = f" {summary.events:>9,} events {summary.frames:>7,} calls"
    left = Text.assemble((f"{summary.outcome:<9}", style), draw.safe(summary.id), (more, "yellow"))
    left.truncate(max(20, width - len(right)), overflow="ellipsis", pad=True)
    return left.append(right, "dim")


def source_lines(text: str, path: str) -> list[Text]:
    """The lines of a source in colours; a long one has none, and a missing one no lines."""
    if not text:
        return []
    if len(text) > _LARGEST:
        return [Text(draw.safe(line)) for line in text.split("\n")]
    language = "python" if path.endswith(".py") else "text"
    return list(draw.code(text.expandtabs(4), language).split("\n", allow_blank=True))


def _short(value: str) -> str:
    text = _one_line(value)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def _one_line(value: str) -> str:
    return draw.safe(value[:2000]).replace("\n", "⏎")
