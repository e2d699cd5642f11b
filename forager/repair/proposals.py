"""Proposals: what they change, the clues they follow, and their ranking."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from forager.repair.source import Passage, PassageEdit, Suspicion, change_between, statement_lines


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change of a passage that might fix the bug. `score` is relative; `thought` says why."""

    passage: Passage
    lines: tuple[str, ...]
    score: float
    thought: str

    @property
    def change(self) -> PassageEdit:
        """The change, in line numbers of the file."""
        return change_between(self.passage, self.passage.lines, self.lines)


@dataclass(slots=True)
class Clues:
    """What the tests have shown so far."""

    errors: list[tuple[str, str]] = field(default_factory=list)  # exception and its message
    words: list[str] = field(default_factory=list)  # what the errors speak of
    suspicion: Suspicion = field(default_factory=Suspicion)
    ways: dict[str, list[str]] = field(default_factory=dict)  # undefined name → import statements
    other_ways: dict[str, list[str]] = field(default_factory=dict)  # names that may be missing
    returns: list[str] = field(default_factory=list)  # what other functions of the file return

    def messages(self, *names: str) -> Iterator[str]:
        """The messages of the exceptions with these names."""
        return (message for name, message in self.errors if name in names)

    @property
    def none_appears(self) -> bool:
        """Whether the errors report a None where the code expects another value."""
        return any("None" in message for _, message in self.errors)


def ranked(proposals: Iterable[Proposal]) -> Iterator[Proposal]:
    """The proposals, best first, without duplicates and those that do not compile."""
    seen: set[tuple[Passage, tuple[str, ...]]] = set()
    for proposal in sorted(proposals, key=lambda proposal: -proposal.score):
        key = (proposal.passage, proposal.lines)
        if key not in seen and proposal.lines != proposal.passage.lines:
            seen.add(key)
            if _compiles(proposal):
                yield proposal


def _compiles(proposal: Proposal) -> bool:
    passage = proposal.passage
    text = Passage(passage.file, passage.first, proposal.lines, passage.name).text
    try:
        compile(text, passage.file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        # A part of a module need not be whole; a function's text always is.
        return not passage.name
    return True


def lines_of_change(passage: Passage, lines: Sequence[str], tree: ast.Module) -> list[int]:
    """The lines of all statements that a change touches, as numbers of the file."""
    if len(lines) == len(passage.lines):
        pairs = enumerate(zip(passage.lines, lines, strict=True), passage.first)
        changed = {number for number, (old, new) in pairs if old != new}
    else:
        change = change_between(passage, passage.lines, lines)
        changed = set(range(change.first, max(change.first, change.last) + 1))
    touched = set(changed)
    for first, last in statement_lines(tree):
        span = range(passage.line_of(first), passage.line_of(last) + 1)
        if changed & set(span):
            touched |= set(span)
    return sorted(touched)
