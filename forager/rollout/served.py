"""The model of an attempt that servers answer."""

from collections.abc import Sequence

from forager.agent.chat import ChatModel
from forager.agent.endpoint import ChatEndpoint, normalised
from forager.agent.traffic import TRAFFIC, RateLimiter
from forager.rollout.settings import RunSettings
from forager.rollout.worker import Job


def served_model(
    urls: Sequence[str], settings: RunSettings, job: Job, limiter: RateLimiter, key: str = ""
) -> ChatModel:
    """The model of an attempt, which stays with one endpoint, as that caches its prompt.

    `key` defaults to the variable that the settings name.
    """
    url, *others = TRAFFIC.least_busy_first(list(map(normalised, urls)))
    endpoint = ChatEndpoint(
        url, key, others=tuple(others), key_env=settings.key_env, api=settings.api
    )
    name, sampling = settings.model_of(job.number), settings.sampling_of(job.number)
    return ChatModel(name, endpoint, sampling, settings.token_ids, limiter=limiter)
