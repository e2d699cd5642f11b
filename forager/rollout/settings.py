"""What a run was asked to do, as `forager run` resolved it."""

from pydantic import Field

from forager.environments.sandbox import Limits
from forager.records import Record
from forager.trajectories.record import AttemptLimits, Sampling

MAY_CHANGE = ("attempts", "workers", "url", "key_env")
"""Settings that do not decide what an attempt is: a run may be resumed with others."""


class RunSettings(Record):
    """The settings of a run; saved in its directory as settings.json."""

    model: str = Field(description="`repair`, or a model of the endpoint.")
    url: str = Field("", description="OpenAI-compatible endpoint; empty for `repair`.")
    key_env: str = Field("OPENAI_API_KEY", description="Variable that holds the endpoint's key.")
    attempts: int = Field(1, description="Attempts at each task.")
    workers: int = Field(1, description="Attempts at a time.")
    syntax: str = Field("functions", description="How calls are written: functions or text.")
    token_ids: bool = Field(False, description="Whether token ids and log-probabilities are kept.")
    sampling: Sampling = Sampling()
    limits: AttemptLimits = AttemptLimits()
    sandbox: str = Field("docker", description="Where commands run: docker or bubblewrap.")
    sandbox_limits: Limits = Limits()
