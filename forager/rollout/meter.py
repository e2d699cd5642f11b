"""What the requests of a run cost, and how fast they may be made, over all its attempts.

No package limits the rate here: those available count in wall time or keep a thread of their own,
and this is one addition.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from copy import copy
from threading import Condition
from typing import Any, Protocol

from forager.agent.model import Model, Reply, tuned
from forager.agent.traffic import RateLimiter
from forager.errors import BudgetSpent, NodeLost, Stopped
from forager.rollout.settings import Budget, Price
from forager.trajectories.record import Message, Sampling, ToolCall, Usage


class SharedMeter(RateLimiter, Protocol):
    """The part of a meter that attempts use; on a cluster the meter is in another process."""

    def check(self) -> None:
        """Raise BudgetSpent or Stopped if no attempt may continue."""
        ...

    def spend(self, model: str, usage: Usage) -> None:
        """Add the cost of a request."""
        ...


class Meter:
    """Counts tokens and money, and lets requests through as fast as the budget allows.

    `spent` is the earlier cost of the run, by model. Used by many threads. On a cluster it is an
    actor, and counts requests by node too, as nodes may be lost.
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
        """Raise BudgetSpent or Stopped if no attempt may continue."""
        with self._changed:
            self._check()

    def spend(self, model: str, usage: Usage) -> None:
        """Add the cost of a request."""
        with self._changed:
            self._spent[model] = self._spent.get(model, Usage()) + usage

    def enter(self, url: str, who: str = "") -> None:
        """Wait until a request may be made to the endpoint.

        Raises BudgetSpent, Stopped, and NodeLost if `who` was forgotten, also while waiting.
        """
        limit = self._budget.concurrent_requests or float("inf")
        with self._changed:
            while True:
                self._check()
                if who in self._gone:
                    raise NodeLost("this node counts as lost")
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
        """Note that a request has ended."""
        with self._changed:
            if who not in self._gone:
                self._under_way[url][who] -= 1
            self._changed.notify_all()

    def forget(self, who: str) -> None:
        """Drop the requests of a node that is gone, and let no more of them through."""
        with self._changed:
            self._gone.add(who)
            for counts in self._under_way.values():
                counts.pop(who, None)
            self._changed.notify_all()

    def stop(self) -> None:
        """Stop the running attempts at their next request."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _check(self) -> None:
        if self._stopped:
            raise Stopped("the run is stopping")
        budget = self._budget
        tokens = sum(used.prompt_tokens + used.completion_tokens for used in self._spent.values())
        if budget.tokens is not None and tokens >= budget.tokens:
            raise BudgetSpent(f"the run's {budget.tokens:,} tokens are spent")
        money = sum(budget.prices.get(name, Price()).of(used) for name, used in self._spent.items())
        if budget.money is not None and money >= budget.money:
            raise BudgetSpent(f"the run's money, {budget.money:,.2f}, is spent")
        if time.monotonic() >= self._end:
            raise BudgetSpent(f"the run's {budget.seconds:,.0f} seconds are over")


class MeteredModel:
    """A model whose requests a meter counts; implements Model."""

    def __init__(self, model: Model, name: str, meter: SharedMeter) -> None:
        self._model, self._name, self._meter = model, name, meter
        self._usages: list[Usage] = []  # `tuned` models share it

    @property
    def usage(self) -> Usage:
        """The cost of all requests, those of tuned models included."""
        return sum(self._usages, Usage())

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        """Answer the conversation. Raises what the model raises, BudgetSpent and Stopped."""
        self._meter.check()
        reply = self._model.query(messages, tools, calls)
        self._usages.append(reply.usage)
        self._meter.spend(self._name, reply.usage)
        return reply

    def tuned(self, sampling: Sampling) -> Model:
        """The same model, which samples so where its own settings leave a choice."""
        other = copy(self)
        other._model = tuned(self._model, sampling)
        return other
