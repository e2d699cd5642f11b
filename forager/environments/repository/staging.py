"""An index of git in which a patch is examined and changed before it reaches the working tree."""

import re
import shlex
from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from forager.environments.repository.workspace import THERE
from forager.errors import SandboxError
from forager.sandboxes.sandbox import CommandResult, Sandbox

_LINKS = ("120000", "160000")  # git's modes of symbolic links and submodules
_DIFF = "diff --cached --no-renames --no-color --no-ext-diff --no-textconv"
_LIST_LIMIT, _TEXT_LIMIT = 8 << 20, 64 << 20  # bytes


class TooLarge(Exception):
    """The patch is too large to be judged."""


class PathChange(NamedTuple):
    """What a patch does to one path, in git's words."""

    path: bytes
    mode_before: str
    mode: str
    status: str
    untracked: bool
    """Whether the path is new to git, but the image has it."""

    @property
    def odd(self) -> bool:
        """Whether no honest file has this name: it is not UTF-8, or has invisible characters."""
        try:
            return not self.path.decode().isprintable()
        except UnicodeDecodeError:
            return True

    @property
    def name(self) -> str:
        """The path as text; only the name of an odd path differs from it."""
        text = self.path.decode("utf-8", "backslashreplace")
        return ascii(text)[1:-1] if self.odd else text

    @property
    def new(self) -> bool:
        """Whether git does not know the path before."""
        return self.status == "A"

    @property
    def link(self) -> bool:
        """Whether the path is or becomes a link or a submodule."""
        return self.mode in _LINKS or self.mode_before in _LINKS

    @property
    def is_python(self) -> bool:
        """Whether Python may import the file."""
        return self.path.endswith(b".py")


class FileDiff(NamedTuple):
    """The diff of one file without context."""

    head: str
    hunks: list[str]


class StagedPatch:
    """An index that begins as HEAD; `place` begins the names of its files."""

    def __init__(self, sandbox: Sandbox, place: str) -> None:
        self._sandbox, self._place = sandbox, place
        self._git = f"GIT_INDEX_FILE={place}.index git"

    def begin(self, patch: str) -> CommandResult:
        """Apply a patch to HEAD; git's exit code is 1 if it does not fit."""
        self._write("patch", patch.encode("utf-8", "surrogateescape"))
        return self._sandbox.run(
            f"{self._git} read-tree HEAD && "
            f"{self._git} apply --cached --whitespace=nowarn {self._place}.patch"
        )

    def changes(self) -> list[PathChange]:
        """What differs from HEAD. Raises TooLarge."""
        words = self._list(f"{self._git} {_DIFF} --raw -z HEAD")
        new = any(meta.endswith(b"A") for meta in words[::2])
        names = f"{self._git} {_DIFF} --name-only --diff-filter=A -z HEAD"
        there = set(self._list(f"{names} | {THERE}")) if new else set()
        return [
            _change(meta.decode(), path, path in there)
            for meta, path in zip(words[::2], words[1::2], strict=True)
        ]

    def diff(self, path: str) -> FileDiff:
        """The diff of one file to HEAD. Raises TooLarge."""
        text = self._text(f"-U0 --binary --full-index HEAD -- {_literal([path])}")
        head, *hunks = re.split(r"^(?=@@ )", text, flags=re.MULTILINE)
        return FileDiff(head, hunks)

    def text(self, files: Iterable[str]) -> str:
        """The diff of Python files and of `files` to HEAD, as text. Raises TooLarge."""
        return self._text(f"--text HEAD -- '*.py' {_literal(files)}")

    def reset(self, paths: Collection[bytes]) -> None:
        """Take paths back to HEAD."""
        if paths:
            self._write("paths", b"\0".join(paths))
            self._must(
                f"GIT_LITERAL_PATHSPECS=1 {self._git} reset -q "
                f"--pathspec-from-file={self._place}.paths --pathspec-file-nul HEAD"
            )

    def add(self, hunks: str) -> None:
        """Apply hunks that have no context."""
        if not hunks:
            return
        self._write("patch", hunks.encode())
        self._must(
            f"{self._git} apply --cached --unidiff-zero --whitespace=nowarn {self._place}.patch"
        )

    def write_out(self, path: str, file: str) -> bool:
        """Write the content of a path into a file of the sandbox; False if there is none."""
        return not self._sandbox.run(
            f"{self._git} cat-file blob {shlex.quote(f':./{path}')} >{file}"
        ).exit_code

    def take_in(self, path: str, file: str) -> None:
        """Give a path the content of a file of the sandbox."""
        name = shlex.quote(path)
        self._must(
            f"id=$({self._git} hash-object -w --no-filters {file}) && "
            f"mode=$({self._git} ls-files -s -- {_literal([path])}) && "
            f'{self._git} update-index --cacheinfo "${{mode%% *}}" "$id" {name}'
        )

    def apply(self) -> CommandResult:
        """Bring what is left to the working tree, entirely (exit code 0) or not at all."""
        patch = f"{self._place}.patch"
        return self._sandbox.run(
            f"{self._git} {_DIFF} --binary HEAD >{patch} && "
            f"{{ [ ! -s {patch} ] || git apply --whitespace=nowarn {patch}; }}"
        )

    def _list(self, command: str) -> list[bytes]:
        """The words that a command prints, each with a NUL byte at its end. Raises TooLarge."""
        place = f"{self._place}.list"
        self._must(f"{{ {command}; }} | head -c {_LIST_LIMIT + 1} >{place}")
        listed = self._sandbox.read(place)
        if len(listed) > _LIST_LIMIT:
            raise TooLarge("the patch changes too many files")
        return listed.split(b"\0")[:-1]

    def _text(self, arguments: str) -> str:
        result = self._sandbox.run(f"{self._git} {_DIFF} {arguments}", output_limit=_TEXT_LIMIT)
        if result.exit_code or result.omitted:
            raise TooLarge("the patch is too large to be judged")
        return result.output

    def _write(self, name: str, content: bytes) -> None:
        self._sandbox.write(f"{self._place}.{name}", content)

    def _must(self, command: str) -> None:
        result = self._sandbox.run(command)
        if result.exit_code:
            raise SandboxError(f"cannot examine a patch: {result.output.strip()[:200]}")


def _change(meta: str, path: bytes, untracked: bool) -> PathChange:
    before, mode, _, _, status = meta.removeprefix(":").split(" ")
    return PathChange(path, before, mode, status, untracked)


def _literal(paths: Iterable[str]) -> str:
    return shlex.join(f":(literal){path}" for path in paths)


class SharedHunks(NamedTuple):
    """The hunks of a reference whose changed lines the answer changes as well, as a patch."""

    patch: str
    whole: bool
    """Whether the answer changes nothing else in the file."""


def shared_hunks(answer: FileDiff, reference: FileDiff) -> SharedHunks:
    """What two diffs of a file have in common, in the words of the reference."""
    if answer == reference:
        return SharedHunks(reference.head + "".join(reference.hunks), whole=True)
    made = _changed(answer.hunks)
    shared = []
    for hunk in reference.hunks:
        lines = _changed([hunk])
        if lines <= made:
            made -= lines
            shared.append(hunk)
    return SharedHunks(reference.head + "".join(shared) if shared else "", whole=not made)


def _changed(hunks: Iterable[str]) -> Counter[str]:
    lines = (line for hunk in hunks for line in hunk.split("\n"))
    return Counter(line for line in lines if line.startswith(("+", "-")))
