"""What `edit` and `create` share: paths, refusals, and lines of text in a call's body."""

from forager.agent.tool import Observation
from forager.errors import FormatError

_WIDEST = 500  # characters of a line that are shown


def checked_path(path: str) -> str:
    """The path, if it can be one; raises FormatError otherwise."""
    if not path.strip():
        raise FormatError("The path is empty.", "empty_argument")
    if "\0" in path:
        raise FormatError("The path holds a NUL character.", "nul_character")
    return path


def refused(text: str, reason: str) -> Observation:
    """The answer when nothing was done; `reason` is one word for readers that are programs."""
    return Observation(text, exit_code=None, error=True, reason=reason)


def failure(path: str, error: OSError) -> Observation:
    """The answer to an operating system's error on this path."""
    if isinstance(error, IsADirectoryError):
        return refused(f"{path} is a directory, not a file.", "is_a_directory")
    if isinstance(error, PermissionError):
        return refused(f"Permission denied: {path}", "permission_denied")
    return refused(f"{path}: {error.strerror or error}", "os_error")


def join_lines(lines: list[str]) -> str:
    """The text of some lines, each with its newline; no lines are the empty text."""
    return "".join(f"{line}\n" for line in lines)


def split_lines(text: str) -> list[str]:
    """The lines of a text. A missing last newline makes no difference."""
    return text.removesuffix("\n").split("\n") if text else []


def count_lines(number: int) -> str:
    """'1 line', '2 lines'."""
    return f"{number} line" if number == 1 else f"{number} lines"


def numbered(lines: list[bytes], start: int, end: int) -> list[str]:
    """Lines `start` to `end` as they are shown: numbered from one, and cut where very long."""
    return [
        f"{number:>6}\t{_shown(line)}" for number, line in enumerate(lines[start:end], start + 1)
    ]


def shown_whole(line: bytes) -> str | None:
    """A line as it is shown; None where that is a part of it."""
    text = line.decode("utf-8", "replace")
    return text if len(text) <= _WIDEST else None


def _shown(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}[… {len(text) - _WIDEST} more]"
