"""Limits of the kernel that sandboxes share, and how far to raise them.

The kernel counts some things for each user, and all agents in Docker have the same number; it
counts others once for the whole machine. At such a limit, one sandbox has used up what others need.
Raised to these values, a sandbox reaches its own bounds first: what is counted here takes kernel
memory that counts as the sandbox's.
"""

from pathlib import Path

_MOST = (1 << 31) - 1
RAISED = {
    "fs.aio-max-nr": _MOST,
    "fs.epoll.max_user_watches": _MOST,
    "fs.inotify.max_user_instances": _MOST,
    "fs.inotify.max_user_watches": _MOST,
    "fs.pipe-user-pages-soft": 0,  # no limit: beyond one, pipes shrink to a page
}
"""Values by the name that sysctl takes."""


def too_low() -> list[str]:
    """The settings of this machine by which one sandbox can hinder others, as NAME=VALUE."""
    found = {name: _value(name) for name in RAISED}
    return [
        f"{name}={wanted}"
        for name, wanted in RAISED.items()
        if (value := found[name]) is not None and (value < wanted if wanted else value != 0)
    ]


def _value(name: str) -> int | None:
    """The setting; None if this kernel has none."""
    try:
        return int(Path("/proc/sys", *name.split(".")).read_text())
    except (OSError, ValueError):
        return None
