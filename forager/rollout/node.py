"""What runs on the nodes of a cluster, and how it reaches the meter that they share."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from forager.agent.tool import Toolbox
from forager.rollout.live import Live
from forager.rollout.meter import Meter
from forager.rollout.settings import Budget, RunSettings
from forager.rollout.trouble import foreseen
from forager.rollout.worker import Ended, Job, MakeModel, Worker
from forager.sandboxes.delivery import available
from forager.trajectories.record import Usage
from forager.trajectories.store import AttemptWriter

_WAITING = "waiting"  # the threads of the meter in which requests wait


class NodeWorker:
    """What runs on a node: a worker, and its shard."""

    def __init__(
        self, run: Path, settings: RunSettings, model: MakeModel, toolbox: Toolbox, meter: Any
    ) -> None:
        self._sandbox, self._meter = settings.sandbox, meter
        self._writer = AttemptWriter(run)
        self._worker = Worker(settings, model, toolbox, self._writer.append, Live(run))

    def images(self) -> set[str]:
        """The images that this node has."""
        return available(self._sandbox)

    def work(self, job: Job) -> Ended:
        """Make an attempt and keep it."""
        ended = self._worker.work(job, self._meter)
        return replace(ended, error=foreseen(ended.error)) if ended.error else ended

    def close(self) -> None:
        """End what is under way."""
        self._worker.close()
        self._writer.close()


def start_meter(
    ray: Any, budget: Budget, spent: Mapping[str, Usage], waiting: int, **options: Any
) -> Any:
    """The cluster's meter, an actor. So many requests wait in it, in threads of their own.

    Whoever tells of the end of one, or of a node that is gone, waits behind none of them.
    """
    groups = {_WAITING: waiting}
    actor = ray.remote(num_cpus=0, max_concurrency=16, concurrency_groups=groups, **options)(Meter)
    return actor.remote(budget, spent)


class RemoteMeter:
    """Stands for the cluster's meter on a node; implements SharedMeter.

    `who` names the node's worker, and not the node, which may get another one.
    """

    def __init__(self, actor: Any, who: str, budget: Budget) -> None:
        self._actor, self._who = actor, who
        self._paced = budget.requests_per_minute or budget.concurrent_requests

    def check(self) -> None:
        """Raise BudgetSpent or Stopped where no attempt may go on."""
        self._ask("check")

    def spend(self, model: str, usage: Usage) -> None:
        """Count what a request has cost."""
        self._ask("spend", model, usage)

    def enter(self, url: str) -> None:
        """Wait until a request may be made."""
        if self._paced:
            self._ask("enter", url, self._who, concurrency_group=_WAITING)
        else:
            self._ask("check")

    def leave(self, url: str) -> None:
        """A request has ended."""
        if self._paced:
            self._ask("leave", url, self._who)

    def _ask(self, method: str, *arguments: object, **options: str) -> None:
        import ray

        try:
            ray.get(getattr(self._actor, method).options(**options).remote(*arguments))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
