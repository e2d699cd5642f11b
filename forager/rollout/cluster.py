"""Attempts made on the nodes of a Ray cluster.

Each node has one actor. It reserves what Ray says is free there, makes attempts in threads, and
appends them to a shard of its own in the run directory, which all nodes share. This process chooses
the node of each attempt. Functions import Ray when they need it, as it is an extra.
"""

import logging
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any, Self

from forager.agent.faults import foreseen
from forager.agent.tool import Toolbox
from forager.environments.registry import environment_of
from forager.environments.task import Task
from forager.errors import NodeLost, UsageError
from forager.rollout.node import NodeWorker, RemoteMeter, start_meter
from forager.rollout.settings import RunSettings
from forager.rollout.worker import Job, JobResult, ModelFactory
from forager.trajectories.record import Usage
from forager.trajectories.store import Run
from forager.trajectories.summary import Summary

_LOOK_SECONDS = 5.0  # between looks for new nodes
_START_SECONDS = 120.0  # for the actor of a node to start
_STOP_SECONDS = 10.0


class _Node:
    """A node: its actor, the resources that are free, and its images.

    `life` names this actor: a node whose actor died gets another one.
    """

    def __init__(self, name: str, life: str, actor: Any, cpus: float, memory: float) -> None:
        self.name, self.life, self.actor = name, life, actor
        self.cpus, self.memory = cpus, memory  # free; memory in bytes
        self.images: set[str] = set()
        self.starting = actor.images.remote()


class ClusterExecutor:
    """Makes attempts on the nodes of a Ray cluster; implements Executor."""

    def __init__(
        self,
        path: Path,
        settings: RunSettings,
        model: ModelFactory,
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
        """Raise BudgetSpent if no attempt may start."""
        self._local.check()

    def place(self, job: Job) -> bool:
        """Start a job on the node that has its image and the most room; False without room.

        Nodes without the image are used if they can fetch it, and if no node has it: the error then
        says what is missing.
        """
        if time.monotonic() - self._looked >= _LOOK_SECONDS:
            self._look()
        self._greet()
        cpus, memory = self._needs(job.task)
        ready = [node for node in self._nodes.values() if node.starting is None]
        image = job.task.image
        having = [node for node in ready if image in node.images]
        able = having if having and not self._settings.images else ready
        free = [node for node in able if node.cpus >= cpus and node.memory >= memory]
        if not free:
            self._despair(cpus, memory)
            return False
        node = max(free, key=lambda node: (image in node.images, node.cpus, node.memory))
        node.images.add(image)
        node.cpus, node.memory = node.cpus - cpus, node.memory - memory
        self._under_way[node.actor.work.remote(job)] = job, node
        return True

    def expect(self, job: Job | None) -> None:
        """Do nothing: which node will have room is unknown."""

    def ended(self, timeout: float) -> list[JobResult]:
        """The jobs that have ended; waits for one, `timeout` seconds at most."""
        if not self._under_way:
            time.sleep(timeout)
            return []
        ready, _ = self._ray.wait(list(self._under_way), timeout=timeout)
        return [self._result(reference) for reference in ready]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop the attempts that are running, and free what the actors reserved."""
        ray = self._ray
        self._meter.stop.remote()
        closing = [node.actor.close.remote() for node in self._nodes.values()]
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=_STOP_SECONDS)
        for actor in (self._meter, *(node.actor for node in self._nodes.values())):
            ray.kill(actor)
        ray.shutdown()

    def _result(self, reference: Any) -> JobResult:
        """The result of a job; if its node is gone, the attempt may still have been stored."""
        job, node = self._under_way.pop(reference)
        cpus, memory = self._needs(job.task)
        node.cpus, node.memory = node.cpus + cpus, node.memory + memory
        try:
            result: JobResult = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            return JobResult(job.id, Usage(), error=foreseen(error.cause))
        except self._ray.exceptions.RayError:
            if self._nodes.get(node.name) is node:
                del self._nodes[node.name]
                self._meter.forget.remote(node.life)
            with self._run.index() as index:
                if index.matching(job.id) == [job.id]:
                    return JobResult(job.id, Usage(), Summary.of(index.get(job.id)))
            return JobResult(job.id, Usage(), error=NodeLost(f"node {node.name[:8]} is gone"))
        return result

    def _needs(self, task: Task) -> tuple[float, int]:
        """The processors, and the bytes of memory, that an attempt needs."""
        limits = environment_of(task).limits(task, self._settings.sandbox_limits)
        return limits.cpus, limits.memory

    def _look(self) -> None:
        """Start an actor on each new node, with the resources that are free there."""
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
        """Take over the image lists of nodes whose actors have started."""
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
        """Raise UsageError if nothing runs, and no node has had room for two minutes."""
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
        """The options that place an actor on a node."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}


def connected(address: str) -> Any:
    """Connect Ray to a cluster. Raises UsageError if there is no cluster, or no Ray."""
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
        signal.signal(signal.SIGTERM, handler)  # Ray has replaced it
    return ray
