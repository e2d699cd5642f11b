"""A user and a directory of its own for each case, and the end of all that it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, <linux/prctl.h>
_WRITABLE = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock")
_OBJECTS = {"shm": "shmctl", "msg": "msgctl", "sem": "semctl"}  # of System V
_ROUNDS = 200  # of killing
_REMOVE_SECONDS = 30


class CasePlace(NamedTuple):
    """Where a case runs, and as whom; no user where this process cannot change it."""

    path: str
    user: int | None


class Users:
    """Hands out places. `root` says that this process is root, and nobody else's machine is this.

    User numbers are drawn, because containers share those of their host, and with them the
    kernel's count of processes.
    """

    def __init__(self, directory: str, *, root: bool) -> None:
        self._directory, self._root = directory, root
        self._first, self._numbers = _mapped() if root else (0, 1)
        self._next = random.SystemRandom().randrange(self._numbers)
        if root:
            _close_directories()
            os.chmod(directory, 0o711)  # nosec B103  # others go through, and list nothing

    def place(self) -> CasePlace:
        """A new place, whose directory its user owns."""
        self._next += 1
        path = f"{self._directory}/{self._next}"
        os.mkdir(path, 0o700)
        if not self._root:
            return CasePlace(path, None)
        user = self._first + self._next % self._numbers
        os.chown(path, user, user)
        return CasePlace(path, user)

    def clear(self, place: CasePlace) -> None:
        """Kill all that was started there, and remove what was written."""
        end_orphans(place.user)
        try:
            os.rmdir(place.path)
        except OSError:
            command = ["/bin/rm", "-rf", place.path]
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(command, stderr=subprocess.DEVNULL, timeout=_REMOVE_SECONDS)
            shutil.rmtree(place.path, ignore_errors=True)


def _mapped() -> tuple[int, int]:
    """The first of the users that cases may be, and how many there are."""
    first, _, count = map(int, Path("/proc/self/uid_map").read_text().split()[:3])
    last = first + count
    return (1 << 20, (1 << 30) - (1 << 20)) if last > 1 << 30 else (2000, min(last, 65000) - 2000)


def _close_directories() -> None:
    """Leave users no place where other users could find what they write."""
    for path in _WRITABLE:
        with contextlib.suppress(OSError):
            os.chmod(path, os.stat(path).st_mode & ~0o022)


def become(user: int) -> None:
    """Give up all privileges."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def adopt_orphans() -> None:
    """Become the parent of processes that children leave behind."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def end_orphans(user: int | None) -> None:
    """Kill the children of this process, and what they started."""
    if user is not None and _has_objects():
        _as_user(user)
    for _ in range(_ROUNDS):
        left = _children()
        if not left:
            return
        if user is not None:
            _as_user(user)
        for child in left:
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
        for child in left:
            with contextlib.suppress(OSError):
                os.waitpid(child, os.WNOHANG)
        time.sleep(0.001)


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(child) for child in file.read().split()]


def _has_objects() -> bool:
    """Whether there are objects of System V, which outlive their processes."""
    for kind in _OBJECTS:
        with contextlib.suppress(OSError), open(f"/proc/sysvipc/{kind}") as file:
            file.readline()
            if file.readline():
                return True
    return False


def _as_user(user: int) -> None:
    """Kill all processes of a user, and remove its objects, as this user."""
    child = os.fork()
    if not child:
        try:
            objects = [(kind, number) for kind in _OBJECTS for number in _numbers(kind, user)]
            become(user)
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            library = ctypes.CDLL(None)
            for kind, number in objects:
                last = (0, 0, 0) if kind == "sem" else (0, 0)
                getattr(library, _OBJECTS[kind])(number, *last)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _numbers(kind: str, user: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError), open(f"/proc/sysvipc/{kind}") as file:
        names = file.readline().split()
        for line in file:
            fields = dict(zip(names, line.split()))
            if str(user) in (fields["uid"], fields["cuid"]):
                found.append(int(fields[kind + "id"]))
    return found
