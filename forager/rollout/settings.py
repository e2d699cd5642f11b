"""The settings of a run, as `forager run` resolved them."""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, FiniteFloat

from forager.agent.endpoint import Api
from forager.agent.loop import SYSTEM
from forager.config import load_settings
from forager.records import Address, Record
from forager.sandboxes.sandbox import Limits
from forager.trajectories.record import AttemptLimits, Sampling, Usage

MAY_CHANGE = (
    *("attempts", "workers", "urls", "key_env", "stop_after", "budget", "executor", "address"),
    *("images", "warm"),
)
"""Settings that do not change what an attempt is: a run may be resumed with other values."""


class Price(Record):
    """Prices of a model, per million tokens."""

    prompt: float = Field(0.0, ge=0, description="Price of a million prompt tokens.")
    completion: float = Field(0.0, ge=0, description="Price of a million completion tokens.")

    def of(self, usage: Usage) -> float:
        """The cost of this usage."""
        spent = usage.prompt_tokens * self.prompt + usage.completion_tokens * self.completion
        return spent / 1e6


class Budget(Record):
    """What a run may spend, and how fast; None sets no bound."""

    tokens: int | None = Field(
        None, gt=0, description="Prompt and completion tokens of the whole run."
    )
    money: FiniteFloat | None = Field(
        None, gt=0, description="Cost of the whole run, in the currency of `prices`."
    )
    seconds: FiniteFloat | None = Field(
        None, gt=0, description="Wall time of the run, counted from each start."
    )
    requests_per_minute: FiniteFloat | None = Field(
        None, gt=0, description="Requests per minute to each endpoint."
    )
    concurrent_requests: int | None = Field(
        None, gt=0, description="Open requests at each endpoint."
    )
    prices: dict[str, Price] = Field({}, description="Prices of each model, by its name.")

    @classmethod
    def read(cls, path: Path) -> "Budget":
        """Read it from a TOML file. Raises UsageError."""
        return load_settings(path, cls)


FAILURE, MIDDLE = "failure", "middle"


class Branch(Record):
    """The attempts of another run that the attempts of a run continue."""

    run: str = Field(description="Directory of the other run.")
    turn: str = Field(
        "",
        description="First turn that the model makes itself: a number, `middle`, or `failure` (the "
        "last failing call); empty if a person took over each attempt.",
    )
    resolved: bool | None = Field(
        None, description="Continue only resolved (or only unresolved) attempts."
    )
    tags: tuple[str, ...] = Field((), description="Continue only attempts that have this tag.")


class RunSettings(Record):
    """The settings of a run; saved in its directory as settings.json.

    The attempts at a task are numbered through rounds: in each round every model makes one.
    """

    models: list[str] = Field(
        description="Model that makes the attempts: `repair` (needs no server), `oracle` (knows "
        "the reference patch), a model that the endpoint serves, or your own as "
        "package.module:Name (see docs/policy.md). Can be repeated."
    )
    urls: list[Address] = Field(
        [],
        description="OpenAI-compatible endpoint; $OPENAI_BASE_URL by default. Can be repeated: "
        "attempts are spread over the endpoints, and another one answers when one fails.",
    )
    key_env: str = Field(
        "OPENAI_API_KEY", description="Environment variable that holds the key of the endpoints."
    )
    agent: str = Field(
        "",
        description="Command of another agent that makes the attempts. It runs in the sandbox; "
        "$FORAGER_PROMPT is the task, and its requests to a model go to MODEL "
        "(see docs/agents.md).",
    )
    agent_files: list[str] = Field(
        [],
        description="Directory that the sandboxes of --agent have at the same path, read-only. "
        "Can be repeated.",
    )
    api: Api = Field(
        "chat",
        description="How the endpoint is asked: chat completions and responses as OpenAI defines "
        "them, messages as Anthropic does, or through the package litellm.",
    )
    attempts: int = Field(1, ge=1, description="Number of attempts at each task by each model.")
    workers: int = Field(1, ge=1, description="Number of attempts to make at the same time.")
    warm: int = Field(
        2, ge=0, description="Maximum number of sandboxes per image to start ahead of need."
    )
    stop_after: int | None = Field(
        None,
        ge=1,
        validation_alias=AliasChoices("stop_after", "enough"),
        description="Stop work on a task after this many successes.",
    )
    budget: Budget = Field(
        Budget(),
        description="TOML file of what the run may spend, and how fast: tokens, money by a table "
        "of prices, seconds, requests_per_minute, concurrent_requests.",
    )
    executor: Literal["local", "ray"] = Field(
        "local",
        description="Where to make attempts: in this process, or on the nodes of a Ray cluster, "
        "all of which see the run directory.",
    )
    address: str = Field(
        "", description="Address of the Ray cluster; the cluster on this machine by default."
    )
    images: str = Field(
        "",
        description="Registry, or directory of archives (`docker save`), that provides the images "
        "that a machine lacks.",
    )
    syntax: Literal["functions", "text"] = Field(
        "functions", description="How the model writes tool calls."
    )
    system: str = Field(
        SYSTEM,
        description="File that holds the system prompt; {instructions} in it stands for how to "
        "write calls. Default: the prompt of forager.",
    )
    token_ids: bool = Field(
        False, description="Keep token ids and log-probabilities, which vLLM returns."
    )
    sampling: Sampling = Sampling()
    temperatures: list[float] = Field(
        [],
        description="Sampling temperature. Of several, the first attempt uses the first, and so "
        "on; all further attempts use the last.",
    )
    limits: AttemptLimits = AttemptLimits()
    sandbox: str = Field(
        "docker",
        description="Where commands run: `docker`, `bubblewrap`, which needs no daemon, or what "
        "another package adds.",
    )
    sandbox_limits: Limits = Limits()
    branch: Branch | None = Field(
        None, description="Attempts of another run that the attempts of this run continue."
    )

    @property
    def numbers(self) -> range:
        """The numbers of the attempts at a task."""
        return range(self.attempts * len(self.models))

    def model_of(self, number: int) -> str:
        """The model that makes the attempt with this number."""
        return self.models[number % len(self.models)]

    def sampling_of(self, number: int) -> Sampling:
        """Sampling of the attempt with this number: the temperature of its round, its own seed."""
        turn, seed = number // len(self.models), self.sampling.seed
        update: dict[str, float | int | None] = {"seed": None if seed is None else seed + turn}
        if self.temperatures:
            update["temperature"] = self.temperatures[min(turn, len(self.temperatures) - 1)]
        return self.sampling.model_copy(update=update)
