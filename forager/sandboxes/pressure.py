"""How busy this machine is."""

from pathlib import Path

_PRESSURE = Path("/proc/pressure/cpu")


def waited() -> float:
    """Seconds since boot in which a process of this machine waited for a processor.

    0 where the kernel does not count them.
    """
    try:
        some = _PRESSURE.read_text().split("\n")[0]
        return int(some.rpartition("total=")[2]) / 1e6
    except (OSError, ValueError):
        return 0.0
