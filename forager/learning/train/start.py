"""Starts the processes of a training on this machine, on several, or on Ray, and waits for them."""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from forager.errors import TrainingError, UsageError
from forager.learning.child import Child
from forager.learning.train.rank import PROGRAM, Ranks, accelerator, free_port, rank_environment
from forager.learning.train.settings import TrainSettings

_POLL_SECONDS = 0.2


def run_ranks(directory: Path, settings: TrainSettings, on_poll: Callable[[], None]) -> None:
    """Run all processes to their end; `on_poll` is called a few times per second.

    Raises TrainingError with the end of the log if a process fails, after stopping the others.
    """
    with ranks(directory, settings) as running:
        while (code := running.ended()) is None:
            on_poll()
            time.sleep(_POLL_SECONDS)
        on_poll()
        if code:
            tail = running.tail()
            raise TrainingError(f"{reason_of(code, tail)} (logs in {directory / 'logs'})", tail)


@contextmanager
def ranks(directory: Path, settings: TrainSettings) -> Iterator[Ranks]:
    """Start the processes; the end of the context stops them."""
    if settings.executor == "ray":
        from forager.learning.train.on_ray import RayRanks

        with RayRanks(directory, settings) as running:
            yield running
        return
    start = _of_hosts if settings.executor == "hosts" else _of_this_machine
    with ExitStack() as stack:
        yield LocalRanks([stack.enter_context(child) for child in start(directory, settings)])


class LocalRanks:
    """Child processes of this one; implements Ranks."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children
        self._failed = children[0]

    def ended(self) -> int | None:
        """The exit code, as in Ranks."""
        codes = [child.ended() for child in self._children]
        for child, code in zip(self._children, codes, strict=True):
            if code:
                self._failed = child
                return code
        return None if None in codes else 0

    def tail(self) -> str:
        """The last lines of the log of the first process that failed."""
        return self._failed.tail()


def _of_this_machine(directory: Path, settings: TrainSettings) -> Iterator[Child]:
    """Yield a process for each rank."""
    port = free_port()
    for rank in range(settings.processes):
        environment = rank_environment(rank, rank, settings.processes, "127.0.0.1", port)
        environment["LOCAL_WORLD_SIZE"] = str(settings.processes)
        yield Child(
            [sys.executable, *PROGRAM, str(directory)],
            directory / "logs" / f"rank-{rank}.log",
            environment,
            Path.cwd(),
        )


def _of_hosts(directory: Path, settings: TrainSettings) -> Iterator[Child]:
    """Yield DeepSpeed's launcher, which starts the processes over ssh (pdsh) on the hosts."""
    launcher = [sys.executable, "-P", "-m", "deepspeed.launcher.runner"]
    options = ["--hostfile", settings.hostfile, "--master_addr", _first_host(settings.hostfile)]
    options += ["--master_port", str(free_port())]
    options += ["--no_ssh_check"]  # the check needs ssh from this machine to itself
    program = ["--no_local_rank", "--module", PROGRAM[-1], str(directory)]
    log = directory / "logs" / "launcher.log"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **accelerator()}
    yield Child([*launcher, *options, *program], log, environment, Path.cwd())


def _first_host(hostfile: str) -> str:
    """The host of rank 0, where all ranks join; DeepSpeed would need ssh. Raises UsageError."""
    try:
        lines = Path(hostfile).read_text().splitlines()
    except OSError as error:
        raise UsageError(f"cannot read {hostfile}: {error.strerror}") from error
    hosts = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    if not hosts:
        raise UsageError(f"{hostfile} names no host; add lines such as `worker-1 slots=8`")
    return hosts[0]


def reason_of(code: int, tail: str) -> str:
    """One line about why a process ended, from its exit code and its last lines."""
    lines = [line for line in tail.splitlines() if line.strip()]
    for line in reversed(lines):
        if found := re.search(r"forager: (.*)", line):
            return found[1]
    if re.search(r"OutOfMemoryError|out of memory|can't allocate memory", tail):
        return "out of memory: lower pack_length, or use gradient_checkpointing, zero_stage or lora"
    if code == 137:
        return "a process was killed (SIGKILL): is the machine out of memory?"
    return f"a process exited with {code}: {lines[-1].strip() if lines else 'no output'}"
