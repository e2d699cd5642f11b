"""What runs on the nodes of a cluster, and how it reaches the meter that they share."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forager.agent.tool import Toolbox
from forager.environments.delivery import available
from forager.rollout.live import Live
from forager.rollout.meter import Meter
from forager.rollout.settings import Budget, RunSettings
from forager.rollout.worker import Ended, Job, MakeModel, Worker
from forager.trajectories.record import Usage
from forager.trajectories.store import AttemptWriter


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
        return self._worker.work(job, self._meter)

    def close(self) -> None:
        """End what is under way."""
        self._worker.close()
        self._writer.close()


class MeterActor:
    """The cluster's meter; knows which node's requests are under way, for nodes may be lost."""

    def __init__(self, budget: Budget, spent: Mapping[str, Usage]) -> None:
        self._meter = Meter(budget, spent)
        self._under_way: Counter[tuple[str, str]] = Counter()

    def check(self) -> None:
        """Raise BudgetSpent or Stopped where no attempt may go on."""
        self._meter.check()

    def spend(self, model: str, usage: Usage) -> None:
        """Count what a request has cost."""
        self._meter.spend(model, usage)

    def enter(self, url: str, node: str) -> None:
        """Wait until a request may be made."""
        self._meter.enter(url)
        self._under_way[url, node] += 1

    def leave(self, url: str, node: str) -> None:
        """A request has ended."""
        self._under_way[url, node] -= 1
        self._meter.leave(url)

    def forget(self, node: str) -> None:
        """The requests of a node that is gone have ended."""
        for url, other in list(self._under_way):
            if other == node:
                for _ in range(self._under_way.pop((url, other))):
                    self._meter.leave(url)

    def stop(self) -> None:
        """End the attempts that are under way at their next request."""
        self._meter.stop()


class RemoteMeter:
    """Stands for the cluster's meter on a node; implements SharedMeter."""

    def __init__(self, actor: Any, node: str, budget: Budget) -> None:
        self._actor, self._node = actor, node
        self._paced = budget.requests_per_minute or budget.concurrent_requests

    def check(self) -> None:
        """Raise BudgetSpent or Stopped where no attempt may go on."""
        self._ask("check")

    def spend(self, model: str, usage: Usage) -> None:
        """Count what a request has cost."""
        self._ask("spend", model, usage)

    def enter(self, url: str) -> None:
        """Wait until a request may be made."""
        self._ask(*("enter", url, self._node) if self._paced else ("check",))

    def leave(self, url: str) -> None:
        """A request has ended."""
        if self._paced:
            self._ask("leave", url, self._node)

    def _ask(self, method: str, *arguments: object) -> None:
        import ray

        try:
            ray.get(getattr(self._actor, method).remote(*arguments))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
