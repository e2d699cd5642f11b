"""The text in a file that is nearest to a search without a match."""

from collections import Counter
from collections.abc import Callable
from difflib import SequenceMatcher
from heapq import nlargest

from tools.files import numbered, occurrences

_SHOWN = 20  # lines of the nearest text that are shown
_COMPARED = 5000  # lines whose letters are counted, about a tenth of a second,
_EXACTLY = 50  # and of them those compared in order
_REPEATED = 20  # equal lines of the search that vote
_LETTERS = 120  # of each line compared
_ALIKE = 0.6  # difflib's own measure of a close match

_DIFFERENCES: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("only whitespace at the end of lines differs", bytes.rstrip),
    ("only the indentation differs", lambda line: line.strip()),
    ("only whitespace differs", lambda line: b"".join(line.split())),
]


def nearest(lines: list[bytes], search: list[bytes]) -> str:
    """One or two sentences, with the lines nearest to the search."""
    if not lines:
        return "The file is empty: leave the text to search for empty to fill it."
    for difference, form in _DIFFERENCES:
        place = _same(lines, search, form)
        if place is not None:
            return _show(f"There is a place where {difference}", lines, place, len(search))
    if _is_part_of_line(lines, search):
        place = next(n for n, line in enumerate(lines) if search[0].strip() in line)
        return _show("It must be whole lines; it is a part of", lines, place, 1)
    place = _most_in_common(lines, search)
    if place is None:
        place = _most_alike(lines, search)
    if place is None:
        return "Nothing in the file is like it. Look at the file first, with bash."
    return _show("The nearest text is", lines, place, len(search))


def _show(what: str, lines: list[bytes], place: int, size: int) -> str:
    end = min(len(lines), place + size)
    where = f"line {end}" if end - place == 1 else f"lines {place + 1}-{end}"
    return "\n".join([f"{what}, {where}:", *numbered(lines, place, min(end, place + _SHOWN))])


def _same(lines: list[bytes], search: list[bytes], form: Callable[[bytes], bytes]) -> int | None:
    """Index of the first line from which the lines are equal in this form; None without any."""
    wanted = [form(line) for line in search]
    if not any(wanted):
        return None
    return next(occurrences([form(line) for line in lines], wanted), None)


def _is_part_of_line(lines: list[bytes], search: list[bytes]) -> bool:
    part = search[0].strip()
    return len(search) == 1 and len(part) > 2 and any(part in line for line in lines)


def _most_in_common(lines: list[bytes], search: list[bytes]) -> int | None:
    """Index of the place where most lines equal those of the search, but for whitespace.

    Each common line votes, weighted by its length, for the place where the search would begin. The
    winner needs half of all letters.
    """
    offsets: dict[bytes, list[int]] = {}
    for offset, line in enumerate(search):
        known = offsets.setdefault(line.strip(), [])
        if line.strip() and len(known) < _REPEATED:
            known.append(offset)
    votes: Counter[int] = Counter()
    for number, line in enumerate(lines):
        for offset in offsets.get(line.strip(), []):
            votes[number - offset] += len(line.strip())
    place, letters = max(votes.items(), key=lambda vote: vote[1], default=(0, 0))
    return max(0, place) if 2 * letters >= sum(len(line.strip()) for line in search) > 0 else None


def _most_alike(lines: list[bytes], search: list[bytes]) -> int | None:
    """Index of the place whose line is most similar to the longest line of the search."""
    longest = max(search, key=lambda line: len(line.strip()))
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(_letters(longest))

    def likeness(line: str, exact: bool) -> float:
        matcher.set_seq1(line)
        return matcher.ratio() if exact else matcher.quick_ratio()

    candidates = [_letters(line) for line in lines[:_COMPARED]]
    promising = nlargest(_EXACTLY, set(candidates), key=lambda line: likeness(line, exact=False))
    best = max(promising, key=lambda line: likeness(line, exact=True))
    if not best or likeness(best, exact=True) < _ALIKE:
        return None
    return max(0, candidates.index(best) - search.index(longest))


def _letters(line: bytes) -> str:
    return line.strip()[:_LETTERS].decode("utf-8", "replace")
