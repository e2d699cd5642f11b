"""Patches as text: git's binary form keeps the bytes of files that are not UTF-8."""

import codecs
import io
import re
from collections.abc import Callable

from unidiff.patch import PatchSet

BINARY = "* -diff\n"
"""Attributes with which git writes every change in its binary form."""

_TEXT_LIMIT = 1 << 20  # bytes of a binary change that are shown as text, too
_PARTS = re.compile(r"^(?=diff --git )", re.MULTILINE)
_FILES = re.compile(rb"^(?=diff --git )", re.MULTILINE)
_HEADER = 1 << 14  # characters of two paths and more; the time grows with their square
_SAME = re.compile(r'"?a/(.*?)"? "?b/\1"?$', re.MULTILINE)  # first line of a file's diff
_RENAMED = re.compile(r'"?a/.*?"? "?b/(.*?)"?$', re.MULTILINE)


def parsed(patch: str) -> PatchSet:
    """The files and hunks of a patch, in which only "\\n" ends a line. Raises UnidiffParseError."""
    return PatchSet(io.StringIO(patch, newline="\n"))


def by_file(patch: str) -> list[str]:
    """The parts of a patch of git that belong to one file each, word for word."""
    return [part for part in _PARTS.split(patch) if part.startswith("diff --git ")]


def changes_by_file(patch: str) -> dict[str, str]:
    """The changes of a patch by file path, without headers; of a renamed file by the new path."""
    found: dict[str, str] = {}
    for part in by_file(patch):
        head = part[len("diff --git ") :][:_HEADER]
        if match := _SAME.match(head) or _RENAMED.match(head):
            _, hunk, changes = part.partition("\n@@")
            path = _unquoted(match[1]) if head.startswith('"') else match[1]
            found[path] = found.get(path, "") + hunk + changes
    return found


def same_changes(patch: str, other: str) -> bool:
    """Whether two patches of one tree surely make the same of it.

    Names of objects and what follows a hunk's numbers do not count.
    """
    return _bare(patch) == _bare(other)


def _bare(patch: str) -> list[str]:
    lines = [line for line in patch.split("\n") if not line.startswith("index ")]
    return ["@@".join(line.split("@@", 2)[:2]) if line[:2] == "@@" else line for line in lines]


def _unquoted(path: str) -> str:
    """A path that git has written in quotes."""
    try:
        name, _ = codecs.escape_decode(path.encode())
    except ValueError:
        return path
    return str(name.decode("utf-8", "backslashreplace"))


def patch_text(patch: bytes, binary: Callable[[], bytes]) -> str:
    """A patch of git as text, with a binary diff for each file that is not UTF-8.

    `binary` returns the same patch, made with the attributes BINARY. After a binary diff come the
    changed lines as text, which `git apply` skips, for readers and for grading.
    """
    try:
        return patch.decode()
    except UnicodeDecodeError:
        exact = binary()
    parts: list[str] = []
    for text, form in zip(_FILES.split(patch), _FILES.split(exact), strict=True):
        try:
            parts.append(text.decode())
        except UnicodeDecodeError:
            lines = text[:_TEXT_LIMIT].decode("utf-8", "replace").split("\n")
            changed = [line for line in lines if line.startswith(("+", "-"))]
            told = [f"{line}\n" for line in changed if not line.startswith(("+++", "---"))]
            parts += [form.decode(), *told]
    return "".join(parts)
