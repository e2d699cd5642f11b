"""The actor on each node of a cluster, and its access to the meter that all nodes share."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from forager.agent.faults import foreseen
from forager.agent.tool import Toolbox
from forager.rollout.live import Live
from forager.rollout.meter import Meter
from forager.rollout.settings import Budget, RunSettings
from forager.rollout.worker import Job, JobResult, ModelFactory, Worker
from forager.sandboxes.delivery import available
from forager.trajectories.record import Usage
from forager.trajectories.store import AttemptWriter

_WAITING = "waiting"  # the meter's threads in which requests wait


class NodeWorker:
    """A worker on a node, with a shard of its own."""

    def __init__(
        self, run: Path, settings: RunSettings, model: ModelFactory, toolbox: Toolbox, meter: Any
    ) -> None:
        self._sandbox, self._meter = settings.sandbox, meter
        self._writer = AttemptWriter(run)
        self._worker = Worker(settings, model, toolbox, self._writer.append, Live(run))

    def images(self) -> set[str]:
        """The images that this node has."""
        return available(self._sandbox)

    def work(self, job: Job) -> JobResult:
        """Make an attempt and store it."""
        result = self._worker.work(job, self._meter)
        return replace(result, error=foreseen(result.error)) if result.error else result

    def close(self) -> None:
        """Stop the attempts that are running."""
        self._worker.close()
        self._writer.close()


def start_meter(
    ray: Any, budget: Budget, spent: Mapping[str, Usage], waiting: int, **options: Any
) -> Any:
    """Start the cluster's meter, an actor. Up to `waiting` requests wait in threads of their own.

    So a call that ends a request, or reports a lost node, never waits behind them.
    """
    groups = {_WAITING: waiting}
    actor = ray.remote(num_cpus=0, max_concurrency=16, concurrency_groups=groups, **options)(Meter)
    return actor.remote(budget, spent)


class RemoteMeter:
    """Calls the cluster's meter from a node; implements SharedMeter.

    `who` names the node's worker rather than the node, which may get another worker.
    """

    def __init__(self, actor: Any, who: str, budget: Budget) -> None:
        self._actor, self._who = actor, who
        self._paced = budget.requests_per_minute or budget.concurrent_requests

    def check(self) -> None:
        """Raise BudgetSpent or Stopped if no attempt may continue."""
        self._ask("check")

    def spend(self, model: str, usage: Usage) -> None:
        """Add the cost of a request."""
        self._ask("spend", model, usage)

    def enter(self, url: str) -> None:
        """Wait until a request may be made."""
        if self._paced:
            self._ask("enter", url, self._who, concurrency_group=_WAITING)
        else:
            self._ask("check")

    def leave(self, url: str) -> None:
        """Note that a request has ended."""
        if self._paced:
            self._ask("leave", url, self._who)

    def _ask(self, method: str, *arguments: object, **options: str) -> None:
        import ray

        try:
            ray.get(getattr(self._actor, method).options(**options).remote(*arguments))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
