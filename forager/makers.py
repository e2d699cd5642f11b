"""Labels of processes, by which what a killed one left is recognised though its number is reused.

A label is the number of the process, its start, and the boot and namespace in which both hold.
"""

import os
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any


def maker(process: int | None = None) -> str:
    """The label of a process; of this process by default."""
    number = os.getpid() if process is None else process
    return f"{number} {_started(number)} {_realm()}"


def dotted(process: int | None = None) -> str:
    """The same for the names of files, containers and control groups."""
    return maker(process).replace(" ", ".")


def from_dotted(name: str) -> str:
    """The label that a name holds."""
    return name.replace(".", " ", 2)


def is_gone(label: str) -> bool | None:
    """Whether a process has ended; None for one of another boot, namespace or machine."""
    number, *more = label.split(" ")
    if not number.isdecimal():
        return True
    if len(more) != 2:  # the labels of earlier versions
        return _started(int(number)) == ""
    started, realm = more
    return _started(int(number)) != started if realm == _realm() else None


def _started(process: int) -> str:
    """When a process started, in ticks since the boot; empty if there is no such process."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    fields: list[Any] = text.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else str(fields[19])


@cache
def _realm() -> str:
    """The boot and the namespace in which process numbers are unique, as a short digest."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    space = Path("/proc/self/ns/pid").stat().st_ino
    return blake2b(boot + str(space).encode(), digest_size=6).hexdigest()
