"""Combines killed mutants into one bug; each part has a failing test of its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from random import Random

from unidiff.patch import PatchSet

from forager.environments.repository.mutation import Part
from forager.mutation.candidates import Candidate
from forager.mutation.files import parse, unified_diff

COMBINED = "combined"
_SCOPES = ("in_function", "in_file", "across_files")
_SIZES = (2, 2, 3, 4)  # half of the combinations have two parts
_LineEdit = tuple[int, int, str]
"""First and last removed line (last < first if none), and the text that replaces them."""
PartFailures = tuple[frozenset[str], ...]
"""For each part, the tests that fail with this part alone."""


@dataclass(frozen=True, slots=True)
class KilledMutant:
    """A single bug with the tests that it makes fail."""

    candidate: Candidate
    failing: frozenset[str]


def combined(
    killed: Sequence[KilledMutant], texts: Mapping[str, str], seed: int, rounds: int | None = None
) -> Iterator[tuple[Candidate, PartFailures]]:
    """Yield bugs of two to four parts, with each part's failing tests, in a seeded order.

    A round uses each bug in at most one combination; rounds end once one yields nothing new.
    """
    random = Random(f"{seed}:{COMBINED}")
    seen: set[frozenset[str]] = set()
    for _ in count() if rounds is None else range(rounds):
        before = len(seen)
        queue = list(killed)
        random.shuffle(queue)
        while queue:
            scope, group = _group(queue, random)
            queue = [mutant for mutant in queue if mutant not in group]
            parts = frozenset(mutant.candidate.diff for mutant in group)
            if len(group) < 2 or parts in seen:
                continue
            seen.add(parts)
            if found := _joined([mutant.candidate for mutant in group], texts, scope):
                yield found, tuple(mutant.failing for mutant in group)
        if len(seen) == before:
            return


def every_part_fails(shown: PartFailures, failing: Sequence[str]) -> bool:
    """Whether a fix must repair every part: each alone fails a test that the combination fails."""
    return all(tests.intersection(failing) for tests in shown)


def part_of(candidate: Candidate) -> Part:
    """The record of a candidate as a part of a combination."""
    return Part(
        family=candidate.family,
        operator=candidate.operator,
        file=candidate.file,
        function=candidate.function,
        line=candidate.line,
    )


def _group(queue: Sequence[KilledMutant], random: Random) -> tuple[str, list[KilledMutant]]:
    """Group the first mutant with others of a random scope; return the scope's name too."""
    first, *others = queue
    size = random.choice(_SIZES)
    group: list[KilledMutant] = [first]
    for scope in random.sample(_SCOPES, len(_SCOPES)):
        for other in others:
            if _fits(scope, group, other.candidate) and _differ([*group, other]):
                group.append(other)
                if len(group) == size:
                    break
        if len(group) > 1:
            return scope, group
    return "", group


def _fits(scope: str, group: Sequence[KilledMutant], other: Candidate) -> bool:
    files = [mutant.candidate.file for mutant in group]
    if scope == "across_files":
        return other.file not in files
    same = (other.function == group[0].candidate.function) == (scope == "in_function")
    return same and other.file == files[0]


def _differ(group: Sequence[KilledMutant]) -> bool:
    """Whether each mutant has a failing test that no other has."""
    for mutant in group:
        others = (other.failing for other in group if other is not mutant)
        if not mutant.failing.difference(*others):
            return False
    return True


def _joined(parts: Sequence[Candidate], texts: Mapping[str, str], scope: str) -> Candidate | None:
    """Join the parts; None if they touch the same lines or do not compile together."""
    parts = sorted(parts, key=lambda part: (part.file, part.line, part.diff))
    diffs = []
    for path in dict.fromkeys(part.file for part in parts):
        text = texts[path]
        changed = _changed(text, [part.diff for part in parts if part.file == path])
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
        parts=tuple(part_of(part) for part in parts),
        costs=tuple(cost for part in parts for cost in part.costs),
    )


def _changed(text: str, diffs: Sequence[str]) -> str | None:
    """Apply diffs that were each made to the original text; None if two of them touch."""
    edits = sorted(edit for diff in diffs for edit in _line_edits(diff))
    if any(after[0] <= max(before[:2]) for before, after in pairwise(edits)):
        return None
    lines = text.split("\n")
    lines = [f"{line}\n" for line in lines[:-1]] + lines[-1:]
    for first, last, new in reversed(edits):
        lines[first - 1 : last] = [new]
    return "".join(lines)


def _line_edits(diff: str) -> Iterator[_LineEdit]:
    """Like `edits_of`, but with the file's own line ends."""
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
            elif last_added:  # "\\ No newline at end of file" is about the line before it
                new = new.removesuffix("\n")
            last_added = line.is_added
        if open_:
            yield start, at - 1, new


def _parses(text: str) -> bool:
    try:
        parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True
