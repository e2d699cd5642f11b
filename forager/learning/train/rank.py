"""One process of a training: its program, its environment, and what is asked of all of them."""

import os
import socket
from pathlib import Path
from typing import Protocol

PROGRAM = ["-P", "-m", "forager.learning.train.program"]


class Ranks(Protocol):
    """The processes of a training."""

    def ended(self) -> int | None:
        """The first exit code that is not 0, 0 when all have ended well, None while they run."""
        ...

    def tail(self) -> str:
        """The last lines of the log that tells most."""
        ...


def rank_environment(
    rank: int, local_rank: int, processes: int, host: str, port: int
) -> dict[str, str]:
    """What a rank's process finds in its environment."""
    cores = len(os.sched_getaffinity(0))
    return {
        "OMP_NUM_THREADS": str(max(1, cores // processes)),
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin beside other work cost it twentyfold
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
    """DeepSpeed must be told where there is no GPU; the driver's files say so without torch."""
    if "DS_ACCELERATOR" in os.environ or Path("/proc/driver/nvidia/version").exists():
        return {}
    return {} if Path("/dev/kfd").exists() else {"DS_ACCELERATOR": "cpu"}


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        port: int = listener.getsockname()[1]
        return port
