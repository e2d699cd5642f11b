"""The sampler seam: who writes the agent's tokens, with which weights, and when these change.

Weights change between requests: a closed `VersionGate` holds back requests after those under way
have ended. So each answer comes from one version, which its record names.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Condition
from typing import Any, Protocol, Self

from forager.agent.model import Model, Reply
from forager.agent.traffic import RateLimiter
from forager.errors import Stopped
from forager.rollout.settings import RunSettings
from forager.rollout.worker import Job
from forager.trajectories.record import Message, ToolCall


class Sampler(Protocol):
    """Samples with the current weights. A context manager, which frees them at the end.

    `load` is called while no request is under way.
    """

    @property
    def urls(self) -> list[str]:
        """Endpoints that answer; none if it samples in this process."""
        ...

    def load(self, model: Path, version: int) -> None:
        """Take the weights in a directory, and forget what was computed with the earlier ones."""
        ...

    def model(self, job: Job, settings: RunSettings, limiter: RateLimiter) -> Model:
        """The model of an attempt; groups have `settings.attempts` attempts, by their numbers."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


class VersionSource(Protocol):
    """Knows which version answers a request."""

    def request(self) -> AbstractContextManager[int]:
        """Make a request: yield the version that answers. Raises Stopped."""
        ...


class VersionGate:
    """Lets requests through, or holds them back; used by many threads; implements VersionSource."""

    def __init__(self) -> None:
        self.version = 0
        self._changed = Condition()
        self._under_way = 0
        self._reasons: set[str] = set()  # to hold requests back
        self._stopped = False

    @contextmanager
    def request(self) -> Iterator[int]:
        """Make a request: yield the version that answers. Raises Stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._reasons)
            if self._stopped:
                raise Stopped("the run is stopping")
            self._under_way += 1
        try:
            yield self.version
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def close(self, reason: str) -> None:
        """Hold back further requests until `open`, and wait for those under way."""
        with self._changed:
            self._reasons.add(reason)
            self._changed.wait_for(lambda: not self._under_way)

    def open(self, reason: str) -> None:
        """Hold requests back for this reason no longer."""
        with self._changed:
            self._reasons.discard(reason)
            self._changed.notify_all()

    def stop(self) -> None:
        """Let no more requests through."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


class GatedModel:
    """A model whose answers carry the version of their weights; implements Model.

    The time that a request is held back does not count as the attempt's. It has no `tuned`: an
    agent that samples in its own way would not sample from the policy.
    """

    def __init__(self, model: Model, gate: VersionSource) -> None:
        self._model, self._gate = model, gate

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        """Answer the conversation. Raises what the model raises, and Stopped."""
        began = time.monotonic()
        with self._gate.request() as version:
            held = time.monotonic() - began
            reply = self._model.query(messages, tools, calls)
        return replace(reply, policy_version=version, waited=reply.waited + held)


class GatedModels:
    """Makes the models of attempts; implements ModelFactory."""

    def __init__(self, sampler: Sampler, settings: RunSettings, gate: VersionGate) -> None:
        self._sampler, self._settings, self._gate = sampler, settings, gate

    def under(self, settings: RunSettings) -> "GatedModels":
        """The same weights under other settings."""
        return GatedModels(self._sampler, settings, self._gate)

    def __call__(self, job: Job, limiter: RateLimiter) -> Model:
        """The model of the attempt."""
        return GatedModel(self._sampler.model(job, self._settings, limiter), self._gate)
