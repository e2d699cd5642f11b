"""`edit`: replace lines of a file that occur exactly once.

Only the replaced lines change: encoding, line endings and a missing last newline stay. Lines end at
newlines; a carriage return before one belongs to the ending, and new lines get the ending of the
old ones. An empty search fills an empty file.
"""

from forager.agent.tool import Observation, Tool
from forager.errors import FormatError
from forager.sandboxes.sandbox import Sandbox
from forager.trajectories.record import FileChange
from tools.edit_body import TEXT_USAGE, read_body, write_body
from tools.encodings import UTF_8, encoding_of
from tools.files import (
    checked_path,
    count_lines,
    failure,
    hint,
    numbered,
    occurrences,
    refused,
    shown_whole,
    split_lines,
)
from tools.nearest import nearest

CONTEXT = 8
"""Lines shown on each side of a change."""

_LISTED = 10  # places that the answer to an ambiguous search lists
_LARGEST = 4 << 20  # bytes of a file
_SHOWN = 40  # new lines in the answer; the model has just written them
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def edit(sandbox: Sandbox, arguments: dict[str, str], seconds: float) -> Observation:
    """Replace the lines of `search` by those of `replace`."""
    del seconds
    path = checked_path(arguments["path"])
    search, replace = _lines(arguments["search"]), _lines(arguments["replace"])
    if search == replace:
        return refused(
            "Nothing to change: the text to search for and its replacement are equal.", "unchanged"
        )
    try:
        return _edit(sandbox, path, search, replace)
    except FileNotFoundError:
        way = hint(path) or ("" if search else " Use create for a new file.")
        return refused(f"There is no file {path}.{way}", "no_such_file")
    except OSError as error:
        return failure(path, error)


def _edit(sandbox: Sandbox, path: str, search: list[bytes], replace: list[bytes]) -> Observation:
    content = sandbox.read(path)
    if len(content) > _LARGEST:
        return refused(f"{path} is too large to edit: change it with bash.", "too_large")
    if b"\0" in content:
        text = f"{path} is a binary file; edit changes text only. Change it with bash."
        return refused(text, "binary_file")
    mark = _BYTE_ORDER_MARK if content.startswith(_BYTE_ORDER_MARK) else b""
    encoding = encoding_of(content[len(mark) :])
    old = _whole_lines(_recoded(content[len(mark) :], encoding, UTF_8))
    bare = [_bare(line) for line in old]
    places = _places(bare, search)
    if not places:
        return refused(_not_found(path, bare, search), "not_found")
    if len(places) > 1:
        return refused(_ambiguous(path, places), "ambiguous")
    first, end = places[0], places[0] + len(search)
    new = _with_endings(old, first, end, replace)
    lines = [*old[:first], *new, *old[end:]]
    try:
        written = _recoded(b"".join(lines), UTF_8, encoding)
    except UnicodeEncodeError as error:
        return refused(_not_encodable(path, error), "not_encodable")
    sandbox.write(path, mark + written)
    bare = [_bare(line) for line in lines]
    change = _change(path, old[first:end], new, bare, first)
    return Observation(_report(path, bare, first, len(new)), change=change)


def _recoded(text: bytes, encoding: str, other: str) -> bytes:
    """The text in another encoding; two equal encodings keep each byte."""
    return text if encoding == other else text.decode(encoding).encode(other)


def _places(lines: list[bytes], search: list[bytes]) -> list[int]:
    """Where the search occurs. Raises FormatError for an empty one in a file that is not empty."""
    if search:
        return list(occurrences(lines, search))
    if lines:
        raise FormatError(
            "The text to search for is empty: write the lines to replace, as they stand in the "
            "file. Use create for a new file.",
            "empty_argument",
        )
    return [0]


def _change(
    path: str, old: list[bytes], new: list[bytes], lines: list[bytes], first: int
) -> FileChange:
    """The change as a fact; `lines` are those of the file now, `first` counts from 0."""
    end = first + len(new)
    return FileChange(
        path=path,
        first=first + 1,
        removed=_texts(old),
        added=_texts(new),
        lines=len(lines),
        before=[shown_whole(line) for line in lines[max(0, first - CONTEXT) : first]],
        after=[shown_whole(line) for line in lines[end : end + CONTEXT]],
    )


def _texts(lines: list[bytes]) -> list[str]:
    """Lines as text; the model wrote them or searched for them, so they are UTF-8."""
    return [line.removesuffix(b"\n").decode() for line in lines]


def _lines(text: str) -> list[bytes]:
    """The lines that the model wrote; carriage returns belong to the endings."""
    return [line.removesuffix("\r").encode() for line in split_lines(text)]


def _whole_lines(content: bytes) -> list[bytes]:
    """The lines of a file with their endings."""
    *lines, last = content.split(b"\n")
    return [line + b"\n" for line in lines] + ([last] if last else [])


def _bare(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _with_endings(old: list[bytes], first: int, end: int, replace: list[bytes]) -> list[bytes]:
    """The new lines with the endings of the old; a missing last newline stays missing."""
    if not old:
        return [line + b"\n" for line in replace]
    model = old[first] if old[first].endswith(b"\n") or first == 0 else old[first - 1]
    ending = b"\r\n" if model.endswith(b"\r\n") else b"\n"
    new = [line + ending for line in replace]
    if new and not old[end - 1].endswith(b"\n"):
        new[-1] = replace[-1]
    return new


def _not_found(path: str, lines: list[bytes], search: list[bytes]) -> str:
    near = nearest(lines, search)
    if "\ufffd" in near:  # of a line that the model cannot write
        near += "\nSome bytes are not UTF-8; change lines that show \ufffd with bash."
    return f"The text to search for does not occur in {path}. {near}"


def _not_encodable(path: str, error: UnicodeEncodeError) -> str:
    wrong = error.object[error.start]
    return (
        f"{path} is encoded in {error.encoding}, which has no {wrong!r}: write the lines without "
        "it, or convert the file with bash first (iconv)."
    )


def _ambiguous(path: str, places: list[int]) -> str:
    listed = ", ".join(str(place + 1) for place in places[:_LISTED])
    more = ", …" if len(places) > _LISTED else ""
    return (
        f"The text to search for occurs {len(places)} times in {path}, at lines {listed}{more}. "
        "It must occur exactly once: add lines before or after it."
    )


def _report(path: str, lines: list[bytes], first: int, size: int) -> str:
    """The new number of lines, and the change with some lines around it."""
    start, end = max(0, first - CONTEXT), min(len(lines), first + size + CONTEXT)
    shown = [f"Edited {path}: {count_lines(len(lines))} now."]
    if size > _SHOWN:
        cut = first + _SHOWN // 2, first + size - _SHOWN // 2
        shown += numbered(lines, start, cut[0])
        shown.append(f"[… {count_lines(cut[1] - cut[0])} of the new text not shown …]")
        start = cut[1]
    return "\n".join(shown + numbered(lines, start, end))


EDIT = Tool(
    name="edit",
    description=(
        "Replace text in a file. The text to search for is one or more whole lines, exactly as "
        "they stand in the file, indentation included, and must occur exactly once. An empty "
        "replacement deletes the lines. Answers with the lines around the change."
    ),
    parameters={
        "path": "Path of the file, absolute or from the shell's directory.",
        "search": "The whole lines to replace.",
        "replace": "The lines to put in their place; empty to delete.",
    },
    execute=edit,
    read_body=read_body,
    write_body=write_body,
    text_usage=TEXT_USAGE,
)
