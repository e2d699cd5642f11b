"""What the requests of a run cost and how often they are made, over all its attempts.

Paces are kept here rather than by a package: those that there are count in wall time or keep a
thread of their own, and this is an addition.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from threading import Condition
from typing import Any, Protocol

from forager.agent.model import Model, Reply
from forager.agent.traffic import Gate
from forager.errors import BudgetSpent, NodeLost, Stopped
from forager.rollout.settings import Budget, Price
from forager.trajectories.record import Message, ToolCall, Usage


class SharedMeter(Gate, Protocol):
    """What attempts need of a meter; on a cluster it stands for one in another process."""

    def check(self) -> None:
        """Raise BudgetSpent or Stopped where no attempt may go on."""
        ...

    def spend(self, model: str, usage: Usage) -> None:
        """Count what a request has cost."""
        ...


class Meter:
    """Counts tokens and money, and lets requests through as fast as the budget allows.

    `spent` is what the run has cost before, by model. Used by many threads. On a cluster it is an
    actor, and requests are also counted by who makes them, for nodes may be lost.
    """

    def __init__(self, budget: Budget, spent: Mapping[str, Usage] = {}) -> None:
        self._budget = budget
        self._spent = dict(spent)
        self._changed = Condition()
        self._under_way: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by endpoint
        self._gone: set[str] = set()
        self._next: dict[str, float] = {}  # when the next request may be made
        self._end = time.monotonic() + (budget.seconds or float("inf"))
        self._stopped = False

    def check(self) -> None:
        """Raise BudgetSpent or Stopped where no attempt may go on."""
        with self._changed:
            self._check()

    def spend(self, model: str, usage: Usage) -> None:
        """Count what a request has cost."""
        with self._changed:
            self._spent[model] = self._spent.get(model, Usage()) + usage

    def enter(self, url: str, who: str = "") -> None:
        """Wait until a request may be made to the endpoint.

        Raises BudgetSpent, Stopped, and NodeLost for one who was forgotten, also while it waits.
        """
        limit = self._budget.concurrent_requests or float("inf")
        with self._changed:
            while True:
                self._check()
                if who in self._gone:
                    raise NodeLost("this node was taken for lost")
                wait = self._next.get(url, 0.0) - time.monotonic()
                free = self._under_way[url].total() < limit
                if free and wait <= 0:
                    break
                left = self._end - time.monotonic()
                longest = min(left, wait) if free else left
                self._changed.wait(None if longest == float("inf") else max(0.0, longest))
            self._under_way[url][who] += 1
            if self._budget.requests_per_minute:
                self._next[url] = time.monotonic() + 60 / self._budget.requests_per_minute

    def leave(self, url: str, who: str = "") -> None:
        """A request has ended."""
        with self._changed:
            if who not in self._gone:
                self._under_way[url][who] -= 1
            self._changed.notify_all()

    def forget(self, who: str) -> None:
        """One who makes requests is gone: those under way have ended, and none is let through."""
        with self._changed:
            self._gone.add(who)
            for counts in self._under_way.values():
                counts.pop(who, None)
            self._changed.notify_all()

    def stop(self) -> None:
        """End the attempts that are under way at their next request."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _check(self) -> None:
        if self._stopped:
            raise Stopped("the run is being ended")
        budget = self._budget
        tokens = sum(one.prompt_tokens + one.completion_tokens for one in self._spent.values())
        if budget.tokens is not None and tokens >= budget.tokens:
            raise BudgetSpent(f"the run's {budget.tokens:,} tokens are spent")
        money = sum(budget.prices.get(name, Price()).of(one) for name, one in self._spent.items())
        if budget.money is not None and money >= budget.money:
            raise BudgetSpent(f"the run's money, {budget.money:,.2f}, is spent")
        if time.monotonic() >= self._end:
            raise BudgetSpent(f"the run's {budget.seconds:,.0f} seconds are over")


class MeteredModel:
    """A model whose requests are counted; implements Model."""

    def __init__(self, model: Model, name: str, meter: SharedMeter) -> None:
        self._model, self._name, self._meter = model, name, meter
        self.usage = Usage()

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        """Answer the conversation. Raises BudgetSpent and Stopped too."""
        self._meter.check()
        reply = self._model.query(messages, tools, calls)
        self.usage += reply.usage
        self._meter.spend(self._name, reply.usage)
        return reply
