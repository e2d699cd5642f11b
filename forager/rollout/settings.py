"""What a run was asked to do, as `forager run` resolved it."""

from pathlib import Path

from pydantic import Field

from forager.agent.loop import SYSTEM
from forager.config import load_settings
from forager.records import Record
from forager.sandboxes.sandbox import Limits
from forager.trajectories.record import AttemptLimits, Sampling, Usage

MAY_CHANGE = (
    *("attempts", "workers", "urls", "key_env", "enough", "budget", "executor", "address"),
    *("images", "warm"),
)
"""Settings that do not decide what an attempt is: a run may be resumed with others."""


class Price(Record):
    """What a model's tokens cost, a million of them."""

    prompt: float = Field(0.0, ge=0)
    completion: float = Field(0.0, ge=0)

    def of(self, usage: Usage) -> float:
        """What so many tokens cost."""
        spent = usage.prompt_tokens * self.prompt + usage.completion_tokens * self.completion
        return spent / 1e6


class Budget(Record):
    """What a run may spend, and how fast; None is without a bound."""

    tokens: int | None = Field(None, gt=0, description="Prompt and completion, of the whole run.")
    money: float | None = Field(None, gt=0, description="Of the whole run, by `prices`.")
    seconds: float | None = Field(None, gt=0, description="Wall time, from each start of the run.")
    requests_per_minute: float | None = Field(None, gt=0, description="To each endpoint.")
    concurrent_requests: int | None = Field(None, gt=0, description="At each endpoint.")
    prices: dict[str, Price] = Field({}, description="By the name of the model.")

    @classmethod
    def read(cls, path: Path) -> "Budget":
        """Read it from a TOML file. Raises UsageError."""
        return load_settings(path, cls)


FAILURE, MIDDLE = "failure", "middle"


class Branch(Record):
    """The attempts of another run that those of a run go on from."""

    run: str = Field(description="Directory of the other run.")
    turn: str = Field(
        "",
        description="The first turn that is made anew: a number, `middle`, or `failure` (the last "
        "failing call); empty where each attempt was taken over by itself.",
    )
    resolved: bool | None = Field(None, description="Only attempts that are resolved, or are not.")
    tags: tuple[str, ...] = Field((), description="Only attempts that have all of them.")


class RunSettings(Record):
    """The settings of a run; saved in its directory as settings.json.

    The attempts at a task are numbered through rounds: in each round every model makes one.
    """

    models: list[str] = Field(description="`repair`, `oracle`, or models of the endpoints.")
    urls: list[str] = Field(
        [], description="OpenAI-compatible endpoints; none for `repair` and `oracle`."
    )
    key_env: str = Field("OPENAI_API_KEY", description="Variable that holds the endpoints' key.")
    attempts: int = Field(1, description="Attempts at each task by each model.")
    workers: int = Field(1, description="Attempts at a time.")
    warm: int = Field(2, ge=0, description="Sandboxes of an image that wait to be wanted, at most.")
    enough: int | None = Field(None, description="Successes after which a task is left.")
    budget: Budget = Budget()
    executor: str = Field("local", description="Where attempts are made: local or ray.")
    address: str = Field("", description="Of the Ray cluster; empty for the one that is here.")
    images: str = Field(
        "", description="Registry, or directory of archives, for images that a machine lacks."
    )
    syntax: str = Field("functions", description="How calls are written: functions or text.")
    system: str = Field(
        SYSTEM, description="The system prompt; {instructions} becomes how calls are written."
    )
    token_ids: bool = Field(False, description="Whether token ids and log-probabilities are kept.")
    sampling: Sampling = Sampling()
    temperatures: list[float] = Field(
        [], description="The temperature of each round; the last one holds for all that follow."
    )
    limits: AttemptLimits = AttemptLimits()
    sandbox: str = Field("docker", description="Where commands run: docker or bubblewrap.")
    sandbox_limits: Limits = Limits()
    branch: Branch | None = Field(None, description="What its attempts go on from; nothing: None.")

    @property
    def numbers(self) -> range:
        """The numbers of the attempts at a task."""
        return range(self.attempts * len(self.models))

    def model_of(self, number: int) -> str:
        """The model that makes the attempt of this number."""
        return self.models[number % len(self.models)]

    def sampling_of(self, number: int) -> Sampling:
        """How the attempt of this number draws tokens: its round's temperature, its own seed."""
        turn, seed = number // len(self.models), self.sampling.seed
        update: dict[str, float | int | None] = {"seed": None if seed is None else seed + turn}
        if self.temperatures:
            update["temperature"] = self.temperatures[min(turn, len(self.temperatures) - 1)]
        return self.sampling.model_copy(update=update)
