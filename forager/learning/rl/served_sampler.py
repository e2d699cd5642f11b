"""Samples with vLLM: servers that this run starts, or a person's own."""

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from forager.agent.model import Model
from forager.agent.traffic import RateLimiter
from forager.learning.rl.own_servers import OwnServers
from forager.learning.rl.settings import POLICY, RlSettings
from forager.learning.serve.agreement import check_prompts
from forager.learning.serve.server import ModelServer
from forager.rollout.served import served_model
from forager.rollout.settings import RunSettings
from forager.rollout.worker import Job


class ServedSampler:
    """Implements Sampler. Without own servers, one starts with the first weights."""

    def __init__(self, settings: RlSettings, dtype: str, logs: Path) -> None:
        update = {"served_model_name": POLICY, "reload": "in_place"}
        update |= {"dtype": settings.serve.on_this_machine().dtype or dtype}
        self._settings, self._logs = settings.serve.model_copy(update=update), logs
        key_env = settings.run_settings().key_env
        dtype = self._settings.dtype
        self._own = OwnServers(settings.urls, dtype, key_env) if settings.urls else None
        self._server: ModelServer | None = None
        self._stack = ExitStack()

    @property
    def urls(self) -> list[str]:
        """The endpoints."""
        servers = self._own or self._server
        return servers.urls if servers else []

    def load(self, model: Path, version: int) -> None:
        """Serve the weights in a directory. Raises ServeError."""
        del version
        if self._own:
            self._own.load(model)
        elif self._server:
            self._server.reload(model)
        else:
            server = ModelServer(model, self._settings, self._logs)
            self._server = self._stack.enter_context(server)
            for url in self.urls:
                check_prompts(url, POLICY, model)

    def model(self, job: Job, settings: RunSettings, limiter: RateLimiter) -> Model:
        """The model of an attempt."""
        return served_model(self.urls, settings, job, limiter)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
