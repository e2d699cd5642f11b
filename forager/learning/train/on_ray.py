"""The processes of a training on a Ray cluster: one actor per rank runs the same program.

All nodes must see base, data and training under the same paths.
"""

import sys
from pathlib import Path
from typing import Any, Self

from forager.errors import TrainingError, UsageError
from forager.learning.child import Child
from forager.learning.train.rank import PROGRAM, free_port, rank_environment
from forager.learning.train.settings import TrainSettings
from forager.rollout.cluster import connected

_STOP_SECONDS = 20.0


class RankActor:
    """Runs a rank on its node."""

    def __init__(self) -> None:
        self._child: Child | None = None

    def place(self) -> tuple[str, int]:
        """The address of this node, and a free port."""
        import ray

        address: Any = ray.util.get_node_ip_address
        return address(), free_port()

    def start(self, directory: str, rank: int, processes: int, host: str, port: int) -> None:
        """Start the program."""
        environment = rank_environment(rank, 0, processes, host, port)
        log = Path(directory) / "logs" / f"rank-{rank}.log"
        command = [sys.executable, *PROGRAM, directory]
        self._child = Child(command, log, environment, Path.cwd())

    def state(self) -> tuple[int | None, str]:
        """The exit code (None while it runs), and the last lines of the log."""
        assert self._child
        return self._child.ended(), self._child.tail()

    def stop(self) -> None:
        """End the program."""
        if self._child:
            self._child.stop()


class RayRanks:
    """The ranks on a cluster; a context manager that implements Ranks."""

    def __init__(self, directory: Path, settings: TrainSettings) -> None:
        self._directory, self._settings = directory, settings
        self._ray = connected(settings.address or "")
        self._actors: list[Any] = []
        self._tail = ""

    def ended(self) -> int | None:
        """The exit code, as in Ranks. Raises TrainingError if a node is lost."""
        try:
            states = self._ray.get([actor.state.remote() for actor in self._actors])
        except self._ray.exceptions.RayError as error:
            raise TrainingError(f"the cluster lost a node: {error}") from error
        for code, tail in states:
            if code:
                self._tail = tail
                return int(code)
        return None if any(code is None for code, _ in states) else 0

    def tail(self) -> str:
        """The last lines of the log of the rank that failed."""
        return self._tail

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._ray.shutdown()
            raise
        return self

    def _start(self) -> None:
        ray, processes = self._ray, self._settings.processes
        gpus = 1 if ray.cluster_resources().get("GPU") else 0
        needed = {"CPU": processes, "GPU": gpus * processes}
        found = ray.cluster_resources()
        lacking = [name for name, count in needed.items() if found.get(name, 0) < count]
        if lacking:
            raise UsageError(
                f"{processes} processes need {needed[lacking[0]]} {lacking[0]} of the Ray cluster, "
                f"which has {found.get(lacking[0], 0):g}"
            )
        kind = ray.remote(RankActor).options(num_cpus=1, num_gpus=gpus, max_concurrency=2)
        self._actors = [kind.remote() for _ in range(processes)]
        host, port = ray.get(self._actors[0].place.remote())
        directory = str(self._directory)
        ray.get(
            [
                actor.start.remote(directory, rank, processes, host, port)
                for rank, actor in enumerate(self._actors)
            ]
        )

    def __exit__(self, *exception: object) -> None:
        stopping = [actor.stop.remote() for actor in self._actors]
        self._ray.wait(stopping, num_returns=len(stopping), timeout=_STOP_SECONDS)
        for actor in self._actors:
            self._ray.kill(actor)
        self._ray.shutdown()
