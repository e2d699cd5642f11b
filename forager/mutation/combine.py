"""Several bugs at once: built from single ones that tests kill, each with a test of its own."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from random import Random

from unidiff.patch import PatchSet

from forager.environments.repository.mutation import Part
from forager.mutation.candidates import Candidate
from forager.mutation.files import unified_diff

COMBINED = "combined"
_SCOPES = ("in_function", "in_file", "across_files")
_SIZES = (2, 2, 3, 4)  # two bugs as often as three or four
_LineEdit = tuple[int, int, str]
"""First and last line that go (the last before the first: none), and the text that comes."""
Shown = tuple[frozenset[str], ...]
"""The tests that fail of each part alone."""


@dataclass(frozen=True, slots=True)
class Killed:
    """A single bug, and the tests that fail of it."""

    candidate: Candidate
    failing: frozenset[str]


def combined(
    killed: Sequence[Killed], texts: Mapping[str, str], seed: int, rounds: int | None = None
) -> Iterator[tuple[Candidate, Shown]]:
    """Yield bugs of two to four parts with what fails of each part alone, in a seeded order.

    A bug is part of one combination a round; the rounds end when one of them brings nothing new.
    """
    random = Random(f"{seed}:{COMBINED}")
    seen: set[frozenset[str]] = set()
    for _ in count() if rounds is None else range(rounds):
        before = len(seen)
        queue = list(killed)
        random.shuffle(queue)
        while queue:
            scope, group = _group(queue, random)
            queue = [each for each in queue if each not in group]
            parts = frozenset(each.candidate.diff for each in group)
            if len(group) < 2 or parts in seen:
                continue
            seen.add(parts)
            if found := _joined([each.candidate for each in group], texts, scope):
                yield found, tuple(each.failing for each in group)
        if len(seen) == before:
            return


def all_show(shown: Shown, failing: Sequence[str]) -> bool:
    """Whether no part may stay: alone, each fails a test that fails of the combination too."""
    return all(tests.intersection(failing) for tests in shown)


def part_of(candidate: Candidate) -> Part:
    """What is recorded of a bug that is a part of another."""
    return Part(
        family=candidate.family,
        operator=candidate.operator,
        file=candidate.file,
        function=candidate.function,
        line=candidate.line,
    )


def _group(queue: Sequence[Killed], random: Random) -> tuple[str, list[Killed]]:
    """The first of the queue with those that go with it, near ones or far ones by chance."""
    first, *others = queue
    size = random.choice(_SIZES)
    group: list[Killed] = [first]
    for scope in random.sample(_SCOPES, len(_SCOPES)):
        for other in others:
            if _fits(scope, group, other.candidate) and _differ([*group, other]):
                group.append(other)
                if len(group) == size:
                    break
        if len(group) > 1:
            return scope, group
    return "", group


def _fits(scope: str, group: Sequence[Killed], other: Candidate) -> bool:
    files = [each.candidate.file for each in group]
    if scope == "across_files":
        return other.file not in files
    same = (other.function == group[0].candidate.function) == (scope == "in_function")
    return same and other.file == files[0]


def _differ(group: Sequence[Killed]) -> bool:
    """Whether each has a failing test that no other has."""
    for one in group:
        others = (each.failing for each in group if each is not one)
        if not one.failing.difference(*others):
            return False
    return True


def _joined(parts: Sequence[Candidate], texts: Mapping[str, str], scope: str) -> Candidate | None:
    """The bug of all parts; None where they touch the same lines or do not compile together."""
    parts = sorted(parts, key=lambda each: (each.file, each.line, each.diff))
    diffs = []
    for path in dict.fromkeys(each.file for each in parts):
        text = texts[path]
        changed = _changed(text, [each.diff for each in parts if each.file == path])
        if changed is None or (_parses(text) and not _parses(changed)):
            return None
        diffs.append(unified_diff(path, text, changed))
    first = parts[0]
    return Candidate(
        family=COMBINED,
        operator=scope,
        file=first.file,
        function=first.function,
        line=first.line,
        diff="".join(diffs),
        parts=tuple(part_of(each) for each in parts),
        costs=tuple(cost for each in parts for cost in each.costs),
    )


def _changed(text: str, diffs: Sequence[str]) -> str | None:
    """The text after all changes, each made to the original; None where two of them meet."""
    edits = sorted(edit for diff in diffs for edit in _line_edits(diff))
    if any(after[0] <= max(before[:2]) for before, after in pairwise(edits)):
        return None
    lines = text.split("\n")
    lines = [f"{line}\n" for line in lines[:-1]] + lines[-1:]
    for first, last, new in reversed(edits):
        lines[first - 1 : last] = [new]
    return "".join(lines)


def _line_edits(diff: str) -> Iterator[_LineEdit]:
    """As `edits_of`, with the line ends as they are in the file."""
    for hunk in (hunk for file in PatchSet(diff) for hunk in file):
        at = hunk.source_start + (0 if hunk.source_length else 1)
        start, new, open_, last_added = at, "", False, False
        for line in hunk:
            if line.is_context:
                if open_:
                    yield start, at - 1, new
                at, new, open_ = at + 1, "", False
                start = at
            elif line.is_removed:
                at, open_ = at + 1, True
            elif line.is_added:
                new, open_ = new + line.value, True
            elif last_added:  # "\\ No newline at end of file" speaks of the line before it
                new = new.removesuffix("\n")
            last_added = line.is_added
        if open_:
            yield start, at - 1, new


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True
