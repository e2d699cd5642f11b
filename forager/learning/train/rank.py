"""The processes (ranks) of a training: program, environment, common protocol."""

import os
import socket
from pathlib import Path
from typing import Protocol

PROGRAM = ["-P", "-m", "forager.learning.train.program"]
_KEPT = 1 << 33  # bytes
_MALLOC = ":".join(
    f"glibc.malloc.{name}={value}"
    for name, value in {
        "hugetlb": 1,
        "mmap_threshold": _KEPT,
        "trim_threshold": _KEPT,
        "top_pad": 1 << 26,
    }.items()
)
"""For training on a CPU: freed activations stay with the process, in huge pages. By default each
step gives them back and clears new pages. Other C libraries ignore it.
"""


class Ranks(Protocol):
    """The processes of a training."""

    def ended(self) -> int | None:
        """The first exit code other than 0; 0 when all have ended; None while they run."""
        ...

    def tail(self) -> str:
        """The last lines of the log of the process that failed."""
        ...


def rank_environment(
    rank: int, local_rank: int, processes: int, host: str, port: int
) -> dict[str, str]:
    """Environment variables of a rank."""
    cores = len(os.sched_getaffinity(0))
    return {
        "OMP_NUM_THREADS": str(max(1, cores // processes)),
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads slow other work down twentyfold
        "GLIBC_TUNABLES": _MALLOC,
        "TOKENIZERS_PARALLELISM": "false",
        **os.environ,
        **accelerator(),
        "RANK": str(rank),
        "LOCAL_RANK": str(local_rank),
        "WORLD_SIZE": str(processes),
        "MASTER_ADDR": host,
        "MASTER_PORT": str(port),
    }


def accelerator() -> dict[str, str]:
    """The variable that tells DeepSpeed if there is no GPU, found without importing torch."""
    if "DS_ACCELERATOR" in os.environ or Path("/proc/driver/nvidia/version").exists():
        return {}
    return {} if Path("/dev/kfd").exists() else {"DS_ACCELERATOR": "cpu"}


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        port: int = listener.getsockname()[1]
        return port
