"""Control groups: they bound a sandbox as a whole, if this user may make any.

Version 2 has one tree for all controllers, version 1 a tree for each. A group is made as high in
the tree as possible: at the root as root, or in the user's own part, if systemd or a batch system
delegated one. Its name says who made it, as a container's label does (`makers.py`), so that
`sweep` finds the groups of killed makers, except those in other process namespaces.
"""

import contextlib
import os
import re
import secrets
import signal
import time
from functools import cache
from pathlib import Path

from forager.makers import dotted, from_dotted, is_gone
from forager.sandboxes.sandbox import Limits

CONTROLLERS = ("memory", "pids", "cpu")
_PREFIX = "forager."
_PERIOD = 100_000  # microseconds over which the share of processors is held
_COUNTS = ("memory.events", "memory.oom_control")  # of version 2, of version 1
_REMOVE_SECONDS = 2.0  # until the kernel has let go of ended processes


class ControlGroup:
    """The group of one sandbox. Raises OSError if it cannot be made."""

    def __init__(self, limits: Limits) -> None:
        self._places: dict[str, Path] = {}
        name = _name()
        try:
            for controller, parent in parents().items():
                self._places[controller] = parent / name
                self._places[controller].mkdir(exist_ok=True)
                for file, value in _values(controller, limits):
                    place = self._places[controller] / file
                    if place.exists():  # missing: a file of the other version, or no swap
                        place.write_text(value)
        except BaseException:
            self.remove()
            raise

    @property
    def bounds(self) -> set[str]:
        """The controllers that bound the sandbox: memory, pids, cpu."""
        return set(self._places)

    def add(self, process: int) -> None:
        """Move a process into the group; its later children follow."""
        for place in set(self._places.values()):
            (place / "cgroup.procs").write_text(str(process))

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether the kernel killed a process because the memory was used up."""
        place = self._places.get("memory")
        files = [place / name for name in _COUNTS] if place else []
        texts = [file.read_text() for file in files if file.exists()]
        return any(re.search(r"^oom_kill [1-9]", text, re.MULTILINE) for text in texts)

    def remove(self) -> None:
        """Remove the group; its processes must have ended."""
        for place in set(self._places.values()):
            _remove(place, _REMOVE_SECONDS)


def sweep() -> int:
    """Remove the groups whose makers are gone, and their processes; return how many."""
    found = {
        place.name: place
        for parent in set(parents().values())
        for place in parent.glob(f"{_PREFIX}*")
        if _is_left(place.name)
    }
    for name in found:
        for parent in set(parents().values()):
            _end(parent / name)
            _remove(parent / name, _REMOVE_SECONDS)
    return len(found)


@cache
def parents() -> dict[str, Path]:
    """The directories in which this process may make groups, by controller."""
    return find_parents(Path("/proc/self/cgroup").read_text(), Path("/proc/mounts").read_text())


def find_parents(own: str, mounts: str) -> dict[str, Path]:
    """Find them in the texts of /proc/self/cgroup and /proc/mounts."""
    found: dict[str, Path] = {}
    for line in own.splitlines():
        _, names, path = line.split(":", 2)
        for mount in mounts.splitlines():
            _, place, kind, options, *_ = mount.split()
            controllers = set(names.split(",")) & set(CONTROLLERS)
            if kind == "cgroup2" and not names:
                controllers = set(CONTROLLERS)
            elif kind != "cgroup" or not controllers & set(options.split(",")):
                continue
            for controller in controllers - set(found):
                parent = _highest(Path(place), path, controller, new=kind == "cgroup2")
                if parent:
                    found[controller] = parent
    return found


def _name() -> str:
    """A new name: the maker's number, start, boot and namespace, and a random part."""
    return f"{_PREFIX}{dotted()}.{secrets.token_hex(6)}"


def _is_left(name: str) -> bool:
    """Whether the maker is gone; False for makers of other namespaces."""
    label = name.removeprefix(_PREFIX).rpartition(".")[0]
    if not label[:1].isdecimal() or label.count(".") < 2:  # the names of earlier versions
        return False
    return is_gone(from_dotted(label)) is True


def _highest(root: Path, path: str, controller: str, *, new: bool) -> Path | None:
    """The highest directory above our own group in which groups can be made."""
    own = root / path.lstrip("/")
    above = [parent for parent in own.parents if parent.is_relative_to(root)]
    for parent in [*reversed(above), own]:
        probe = parent / _name()
        if not os.access(parent / "cgroup.procs", os.W_OK):
            continue
        with contextlib.suppress(OSError):
            if new and controller not in (parent / "cgroup.subtree_control").read_text().split():
                (parent / "cgroup.subtree_control").write_text(f"+{controller}")
            probe.mkdir()
            probe.rmdir()
            return parent
    return None


def _values(controller: str, limits: Limits) -> list[tuple[str, str]]:
    """File names and their contents: those of version 1, then those of version 2."""
    quota = int(limits.cpus * _PERIOD)
    return {
        "memory": [
            ("memory.limit_in_bytes", str(limits.memory)),
            ("memory.memsw.limit_in_bytes", str(limits.memory)),
            ("memory.max", str(limits.memory)),
            ("memory.swap.max", "0"),
        ],
        "pids": [("pids.max", str(limits.processes))],
        "cpu": [("cpu.cfs_quota_us", str(quota)), ("cpu.max", f"{quota} {_PERIOD}")],
    }[controller]


def _end(place: Path) -> None:
    """Kill the processes of a group."""
    with contextlib.suppress(OSError):
        for process in (place / "cgroup.procs").read_text().split():
            if process != "0":  # of another namespace; kill(0) would signal our own group
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)


def _remove(place: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while place.exists():
        try:
            place.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                return
            time.sleep(0.005)
