"""Programs in C++: compiled once, by a user without privileges, then run for each case."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from typing import TYPE_CHECKING

from .children import CaseBounds, Streams, in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .users import Users

_COMMAND = ("g++", "-std=c++20", "-O2", "-pipe", "-o", "program", "program.cpp")
_LARGEST = 256 << 20  # bytes of a compiled program
_MEMORY = 2 << 30


def compile_cpp(
    text: str, libraries: Sequence[str], target: str, users: Users, seconds: float
) -> str:
    """Compile a program into the file `target`; why that fails, or an empty text."""
    command = [*_COMMAND, *(f"-l{name}" for name in libraries)]
    place = users.place()
    source, made = place.path + "/program.cpp", place.path + "/program"

    def first() -> None:
        with open(source, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        os.chmod(source, 0o644)

    def work() -> int:
        os.environ["PATH"] = "/usr/local/bin:/usr/bin:/bin"
        os.execvp(command[0], command)  # nosec B606  # needs no shell

    try:
        end = in_child(work, CaseBounds(seconds, _MEMORY, 1 << 16), place, Streams(), first=first)
        if end.how != "ended" or end.code:
            said = (end.output + end.said).decode("utf-8", "replace").strip()
            return said or f"the compiler ran out of {end.how}"
        return _taken(made, target)
    finally:
        users.clear(place)


def _taken(made: str, target: str) -> str:
    """Copy what the compiler made, if that is a file; nothing there is trusted."""
    try:
        descriptor = os.open(made, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return "the compiler made no program"
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            return "the compiler made no program"
        with open(target, "wb") as copy:
            shutil.copyfileobj(file, copy)
    os.chmod(target, 0o755)  # nosec B103  # other users run it
    return ""


def run_binary(path: str, arguments: list[str]) -> Callable[[], int]:
    """The work of a child that becomes the program."""

    def work() -> int:
        try:
            os.execv(path, ["program", *arguments])  # nosec B606  # needs no shell
        except OSError as error:
            print(error, file=sys.stderr)
            return 127

    return work
