"""The processes of a training, started and watched: on this machine, on several, or on Ray."""

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

_LOOK_SECONDS = 0.2


def run_ranks(directory: Path, settings: TrainSettings, look: Callable[[], None]) -> None:
    """Run all processes to their end; `look` is called some times a second.

    Raises TrainingError with the log's tail; nothing runs any more then.
    """
    with ranks(directory, settings) as running:
        while (code := running.ended()) is None:
            look()
            time.sleep(_LOOK_SECONDS)
        look()
        if code:
            tail = running.tail()
            raise TrainingError(
                f"{_what_happened(code, tail)} (logs in {directory / 'logs'})", tail
            )


@contextmanager
def ranks(directory: Path, settings: TrainSettings) -> Iterator[Ranks]:
    """The processes, which have ended when the context ends."""
    if settings.executor == "ray":
        from forager.learning.train.on_ray import RayRanks

        with RayRanks(directory, settings) as running:
            yield running
        return
    start = _of_hosts if settings.executor == "hosts" else _of_this_machine
    with ExitStack() as stack:
        yield LocalRanks([stack.enter_context(one) for one in start(directory, settings)])


class LocalRanks:
    """Processes that were started from here; implements Ranks."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children
        self._failed = children[0]

    def ended(self) -> int | None:
        """See Ranks."""
        codes = [one.ended() for one in self._children]
        for child, code in zip(self._children, codes, strict=True):
            if code:
                self._failed = child
                return code
        return None if None in codes else 0

    def tail(self) -> str:
        """See Ranks."""
        return self._failed.tail()


def _of_this_machine(directory: Path, settings: TrainSettings) -> Iterator[Child]:
    """A process a rank."""
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
    """DeepSpeed's launcher, which starts the processes over ssh (pdsh) on the file's hosts."""
    launcher = [sys.executable, "-P", "-m", "deepspeed.launcher.runner"]
    options = ["--hostfile", settings.hostfile, "--master_addr", _first_host(settings.hostfile)]
    options += ["--master_port", str(free_port())]
    options += ["--no_ssh_check"]  # which asks this machine to reach itself too
    program = ["--no_local_rank", "--module", PROGRAM[-1], str(directory)]
    log = directory / "logs" / "launcher.log"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **accelerator()}
    yield Child([*launcher, *options, *program], log, environment, Path.cwd())


def _first_host(hostfile: str) -> str:
    """Where rank 0 runs and all meet; DeepSpeed would ask it by ssh. Raises UsageError."""
    try:
        lines = Path(hostfile).read_text().splitlines()
    except OSError as error:
        raise UsageError(f"cannot read {hostfile}: {error.strerror}") from error
    hosts = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    if not hosts:
        raise UsageError(f"{hostfile} names no host; a line is such as `worker-1 slots=8`")
    return hosts[0]


def _what_happened(code: int, tail: str) -> str:
    """One line: what a process's end and its last lines say."""
    said = [line for line in tail.splitlines() if line.strip()]
    for line in reversed(said):
        if found := re.search(r"forager: (.*)", line):
            return found[1]
    if re.search(r"OutOfMemoryError|out of memory|can't allocate memory", tail):
        return "out of memory; fewer row_tokens, gradient_checkpointing, zero or lora need less"
    if code == 137:
        return "a process was killed (SIGKILL): is the machine out of memory?"
    return f"a process ended with {code}: {said[-1].strip() if said else 'it said nothing'}"
