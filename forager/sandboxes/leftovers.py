"""Containers that outlive their makers: how to recognise them, and how to remove them.

Each container's label names the process that made it: its number, its start time, the boot and the
process namespace. A killed maker removes nothing, so the next process that starts a container
removes what it left, as does `forager doctor --clean`.
"""

import contextlib
import os
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import requests
from docker.errors import DockerException, NotFound

from forager.sandboxes.engine import connect

SANDBOX_LABEL = "forager.sandbox"  # on every container made here; its value is `maker()`
_FAULTS = (DockerException, requests.RequestException, OSError)


def maker(process: int | None = None) -> str:
    """The label of a process; of this process by default."""
    number = os.getpid() if process is None else process
    return f"{number} {_started(number)} {_realm()}"


def leftovers() -> list[str]:
    """The ids of containers whose makers are gone. Raises what docker raises."""
    found = connect().api.containers(all=True, filters={"label": SANDBOX_LABEL})
    return [
        container["Id"]
        for container in found
        if _is_left(container["Labels"][SANDBOX_LABEL], container["State"])
    ]


def remove_leftovers() -> int:
    """Remove the containers whose makers are gone; return how many. Raises EngineError."""
    found = leftovers()
    for container in found:
        remove(container)
    return len(found)


def remove(container: str) -> None:
    """Remove a container by id or name: now, or at the next `sweep` if the engine fails."""
    try:
        connect().api.remove_container(container, force=True, v=True)
    except NotFound:
        pass
    except _FAULTS as error:
        if "already in progress" not in str(error):
            with _LOCK:
                _UNREMOVED.add(container)


def sweep() -> None:
    """Remove the containers that `remove` could not, and once those that killed processes left.

    Raises nothing: whoever starts a container next reports what is wrong with the engine.
    """
    with _LOCK:
        late = set(_UNREMOVED)
        _UNREMOVED.clear()
    for container in late:
        remove(container)
    with contextlib.suppress(*_FAULTS):
        _swept()


_LOCK = Lock()
_UNREMOVED: set[str] = set()


@cache
def _swept() -> int:
    return remove_leftovers()


def _is_left(label: str, state: str) -> bool:
    """Whether the maker is gone; if it cannot be looked up, whether the container has ended."""
    number, *more = label.split(" ")
    if not more:  # the labels of earlier versions
        return _started(int(number)) == "" if number.isdecimal() else True
    started, realm = more
    if realm != _realm():  # another boot, namespace or machine
        return state in ("exited", "dead")
    return _started(int(number)) != started


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
    """The boot and the namespace in which process numbers are unique."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}.{Path('/proc/self/ns/pid').stat().st_ino}"
