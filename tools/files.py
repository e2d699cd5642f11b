"""Shared by `edit` and `create`: paths, refusals, and lines of text."""

from collections.abc import Iterator, Sequence

from forager.agent.tool import Observation
from forager.errors import FormatError

_WIDEST = 500  # characters of a line that are shown


def checked_path(path: str) -> str:
    """The path without blanks around it; raises FormatError if it is empty or holds a NUL."""
    if not path.strip():
        raise FormatError("The path is empty.", "empty_argument")
    if "\0" in path:
        raise FormatError("The path holds a NUL character.", "nul_character")
    return path.strip()


def hint(path: str) -> str:
    """How to write a path that is written as for a shell or a browser; empty for others."""
    if path[0] in "\"'`" and path[-1] == path[0]:
        return " Leave the quotes out: a path is taken as it stands."
    if path.startswith("file:"):
        return f" Write the path alone: {'/' + path.removeprefix('file:').lstrip('/')}"
    if path.startswith("~/"):
        return " Write the path of the home directory: ~ is not expanded here."
    if "$" in path:
        return " Write the values of variables: they are not expanded here."
    if "\\" in path:
        return " Leave the backslashes out: a path is taken as it stands, blanks too."
    if path.endswith("/"):
        return " Add the name of a file: a path that ends in / is a directory's."
    return ""


def occurrences(lines: Sequence[bytes], part: Sequence[bytes]) -> Iterator[int]:
    """Yield where the lines of `part` occur, overlapping places included.

    Knuth, Morris and Pratt's search: the time is linear for lines that repeat, too.
    """
    backs = [0] * len(part)  # how many lines of the part still match after each mismatch
    for number in range(1, len(part)):
        backs[number] = _matching(part, backs, backs[number - 1], part[number])
    found = 0
    for number, line in enumerate(lines):
        found = _matching(part, backs, found, line)
        if found == len(part):
            yield number + 1 - found
            found = backs[found - 1]


def _matching(part: Sequence[bytes], backs: Sequence[int], found: int, line: bytes) -> int:
    """How many lines of the part match up to this line, if `found` matched before it."""
    while found and part[found] != line:
        found = backs[found - 1]
    return found + (part[found] == line)


def refused(text: str, reason: str) -> Observation:
    """The answer of a tool that did nothing; `reason` says why in one word, for programs."""
    return Observation(text, exit_code=None, error=True, reason=reason)


def failure(path: str, error: OSError) -> Observation:
    """The answer to an operating system's error on this path."""
    if isinstance(error, IsADirectoryError):
        return refused(f"{path} is a directory, not a file: name a file.", "is_a_directory")
    if isinstance(error, PermissionError):
        way = "If it is a file of yours, change its permissions first, with bash (chmod)."
        return refused(f"Permission denied: {path}. {way}", "permission_denied")
    return refused(f"{path}: {error.strerror or error}", "os_error")


def join_lines(lines: list[str]) -> str:
    """The lines as a text, each with a newline."""
    return "".join(f"{line}\n" for line in lines)


def split_lines(text: str) -> list[str]:
    """The lines of a text, with or without a newline at its end."""
    return text.removesuffix("\n").split("\n") if text else []


def count_lines(number: int) -> str:
    """'1 line', '2 lines'."""
    return f"{number} line" if number == 1 else f"{number} lines"


def numbered(lines: list[bytes], start: int, end: int) -> list[str]:
    """Lines `start` to `end` as the model sees them: numbered from 1, cut to 500 characters."""
    return [
        f"{number:>6}\t{_shown(line)}" for number, line in enumerate(lines[start:end], start + 1)
    ]


def shown_whole(line: bytes) -> str | None:
    """A line as the model sees it; None if it is too long to be shown whole."""
    text = line.decode("utf-8", "replace")
    return text if len(text) <= _WIDEST else None


def _shown(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}[… {len(text) - _WIDEST} more]"
