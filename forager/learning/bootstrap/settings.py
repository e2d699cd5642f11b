"""Settings of a bootstrap: a TOML file."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, field_validator, model_validator

from forager.agent import REPAIR, SERVERLESS
from forager.config import current_names, load_settings, merged
from forager.learning.bootstrap.split import By
from forager.learning.dataset import DatasetSettings
from forager.learning.serve import ServeSettings
from forager.learning.train.settings import TrainSettings
from forager.records import Address, Record
from forager.rollout.settings import RunSettings

_Rate = Annotated[float, Field(ge=0, le=1)]
_EVALUATED: dict[str, Any] = {"attempts": 1, "sampling": {"temperature": 0.0}}


class SplitSettings(Record):
    """The held-out tasks; the split is made once, for all rounds."""

    by: By = Field("function", description="Hold out whole functions, or whole repositories.")
    held_out: int = Field(100, ge=1, description="Minimum number of held-out tasks.")


class DrawSettings(Record):
    """The tasks that a round attempts."""

    tasks: int = Field(200, ge=1, description="Number of tasks per round.")
    pass_rate: tuple[_Rate, _Rate] = Field(
        (0.1, 0.9),
        validation_alias=AliasChoices("pass_rate", "band"),
        description="Range of expected pass rates to prefer; other tasks are drawn less often.",
    )

    @field_validator("pass_rate")
    @classmethod
    def _rises(cls, given: tuple[float, float]) -> tuple[float, float]:
        if given[0] > given[1]:
            raise ValueError("write the lower pass rate first")
        return given


class PromotionSettings(Record):
    """When a candidate replaces the current model."""

    criterion: Literal["estimate", "interval"] = Field(
        "estimate",
        validation_alias=AliasChoices("criterion", "need"),
        description="What must be at least zero of the gain on the held-out tasks: the estimate, "
        "or the upper end of its interval (only a clearly worse model is rolled back).",
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="Level of all intervals.")


class BootstrapSettings(Record):
    """Settings of a bootstrap; saved in its directory as settings.json.

    `rollout` holds settings of `forager run` (RunSettings) for all attempts, `teach` and
    `evaluate` what differs for the teacher and on the held-out tasks. Paths are relative to the
    current directory. Names that earlier versions used still work.
    """

    output: str = Field("", description="Output directory; `-o` on the command line.")
    tasks: list[str] = Field(description="Files of tasks.")
    base: str = Field(description="Base model: a directory, or owner/name[@revision] of the Hub.")
    rounds: int = Field(3, ge=1, description="Number of rounds.")
    init: Literal["base", "last"] = Field(
        "base",
        description="Model that each round trains: the base, as CWM did, or the current one.",
    )
    data: Literal["round", "all"] = Field(
        "round", description="Attempts to learn from: this round's (as CWM did) or all rounds'."
    )
    mix_in: list[str] = Field(
        [],
        validation_alias=AliasChoices("mix_in", "rehearse"),
        description="Data sets to mix into each round's own, against forgetting (rehearsal: "
        "Robins, Connection Science 7, 1995).",
    )
    seed: int = Field(0, description="Seed of the split and of the draws.")
    split: SplitSettings = SplitSettings()
    draw: DrawSettings = DrawSettings()
    rollout: dict[str, Any] = {}
    teach: dict[str, Any] = Field(
        {"models": [REPAIR]}, description="Settings of the teacher (models, urls, …)."
    )
    teacher_attempts: Literal["first", "failures"] = Field(
        "first",
        validation_alias=AliasChoices("teacher_attempts", "taught"),
        description="first: the teacher makes the attempts of round 0; failures: in each round it "
        "attempts the tasks that the model failed (DAgger, arXiv 1011.0686; filter `correct`).",
    )
    evaluate: dict[str, Any] = _EVALUATED
    filters: list[str] = Field(
        [], description="Filters, as for `forager filter --filter`; default: its defaults."
    )
    dataset: DatasetSettings = DatasetSettings()
    train: TrainSettings = TrainSettings()
    serve: ServeSettings = ServeSettings()
    urls: list[Address] = Field(
        [], description="Your own endpoints, which serve each round's model under its name."
    )
    promotion: PromotionSettings = Field(
        PromotionSettings(), validation_alias=AliasChoices("promotion", "gate")
    )

    @field_validator("rollout", "teach", "evaluate")
    @classmethod
    def _known(cls, value: dict[str, Any]) -> dict[str, Any]:
        settings = RunSettings.model_validate({"models": ["any"], **value})
        known = current_names(RunSettings, value)
        return known | {"urls": settings.urls} if "urls" in known else known

    @field_validator("evaluate")
    @classmethod
    def _with_defaults(cls, value: dict[str, Any]) -> dict[str, Any]:
        return merged(_EVALUATED, value)

    @model_validator(mode="after")
    def _rounds_decide(self) -> "BootstrapSettings":
        for part in ("rollout", "evaluate"):
            if taken := {"models", "urls"} & getattr(self, part).keys():
                raise ValueError(
                    f"{part}.{min(taken)}: each round's own model makes these attempts; name your "
                    "own endpoints in `urls`, a teacher in `teach`"
                )
        for name in ("served_model_name", "reload"):  # training needs the memory: servers stop
            if getattr(self.serve, name) != ServeSettings.model_fields[name].default:
                raise ValueError(f"serve.{name}: the bootstrap sets this; leave it out")
        return self

    @model_validator(mode="after")
    def _teacher_is_somewhere(self) -> "BootstrapSettings":
        teacher = self.run_settings("teach", REPAIR, [])
        if not SERVERLESS.issuperset(teacher.models) and not teacher.urls:
            raise ValueError(f"teach.urls: give the endpoint of {', '.join(teacher.models)}")
        return self

    def run_settings(self, part: str, model: str, urls: list[str]) -> RunSettings:
        """Settings of a run; `part` is `rollout`, `teach` or `evaluate`."""
        given = {"models": [model], "urls": urls, "token_ids": bool(urls)}
        given = merged(given, self.rollout)
        return RunSettings.model_validate(
            given if part == "rollout" else merged(given, getattr(self, part))
        )

    @classmethod
    def read(cls, path: Path) -> "BootstrapSettings":
        """Read a TOML file. Raises UsageError."""
        return load_settings(path, cls)
