"""The models that make attempts, and the model that writes texts for tasks."""

import os
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from forager.agent import NO_URL, ORACLE, REPAIR, SERVERLESS
from forager.errors import UsageError
from forager.logins import LOGINS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from forager.agent.model import Model
    from forager.agent.tool import Toolbox
    from forager.agent.traffic import RateLimiter
    from forager.rollout.settings import RunSettings
    from forager.rollout.worker import Job
    from forager.trajectories.record import Sampling
    from tasks.author import Author


USUAL_URLS = {"messages": ["https://api.anthropic.com/v1"], "litellm": [NO_URL]}
USUAL_KEYS = {"messages": "ANTHROPIC_API_KEY", "litellm": "LITELLM_KEY"}
"""Endpoints and variables of their keys, by `--api`, where another than OpenAI's is usual."""


def endpoints(
    models: list[str], given: "Sequence[str]", hint: str = "; `-m repair` needs no server"
) -> list[str]:
    """The endpoints of the models; none if no model needs a server.

    Raises UsageError, which ends with the hint.
    """
    from forager.agent.custom import needs_server

    asked = list(filter(needs_server, models))
    urls = list(given) or [os.environ.get("OPENAI_BASE_URL") or ""]
    if asked and not all(urls):
        close = get_close_matches(asked[0], SERVERLESS, 1)
        meant = f"; did you mean `-m {close[0]}`?" if close else hint
        raise UsageError(f"{_no_endpoint(asked[0])}{meant}")
    return list(dict.fromkeys(urls)) if asked else []


def _no_endpoint(model: str) -> str:
    return (
        f"the model {model!r} needs an endpoint: give --url http://HOST:PORT/v1 or set "
        "OPENAI_BASE_URL"
    )


class MakeModel:
    """Makes the model of an attempt; picklable, so that the nodes of a cluster can call it."""

    def __init__(self, settings: "RunSettings", toolbox: "Toolbox") -> None:
        self._settings, self._toolbox = settings, toolbox
        self._key = os.environ.get(settings.key_env, "")  # nodes need not have it
        self._logins = LOGINS.of(settings.urls)

    def __call__(self, job: "Job", limiter: "RateLimiter") -> "Model":
        """The model of the attempt, whose requests ask the limiter first."""
        from forager.agent.syntax import SYNTAXES

        settings = self._settings
        name = settings.model_of(job.number)
        if name == REPAIR:
            from forager.repair import RepairModel
            from mutators import REVERSIBLE

            return RepairModel(SYNTAXES[settings.syntax], self._toolbox, REVERSIBLE)

        if name == ORACLE:
            from forager.agent.oracle import OracleModel
            from forager.environments.repository.task import RepositoryTask

            if not isinstance(job.task, RepositoryTask):
                raise UsageError(
                    f"`oracle` needs a reference patch, which {job.task.instance_id} (environment "
                    f"{job.task.environment!r}) has not; choose another model with -m"
                )
            return OracleModel(job.task, SYNTAXES[settings.syntax], self._toolbox)

        from forager.agent.custom import ModelSetup, custom_model, is_custom

        if is_custom(name):
            sampling, syntax = settings.sampling_of(job.number), SYNTAXES[settings.syntax]
            setup = ModelSetup(job.task, job.number, sampling, syntax, self._toolbox)
            return custom_model(name)(setup)

        from forager.rollout.served import served_model

        LOGINS.learn(self._logins)
        return served_model(settings.urls, settings, job, limiter, self._key)


@contextmanager
def open_author(
    given: dict[str, Any], output: "Path", sampling: "Sampling"
) -> "Iterator[Author | None]":
    """The model that writes; it keeps its texts in a file next to `output`."""
    if not given["model"]:
        yield None
        return
    from forager.agent.chat import ChatModel
    from forager.agent.endpoint import ChatEndpoint
    from tasks.author import Author
    from tasks.ledger import written_path

    url = given["url"] or os.environ.get("OPENAI_BASE_URL") or ""
    if not url:
        raise UsageError(_no_endpoint(given["model"]))
    endpoint = ChatEndpoint(url, key_env=given["key_env"])
    model = ChatModel(given["model"], endpoint, sampling)
    with Author(given["model"], model, written_path(output)) as author:
        yield author
