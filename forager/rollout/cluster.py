"""Attempts made on the nodes of a Ray cluster.

Each node has one actor, which holds what Ray says is free there, makes attempts in threads, and
appends them to a shard of its own in the run directory, which all nodes see. This process chooses
the node of each attempt. Ray is imported inside the functions: it is an extra.
"""

import logging
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any, Self

from forager.agent.tool import Toolbox
from forager.environments.registry import environment_of
from forager.environments.task import Task
from forager.errors import NodeLost, UsageError
from forager.rollout.node import NodeWorker, RemoteMeter, start_meter
from forager.rollout.settings import RunSettings
from forager.rollout.trouble import foreseen
from forager.rollout.worker import Ended, Job, MakeModel
from forager.trajectories.record import Usage
from forager.trajectories.store import Run
from forager.trajectories.summary import Summary

_LOOK_SECONDS = 5.0  # how often nodes that have come are looked for
_START_SECONDS = 120.0  # for the actor of a node to start
_STOP_SECONDS = 10.0


class _Node:
    """A node: its actor (`life` is the name of this one), what it has, and what is under way."""

    def __init__(self, name: str, life: str, actor: Any, cpus: float, memory: float) -> None:
        self.name, self.life, self.actor = name, life, actor
        self.cpus, self.memory = cpus, memory  # that are free
        self.images: set[str] = set()
        self.starting = actor.images.remote()


class ClusterExecutor:
    """Makes attempts on the nodes of a Ray cluster; implements Executor."""

    def __init__(
        self,
        path: Path,
        settings: RunSettings,
        model: MakeModel,
        toolbox: Toolbox,
        spent: Mapping[str, Usage],
    ) -> None:
        self._ray = connected(settings.address)
        self._run = Run(path.absolute())
        self._settings, self._model, self._toolbox = settings, model, toolbox
        here = self._on(self._ray.get_runtime_context().get_node_id())
        self._meter = start_meter(self._ray, settings.budget, spent, settings.workers + 16, **here)
        self._local = RemoteMeter(self._meter, "", settings.budget)
        self._nodes: dict[str, _Node] = {}
        self._under_way: dict[Any, tuple[Job, _Node]] = {}
        self._looked = self._alone = -_LOOK_SECONDS

    def check(self) -> None:
        """Raise BudgetSpent where no attempt may be begun."""
        self._local.check()

    def place(self, job: Job) -> bool:
        """Begin with a job on the node that has its image and the most room; False without room.

        Others are taken where they can fetch the image, or where no node has it: that says what
        is missing.
        """
        if time.monotonic() - self._looked >= _LOOK_SECONDS:
            self._look()
        self._greet()
        cpus, memory = self._needs(job.task)
        ready = [one for one in self._nodes.values() if one.starting is None]
        image = job.task.image
        having = [one for one in ready if image in one.images]
        able = having if having and not self._settings.images else ready
        free = [one for one in able if one.cpus >= cpus and one.memory >= memory]
        if not free:
            self._despair(cpus, memory)
            return False
        node = max(free, key=lambda one: (image in one.images, one.cpus, one.memory))
        node.images.add(image)
        node.cpus, node.memory = node.cpus - cpus, node.memory - memory
        self._under_way[node.actor.work.remote(job)] = job, node
        return True

    def expect(self, job: Job | None) -> None:
        """Nothing is started beforehand: which node will have room is not known."""

    def ended(self, timeout: float) -> list[Ended]:
        """What has ended; waits for it, `timeout` seconds at most."""
        if not self._under_way:
            time.sleep(timeout)
            return []
        ready, _ = self._ray.wait(list(self._under_way), timeout=timeout)
        return [self._result(one) for one in ready]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """End what is under way, and give back what the actors held."""
        ray = self._ray
        self._meter.stop.remote()
        closing = [one.actor.close.remote() for one in self._nodes.values()]
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=_STOP_SECONDS)
        for actor in (self._meter, *(one.actor for one in self._nodes.values())):
            ray.kill(actor)
        ray.shutdown()

    def _result(self, reference: Any) -> Ended:
        """What became of a job; one whose node is gone may have been kept all the same."""
        job, node = self._under_way.pop(reference)
        cpus, memory = self._needs(job.task)
        node.cpus, node.memory = node.cpus + cpus, node.memory + memory
        try:
            ended: Ended = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            return Ended(job.id, Usage(), error=foreseen(error.cause))
        except self._ray.exceptions.RayError:
            if self._nodes.get(node.name) is node:
                del self._nodes[node.name]
                self._meter.forget.remote(node.life)
            with self._run.index() as index:
                if index.matching(job.id) == [job.id]:
                    return Ended(job.id, Usage(), Summary.of(index.get(job.id)))
            return Ended(job.id, Usage(), error=NodeLost(f"node {node.name[:8]} is gone"))
        return ended

    def _needs(self, task: Task) -> tuple[float, int]:
        """Processors, and bytes of memory, of an attempt."""
        limits = environment_of(task).limits(task, self._settings.sandbox_limits)
        return limits.cpus, limits.memory

    def _look(self) -> None:
        """Start an actor on each node that has come, with what is free there."""
        self._looked = time.monotonic()
        free = self._ray._private.state.available_resources_per_node()
        for node in self._ray.nodes():
            name = node["NodeID"]
            if not node["Alive"] or name in self._nodes or not free.get(name, {}).get("CPU"):
                continue
            cpus, memory = free[name]["CPU"], int(free[name].get("memory", 0))
            actor = self._ray.remote(NodeWorker).options(
                **self._on(name),
                num_cpus=cpus,
                memory=memory,
                max_concurrency=self._settings.workers + 2,
            )
            life = f"{name} {token_hex(4)}"
            meter = RemoteMeter(self._meter, life, self._settings.budget)
            handle = actor.remote(self._run.path, self._settings, self._model, self._toolbox, meter)
            self._nodes[name] = _Node(name, life, handle, cpus, memory)

    def _greet(self) -> None:
        """Learn the images of nodes whose actors have started."""
        for node in list(self._nodes.values()):
            if node.starting is None:
                continue
            ready, _ = self._ray.wait([node.starting], timeout=0)
            try:
                if ready:
                    node.images, node.starting = self._ray.get(node.starting), None
            except self._ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except self._ray.exceptions.RayError:
                del self._nodes[node.name]

    def _despair(self, cpus: float, memory: int) -> None:
        """Raise UsageError where there is nothing under way, and no room for long."""
        if self._under_way:
            self._alone = -_LOOK_SECONDS
        elif self._alone < 0:
            self._alone = time.monotonic()
        elif time.monotonic() - self._alone > _START_SECONDS:
            raise UsageError(
                f"no node of the cluster has {cpus:g} processors and {memory >> 20} MiB free for "
                "an attempt; `ray status` shows what there is"
            )

    def _on(self, node: str) -> dict[str, Any]:
        """Options that put an actor on a node."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}


def connected(address: str) -> Any:
    """Ray, connected to a cluster. Raises UsageError where there is none, or no Ray."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UsageError("--executor ray needs ray: pip install -e '.[ray]'") from error
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address or None, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"no Ray cluster answers at {address or 'this machine'}: {str(error).splitlines()[0]}"
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # Ray has put one of its own there
    return ray
