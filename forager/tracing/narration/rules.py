"""Describes an execution in words, by rules.

What a line does is said after it was executed. Of a loop with many rounds the first two and the
last are described, and what the rounds between them have changed.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from forager.tracing.cutting import Cut, EpisodeStep, steps
from forager.tracing.narration.claims import quoted, shortened
from forager.tracing.record import Sources, Trace
from forager.tracing.source import SourceLines, parsed_source, split_lines
from forager.tracing.stream import CLOSING, OPENING, Event, VariableChange

_FIRST = 2  # rounds of a loop that are described in full
_FEW = 6  # executions of a loop's line up to which all rounds are described
_MOST_NAMES = 8  # variables of one sentence


def narrated(trace: Trace, sources: Sources, cut: Cut) -> str:
    """The text of an episode: a paragraph for each call. Raises Malformed."""
    narrator = _Narrator(sources, [step.event for step in steps(trace, cut)])
    for step in steps(trace, cut):
        narrator.step(step)
    return narrator.text()


@dataclass(frozen=True)
class _Branch:
    """A statement that chooses which line comes next."""

    kind: str
    """`if`, `while` or `for`."""
    condition: str
    body: range

    @property
    def loops(self) -> bool:
        return self.kind != "if"


@dataclass
class _FrameNotes:
    """What is known of a call that is being described."""

    line: int = 0
    """The line that is being executed."""
    skipped: bool = False
    hidden: bool = False
    """Whether the call was made in a round that is left out."""
    visits: Counter[int] = field(default_factory=Counter)
    changed: dict[str, str] = field(default_factory=dict)
    """Variables that have changed in rounds that are left out."""


class _Narrator:
    def __init__(self, sources: Sources, events: list[Event]) -> None:
        self._lines = SourceLines(sources)
        self._branches = {path: _branches(text) for path, text in sources.items()}
        self._totals = Counter((e.frame, e.line) for e in events if e.kind == "line")
        self._frames: dict[int, _FrameNotes] = {}
        self._stack: list[int] = []
        self._raised = False
        self._paragraphs: list[list[str]] = []
        self._told = -1

    def text(self) -> str:
        """What was written."""
        return "\n\n".join(" ".join(sentences) for sentences in self._paragraphs)

    def step(self, step: EpisodeStep) -> None:
        """Tell what an event shows."""
        event = step.event
        if event.kind in OPENING:
            outer = self._frames.get(self._stack[-1]) if self._stack else None
            self._stack.append(event.frame)
            notes = self._frames.setdefault(event.frame, _FrameNotes())
            if event.kind == "call":
                notes.skipped = notes.hidden = bool(outer and outer.skipped)
        notes = self._frames[event.frame]
        self._skip(event, notes)
        if notes.skipped:
            notes.changed |= {c.name: c.new for c in event.changes if c.new is not None}
        else:
            for sentence in self._sentences(event, notes):
                self._say(event.frame, sentence)
        if event.kind in CLOSING:
            self._stack.pop()
        self._raised = event.kind == "unwind"
        notes.line = event.line if event.kind == "line" else notes.line

    def _say(self, frame: int, sentence: str) -> None:
        if self._told != frame:
            self._paragraphs.append([])
            self._told = frame
        self._paragraphs[-1].append(sentence)

    def _skip(self, event: Event, notes: _FrameNotes) -> None:
        """Leave out the middle rounds of loops; tell what they have changed when they are over."""
        if event.kind != "line" or notes.hidden:
            return
        branches = self._branches.get(event.code.file, {})
        notes.visits[event.line] += 1
        around = [line for line, branch in branches.items() if branch.loops
                  and (line == event.line or event.line in branch.body)]  # fmt: skip
        skipped = any(self._between(event.frame, line, notes) for line in around)
        if skipped and not notes.skipped and event.line in branches:
            count = self._totals[event.frame, event.line]
            self._say(event.frame, f"Line {event.line} runs {count} times in all.")
        elif notes.skipped and not skipped and notes.changed:
            names = list(notes.changed.items())[:_MOST_NAMES]
            self._say(
                event.frame, f"After more rounds: {_listed(_equals(*item) for item in names)}."
            )
            notes.changed = {}
        notes.skipped = skipped

    def _between(self, frame: int, line: int, notes: _FrameNotes) -> bool:
        total = self._totals[frame, line]
        return total > _FEW and _FIRST < notes.visits[line] < total - 1

    def _sentences(self, event: Event, notes: _FrameNotes) -> Iterator[str]:
        name = event.code.name
        if event.kind == "call":
            given = _listed(_equals(c.name, c.new or "") for c in event.changes)
            yield f"{quoted(name)} is called{f' with {given}' if given else ''}."
            return
        yield from self._done(event, notes)
        if event.kind == "resume":
            yield f"{quoted(name)} goes on."
        elif event.kind in ("return", "yield"):
            verb = "returns" if event.kind == "return" else "yields"
            result = f"{name}(...) -> {shortened(event.value or '')}"
            yield f"It {verb}: {quoted(result)}."
        elif event.kind == "exception":
            raised = quoted(f"raise {shortened(event.value or '')}")
            place = (
                f"The exception reaches {quoted(name)}" if self._raised else f"Line {event.line}"
            )
            yield f"{place}: {raised}."
        elif event.kind == "unwind":
            yield f"{quoted(name)} ends by the exception."

    def _done(self, event: Event, notes: _FrameNotes) -> Iterator[str]:
        """What the line that was executed before an event did."""
        branch = self._branches.get(event.code.file, {}).get(notes.line)
        if branch and event.kind == "line":
            inside = event.line in branch.body
            if branch.kind == "for" and not inside:
                yield f"The loop in line {notes.line} is over."
            elif branch.kind != "for":
                condition = f" {quoted(branch.condition)}" if branch.condition else ""
                verb = "holds" if inside else "does not hold"
                yield f"In line {notes.line} the condition{condition} {verb}."
        if event.changes:
            yield self._changes(event, notes.line)

    def _changes(self, event: Event, line: int) -> str:
        bindings = self._lines.bindings(event.code.file)
        kinds: dict[str, list[VariableChange]] = {}
        for change in event.changes[:_MOST_NAMES]:
            kinds.setdefault(bindings.kind(change, line), []).append(change)
        parts = []
        for kind, changes in kinds.items():
            if kind == "deleted":
                parts.append(f"removes {_listed(quoted(change.name) for change in changes)}")
            else:
                verb = "changes the content:" if kind == "changed in place" else "sets"
                listed = _listed(_equals(change.name, change.new or "") for change in changes)
                parts.append(f"{verb} {listed}")
        return f"Line {line} {', and '.join(parts)}."


def _equals(name: str, value: str) -> str:
    return quoted(f"{name} = {shortened(value)}")


def _listed(items: Iterator[str]) -> str:
    found = list(items)
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


@lru_cache(64)
def _branches(text: str) -> dict[int, _Branch]:
    """The lines of `if`, `while` and `for`, each with its body."""
    tree, lines = parsed_source(text), split_lines(text)
    found = {}
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.If | ast.While | ast.For | ast.AsyncFor):
            first, last = node.body[0].lineno, node.body[-1].end_lineno or node.body[-1].lineno
            if first > node.lineno:
                found[node.lineno] = _Branch(*_condition(node, lines), range(first, last + 1))
    return found


def _condition(
    node: ast.If | ast.While | ast.For | ast.AsyncFor, lines: list[str]
) -> tuple[str, str]:
    """The kind of a branch, and its condition if that is in one line."""
    if isinstance(node, ast.For | ast.AsyncFor):
        return "for", ""
    kind, test = "if" if isinstance(node, ast.If) else "while", node.test
    if test.lineno != test.end_lineno:
        return kind, ""
    line = lines[test.lineno - 1].encode()  # whose columns are counted in bytes
    return kind, line[test.col_offset : test.end_col_offset].decode()
