"""Lists the files that may be mutated, reads them, and writes and reverses their diffs."""

import ast
import io
import re
import tokenize
from collections.abc import Collection, Iterable, Iterator
from difflib import SequenceMatcher
from itertools import zip_longest

BYTE_ORDER_MARK = "\ufeff"
_CONTEXT = 3
_TESTS = {"test", "tests", "testing"}
_FOREIGN = _TESTS | {
    *("doc", "docs", "example", "examples", "benchmark", "benchmarks"),
    *("vendor", "_vendor", "vendored", "_vendored", "site-packages", "node_modules"),
}
_OUTPUTS = {"build", "dist"}  # only at the root: below it they may be packages
_MODULES = {"setup", "noxfile", "conftest", "versioneer", "_version"}
_TEST = re.compile(r"test_.*|.*_tests?")


def source_files(paths: Collection[str], protected: Iterable[str]) -> list[str]:
    """The project's own Python files without tests and generated code, sorted.

    `paths` are all files of the project, and `protected` names more files and folders to skip.
    """
    skipped = {name.strip("/") for name in protected}
    skipped |= {path.rpartition("/")[0] for path in paths if path.endswith("/pyvenv.cfg")}
    return sorted(path for path in paths if path.endswith(".py") and _is_own(path, skipped))


def _is_own(path: str, skipped: set[str]) -> bool:
    *folders, name = path.split("/")
    above = ["/".join(folders[: depth + 1]) for depth in range(len(folders))]
    stem = name.removesuffix(".py").lower()
    return (
        skipped.isdisjoint([*above, path])
        and not any(part.startswith(".") for part in (*folders, name))
        and _FOREIGN.isdisjoint(folder.lower() for folder in folders)
        and _OUTPUTS.isdisjoint(folders[:1])
        and stem not in _TESTS | _MODULES
        and not _TEST.fullmatch(stem)
    )


def read_source(data: bytes) -> str | None:
    """The text of a Python file, line ends and byte order mark included.

    A text that is not UTF-8 has the encoding that the file states (PEP 263). None if it cannot be
    decoded, or if a line of ASCII has other bytes in that encoding, as in UTF-7.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode(tokenize.detect_encoding(io.BytesIO(data).readline)[0])
    except (SyntaxError, UnicodeError, LookupError):
        return None
    lines = text.encode("utf-8", "replace").split(b"\n")
    pairs = zip_longest(lines, data.split(b"\n"))
    return text if all(ours == raw for ours, raw in pairs if not ours or ours.isascii()) else None


def parse(text: str) -> ast.Module:
    """Parse the text of a file. Raises SyntaxError, ValueError, RecursionError."""
    return ast.parse(text.removeprefix(BYTE_ORDER_MARK))


def unified_diff(path: str, old: str, new: str) -> str:
    """The change of one file as `git diff` writes it; empty if the texts are equal.

    Only "\\n" ends a line, as in git; difflib would also split at form feeds.
    """
    if old == new:
        return ""
    end = "\t" if " " in path else ""  # git ends names that contain spaces with a tab
    header = f"diff --git a/{path} b/{path}\n--- a/{path}{end}\n+++ b/{path}{end}\n"
    return header + "".join(_hunks(old, new))


def _hunks(old: str, new: str) -> Iterator[str]:
    """Match only the lines around the change, because difflib is slow on whole files.

    With repeated lines, difflib may place the change at the end of its input. Then it gets more
    lines, because git reads a change without context as one at the end of the file.
    """
    margin = _CONTEXT + 1
    while True:
        start, tail = _frame(old, new, margin)
        before, after = _lines(old[start : len(old) - tail]), _lines(new[start : len(new) - tail])
        matcher = SequenceMatcher(None, before, after, autojunk=False)
        opcodes = matcher.get_opcodes()
        if (not start or _is_context(opcodes[0])) and (not tail or _is_context(opcodes[-1])):
            break
        margin *= 2
    offset = old.count("\n", 0, start)
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        old_range = _range(offset, group[0][1], group[-1][2])
        new_range = _range(offset, group[0][3], group[-1][4])
        yield f"@@ -{old_range} +{new_range} @@\n"
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from (_line(" ", line) for line in before[i1:i2])
            else:
                yield from (_line("-", line) for line in before[i1:i2])
                yield from (_line("+", line) for line in after[j1:j2])


def _is_context(opcode: tuple[str, int, int, int, int]) -> bool:
    tag, start, end, _, _ = opcode
    return tag == "equal" and end - start >= _CONTEXT


def _frame(old: str, new: str, margin: int) -> tuple[int, int]:
    """How many characters to skip at the start and at the end; `margin` shared lines remain."""
    start = _shared(old, new, min(len(old), len(new)), 1)
    end = len(old) - _shared(old, new, min(len(old), len(new)) - start, -1)
    for _ in range(margin):
        start = max(0, old.rfind("\n", 0, max(0, start - 1)) + 1)
        end = old.find("\n", end) + 1 or len(old)
    return start, len(old) - end


def _shared(old: str, new: str, length: int, step: int) -> int:
    """Count the equal characters from the start (step 1) or from the end (step -1)."""
    low = 0
    while low < length:  # a binary search that compares each half once
        middle = (low + length + 1) // 2
        if step > 0:
            same = old[low:middle] == new[low:middle]
        else:
            old_end, new_end = len(old), len(new)
            same = old[old_end - middle : old_end - low] == new[new_end - middle : new_end - low]
        low, length = (middle, length) if same else (low, middle - 1)
    return low


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _range(offset: int, start: int, end: int) -> str:
    count = end - start
    number = offset + start + (1 if count else 0)  # an empty range names the line before it
    return f"{number}" if count == 1 else f"{number},{count}"


def _line(mark: str, line: str) -> str:
    return mark + line if line.endswith("\n") else f"{mark}{line}\n\\ No newline at end of file\n"


def reverse(diff: str) -> str:
    """The diff that undoes this one, which may span several files."""
    files = re.split(r"^(?=diff --git )", diff, flags=re.MULTILINE)  # no line of a hunk begins so
    return "".join(_reversed_file(file) for file in files if file)


def _reversed_file(diff: str) -> str:
    head, *body = diff.split("\n@@ ")
    hunks = []
    for hunk in body:
        header, _, lines = hunk.partition("\n")
        old, new, rest = header.split(" ", 2)
        hunks.append(f"-{new[1:]} +{old[1:]} {rest}\n" + _swapped(lines))
    return "\n@@ ".join([head, *hunks])


def _swapped(lines: str) -> str:
    """Turn additions into removals and back; in each run of changes, removals come first."""
    result: list[str] = []
    removed: list[str] = []
    added: list[str] = []
    current = result
    for line in lines.split("\n"):
        if line.startswith("+"):
            current = removed
            removed.append("-" + line[1:])
        elif line.startswith("-"):
            current = added
            added.append("+" + line[1:])
        elif line.startswith("\\"):
            current.append(line)
        else:
            result += removed + added
            removed, added, current = [], [], result
            result.append(line)
    return "\n".join(result + removed + added)
