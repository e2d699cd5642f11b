"""Which files may be mutated, how they are read, and how a change to one is written down."""

import os
import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path

_CONTEXT = 3
_TESTS = {"test", "tests", "testing"}
_FOLDERS = {
    *("doc", "docs", "example", "examples", "benchmark", "benchmarks"),
    *("vendor", "_vendor", "vendored", "_vendored", "site-packages", "node_modules"),
}
_OUTPUTS = {"build", "dist"}  # at the top only: further down they may be packages
_MODULES = {"setup", "noxfile", "conftest", "versioneer", "_version"}
_TEST = re.compile(r"test_.*|.*_tests?")


def source_files(root: Path, protected: Sequence[str]) -> list[str]:
    """The project's own Python files, relative to root and sorted; no tests, nothing generated.

    `protected` names further files and folders to leave out.
    """
    return sorted(_walk(root, "", {name.strip("/") for name in protected}))


def _walk(root: Path, folder: str, protected: set[str]) -> Iterator[str]:
    for entry in os.scandir(root / folder):
        path = folder + entry.name
        if path in protected or entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not _is_foreign(root / path, path):
                yield from _walk(root, path + "/", protected)
        elif entry.name.endswith(".py"):
            stem = entry.name.removesuffix(".py").lower()
            if stem not in _TESTS | _MODULES and not _TEST.fullmatch(stem):
                yield path


def _is_foreign(folder: Path, path: str) -> bool:
    """Whether a folder holds something else than the project's own code."""
    named = folder.name.lower() in _TESTS | _FOLDERS or path in _OUTPUTS
    return named or (folder / "pyvenv.cfg").exists()


def read_source(path: Path) -> str | None:
    """The text with its line endings as they are; None where it is not UTF-8."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        return None


def unified_diff(path: str, old: str, new: str) -> str:
    """The change of one file as `git diff` writes it; empty where there is none.

    Only "\\n" ends a line, as for git: difflib would also split at form feeds.
    """
    if old == new:
        return ""
    end = "\t" if " " in path else ""  # how git marks where a name with blanks ends
    header = f"diff --git a/{path} b/{path}\n--- a/{path}{end}\n+++ b/{path}{end}\n"
    return header + "".join(_hunks(old, new))


def _hunks(old: str, new: str) -> Iterator[str]:
    """Match only the lines around the change: difflib is slow on whole files.

    Where lines are repeated, difflib may see the change at the very end of what it is given; it
    is given more then, for git takes a change without context for one at the end of the file.
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
    """How much the texts share at the start and at the end, but for some whole lines."""
    start = _shared(old, new, min(len(old), len(new)), 1)
    end = len(old) - _shared(old, new, min(len(old), len(new)) - start, -1)
    for _ in range(margin):
        start = max(0, old.rfind("\n", 0, max(0, start - 1)) + 1)
        end = old.find("\n", end) + 1 or len(old)
    return start, len(old) - end


def _shared(old: str, new: str, length: int, step: int) -> int:
    """How many characters are the same from the start (step 1) or from the end (-1) on."""
    low = 0
    while low < length:  # halves, each compared once
        middle = (low + length + 1) // 2
        if step > 0:
            same = old[low:middle] == new[low:middle]
        else:
            one, other = len(old), len(new)
            same = old[one - middle : one - low] == new[other - middle : other - low]
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
    """The diff that undoes this one, of one file or several."""
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
    """Turn additions into removals and back; removals come first again in each run of changes."""
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
