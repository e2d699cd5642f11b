"""Settings of a reinforcement learning run: a TOML file."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from forager.config import current_names, load_toml, merged, resolve_settings
from forager.errors import UsageError
from forager.learning.rl.continued import DECIDED, continued
from forager.learning.serve.settings import ServeSettings
from forager.learning.train.objective import PolicyObjective
from forager.learning.train.settings import TrainSettings
from forager.records import Address, Record
from forager.rollout.settings import RunSettings

POLICY = "policy"
"""The name of the model that makes the attempts."""
_TRAIN: dict[str, Any] = {
    "learning_rate": 1e-6,
    "lr_scheduler_type": "constant",
    "warmup_ratio": 0.0,
    "checkpoint_every": 10,
}
_ROLLOUT: dict[str, Any] = {"workers": 8, "sampling": {"temperature": 1.0}}


class RewardSettings(Record):
    """What an attempt is worth."""

    function: str = Field(
        "outcome",
        description="outcome: +1 or -1; similarity: CWM's +1, 0, -1; evaluation-similarity: 0, "
        "-0.5, -1; cases: the share of passed cases, from -1 to +1; or the name of an entry point "
        "of forager.rewards.",
    )
    shuffled: bool = Field(
        False, description="Control: exchange rewards within each group, so that they say nothing."
    )


class CurriculumSettings(Record):
    """Which tasks are drawn again."""

    window: int = Field(
        32, ge=1, description="Latest attempts that the pass rate of a task counts."
    )
    drop_above: float = Field(
        0.95,
        ge=0,
        le=1,
        description="Tasks with a higher pass rate are not drawn any more, "
        "once the window is full.",
    )
    retry_after: int = Field(
        100, ge=0, description="Draws before a task that no attempt solved is drawn again."
    )
    hints: bool = Field(
        False,
        description="Name the tests that decide, if no recent attempt solved the task (CWM shows "
        "the hidden test at first).",
    )


class CurriculumStage(Record):
    """Shares of the environments from some step on."""

    from_step: int = Field(1, ge=1, description="First step of the stage.")
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        description="Weight of each environment; others are not drawn."
    )

    @field_validator("weights")
    @classmethod
    def _draws(cls, given: dict[str, float]) -> dict[str, float]:
        if not sum(given.values()):
            raise ValueError("one environment needs a weight above 0")
        return given


class EvaluationSettings(Record):
    """The evaluation on held-out tasks."""

    tasks: list[str] = Field([], description="Files of held-out tasks.")
    every: int = Field(
        100, ge=1, description="Steps between evaluations; the base is evaluated, too."
    )
    attempts: int = Field(1, ge=1, description="Attempts at each task.")
    temperature: float = Field(0.0, ge=0, description="Sampling temperature.")
    rollout: dict[str, Any] = Field(
        {}, description="What else differs from the attempts that are trained on (RunSettings)."
    )

    @field_validator("rollout")
    @classmethod
    def _known(cls, given: dict[str, Any]) -> dict[str, Any]:
        return settings_of_attempts(given)


class RlSettings(Record):
    """Settings of a run; saved in its directory as settings.json.

    A step learns from `groups` groups of `group_size` attempts at one task each. Paths are relative
    to the current directory.
    """

    output: str = Field("", description="Output directory; `-o` on the command line.")
    after: str = Field(
        "",
        description="Bootstrap that the run goes on from: its last model is the base, its split "
        "gives the tasks, its settings those of attempts, evaluation and servers, and the report "
        "shows its rounds.",
    )
    tasks: list[str] = Field([], description="Files of tasks.")
    base: str = Field(
        "", description="Base model: a directory, or owner/name[@revision] of the Hub."
    )
    steps: int = Field(1000, ge=1, description="Number of steps.")
    seed: int = Field(0, description="Seed of draws and samples.")
    groups: int = Field(8, ge=1, description="Groups of a step.")
    group_size: int = Field(8, ge=2, description="Attempts of a group.")
    staleness: int = Field(
        100,
        ge=0,
        description="Steps by which an attempt's newest tokens may be older than the weights; also "
        "bounds the attempts in flight or waiting to those of staleness + 1 steps.",
    )
    group_seconds: float = Field(
        3600.0,
        gt=0,
        description="Seconds after which a group closes without its slowest attempts, once it has "
        "two graded ones.",
    )
    overlap: Literal["auto", "yes", "no"] = Field(
        "auto",
        description="Whether attempts go on while a step is computed; auto: on GPUs and on Ray.",
    )
    tolerance: float = Field(
        1e-3,
        gt=0,
        description="Largest |ratio - 1| in float32 of tokens that the current weights sampled; "
        "more means that trainer and sampler disagree, and ends the run.",
    )
    objective: PolicyObjective = PolicyObjective()
    reward: RewardSettings = RewardSettings()
    curriculum: CurriculumSettings = CurriculumSettings()
    stages: list[CurriculumStage] = Field(
        [], description="Environment weights; without, environments count by their tasks."
    )
    rollout: dict[str, Any] = Field({}, description="Settings of the attempts (RunSettings).")
    train: TrainSettings = Field(TrainSettings.model_validate(_TRAIN), description="The trainer.")
    sampler: Literal["transformers", "vllm"] = Field(
        "transformers",
        description="Who samples: Transformers in this process, or vLLM servers.",
    )
    serve: ServeSettings = ServeSettings()
    urls: list[Address] = Field(
        [], description="Your own vLLM servers with developer endpoints, instead of started ones."
    )
    evaluate: EvaluationSettings = EvaluationSettings()

    @field_validator("train", mode="before")
    @classmethod
    def _train_defaults(cls, given: Any) -> Any:
        return _TRAIN | current_names(TrainSettings, given) if isinstance(given, dict) else given

    @field_validator("rollout")
    @classmethod
    def _known(cls, given: dict[str, Any]) -> dict[str, Any]:
        known = settings_of_attempts(given)
        settings = RunSettings.model_validate({"models": [POLICY], **merged(_ROLLOUT, known)})
        sampling = settings.sampling
        plain = (
            sampling.temperature == 1 and sampling.top_p in (None, 1) and not sampling.extra_body
        )
        if not plain or settings.temperatures:
            raise ValueError(
                "sampling: temperature 1 without top_p is the policy itself; with others, "
                "log-probabilities would be those of another distribution"
            )
        return known

    @model_validator(mode="after")
    def _fits(self) -> "RlSettings":
        if not (self.tasks and self.base):
            raise ValueError("give `tasks` and `base`, or a bootstrap as `after`")
        if self.sampler == "transformers" and (self.urls or self.run_settings().sampling.stop):
            raise ValueError('urls and sampling.stop need sampler = "vllm"')
        if self.train.objective:
            raise ValueError("train.objective: write it as the table [objective]")
        if self.run_settings().executor == "ray":
            self._fits_cluster()
        starts = [stage.from_step for stage in self.stages]
        if starts and (starts[0] != 1 or starts != sorted(set(starts))):
            raise ValueError("stages: from_step begins with 1 and rises")
        for name in ("served_model_name", "reload"):
            if getattr(self.serve, name) != ServeSettings.model_fields[name].default:
                raise ValueError(f"serve.{name}: the run sets this; leave it out")
        return self

    def _fits_cluster(self) -> None:
        if not self.urls:
            raise ValueError(
                'rollout.executor = "ray" needs sampler = "vllm", and urls that all nodes reach'
            )
        if self.overlap == "no":
            raise ValueError("overlap: requests of a cluster are not held back; leave it out")
        if self.train.executor == "ray":
            raise ValueError("train.executor: only one of the trainer and the attempts can use Ray")

    def run_settings(self, urls: list[str] | None = None) -> RunSettings:
        """Settings of the attempts that are trained on."""
        return self._attempts(self.rollout, urls)

    def evaluation_settings(self, urls: list[str]) -> RunSettings:
        """Settings of the attempts at held-out tasks."""
        wanted = self.evaluate
        attempts = self._attempts(merged(self.rollout, wanted.rollout), urls)
        sampling = attempts.sampling.model_copy(update={"temperature": wanted.temperature})
        update = {"attempts": wanted.attempts, "sampling": sampling, "executor": "local"}
        return attempts.model_copy(update=update)

    def _attempts(self, rollout: dict[str, Any], urls: list[str] | None) -> RunSettings:
        given: dict[str, Any] = {"models": [POLICY], "urls": urls or [], "token_ids": True}
        given["attempts"] = self.group_size
        whole = merged(merged(_ROLLOUT, rollout), given)
        whole["sampling"] = {"seed": self.seed, **whole["sampling"]}
        return RunSettings.model_validate(whole)

    @classmethod
    def read(cls, path: Path, given: dict[str, Any]) -> "RlSettings":
        """Read a TOML file; `given` takes precedence. Raises UsageError."""
        table = load_toml(path) | given
        if after := table.get("after"):
            evaluated = table.get("evaluate")
            own = evaluated.keys() if isinstance(evaluated, dict) else set[str]()
            if "tasks" in own or {"tasks", "base"} & table.keys():
                raise UsageError(
                    f"{path}: `after` gives base, tasks and held-out tasks; leave them out"
                )
            table = merged(continued(Path(str(after))), table)
        return resolve_settings(cls, table, f"{path}: ")


MAY_CHANGE = (
    *("output", "overlap", "serve", "urls", "group_seconds", "evaluate.every"),
    *("rollout.workers", "rollout.executor", "rollout.address"),
    *("train.checkpoint_every", "train.keep_checkpoints"),
)
"""Settings that may differ when a run continues; see also `may_change`."""


def settings_of_attempts(given: dict[str, Any]) -> dict[str, Any]:
    """Settings of attempts by today's names. Raises ValueError for those that the run decides."""
    known = current_names(RunSettings, given)
    if taken := DECIDED & known.keys():
        raise ValueError(f"{min(taken)}: the run decides this; leave it out")
    return known


def may_change(settings: RlSettings) -> tuple[str, ...]:
    """Settings that may differ; so may the number of steps, if no learning rate depends on it."""
    train = settings.train
    constant = train.lr_scheduler_type == "constant" and not train.warmup_ratio
    return (*MAY_CHANGE, "steps") if constant else MAY_CHANGE
