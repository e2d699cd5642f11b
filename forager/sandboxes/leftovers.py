"""Containers that outlive their makers: how they are known, and how they are removed.

Each container's label says which process made it: its number, when it started, and on which boot
and in which process namespace that holds. A maker that is gone removes nothing, so the next
process that starts a container does, and `forager doctor --clean`.
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
    """What the label says of a process; of this one where none is given."""
    number = os.getpid() if process is None else process
    return f"{number} {_started(number)} {_realm()}"


def leftovers() -> list[str]:
    """The ids of containers whose makers are gone. Raises what docker raises."""
    found = connect().api.containers(all=True, filters={"label": SANDBOX_LABEL})
    return [one["Id"] for one in found if _is_left(one["Labels"][SANDBOX_LABEL], one["State"])]


def remove_leftovers() -> int:
    """Remove them; return how many there were. Raises EngineError."""
    found = leftovers()
    for one in found:
        remove(one)
    return len(found)


def remove(container: str) -> None:
    """Remove a container by id or name; now, or where the engine does not answer, later."""
    try:
        connect().api.remove_container(container, force=True, v=True)
    except NotFound:
        pass
    except _FAULTS as error:
        if "already in progress" not in str(error):
            with _LOCK:
                _UNREMOVED.add(container)


def sweep() -> None:
    """Remove what this process could not remove when it should have, and once what others left.

    Raises nothing: whoever starts a container next says what is wrong with the engine.
    """
    with _LOCK:
        late = set(_UNREMOVED)
        _UNREMOVED.clear()
    for one in late:
        remove(one)
    with contextlib.suppress(*_FAULTS):
        _swept()


_LOCK = Lock()
_UNREMOVED: set[str] = set()


@cache
def _swept() -> int:
    return remove_leftovers()


def _is_left(label: str, state: str) -> bool:
    """Whether the maker is gone; of one that cannot be looked up, whether it ended."""
    number, *more = label.split(" ")
    if not more:  # as containers were labelled before
        return _started(int(number)) == "" if number.isdecimal() else True
    started, realm = more
    if realm != _realm():  # another boot, namespace or machine
        return state in ("exited", "dead")
    return _started(int(number)) != started


def _started(process: int) -> str:
    """When a process started, in ticks since the boot; empty where there is none."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    fields: list[Any] = text.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else str(fields[19])


@cache
def _realm() -> str:
    """Where process numbers mean the same."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}.{Path('/proc/self/ns/pid').stat().st_ino}"
