"""What to tell a model whose text to search for is not in the file: the nearest text that is."""

from collections import Counter
from collections.abc import Callable
from difflib import get_close_matches

from tools.files import numbered

_SHOWN = 20  # lines of the nearest text that are shown
_COMPARED = 4000  # lines compared letter by letter: about a tenth of a second
_LETTERS = 120  # of each line compared

_DIFFERENCES: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("only whitespace at the end of lines differs", bytes.rstrip),
    ("only the indentation differs", lambda line: line.strip()),
    ("only whitespace differs", lambda line: b"".join(line.split())),
]


def nearest(lines: list[bytes], search: list[bytes]) -> str:
    """A sentence or two, with the lines that come nearest to those searched for."""
    if not lines:
        return "The file is empty."
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
    """Where the lines are the same in this form."""
    wanted = [form(line) for line in search]
    if not any(wanted):
        return None
    formed = [form(line) for line in lines]
    size = len(wanted)
    for place, line in enumerate(formed):
        if line == wanted[0] and formed[place : place + size] == wanted:
            return place
    return None


def _is_part_of_line(lines: list[bytes], search: list[bytes]) -> bool:
    part = search[0].strip()
    return len(search) == 1 and len(part) > 2 and any(part in line for line in lines)


def _most_in_common(lines: list[bytes], search: list[bytes]) -> int | None:
    """Where most lines are, but for whitespace, the ones searched for.

    Each line that they share votes for the place where the whole text would then begin; half of
    the lines must agree.
    """
    offsets: dict[bytes, list[int]] = {}
    for offset, line in enumerate(search):
        if line.strip():
            offsets.setdefault(line.strip(), []).append(offset)
    votes = Counter(
        number - offset
        for number, line in enumerate(lines)
        for offset in offsets.get(line.strip(), [])
    )
    place, count = max(votes.items(), key=lambda vote: vote[1], default=(0, 0))
    return max(0, place) if count and 2 * count >= len(offsets) else None


def _most_alike(lines: list[bytes], search: list[bytes]) -> int | None:
    """Where the line is that is most like the longest one searched for."""
    longest = max(search, key=lambda line: len(line.strip()))
    wanted = longest.strip()[:_LETTERS].decode("utf-8", "replace")
    candidates = [line.strip()[:_LETTERS].decode("utf-8", "replace") for line in lines[:_COMPARED]]
    found = get_close_matches(wanted, set(candidates), n=1) if wanted else []
    return max(0, candidates.index(found[0]) - search.index(longest)) if found else None
