"""What a bootstrap is asked to do: a TOML file."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from forager.agent import REPAIR, SERVERLESS
from forager.config import read_settings
from forager.learning.bootstrap.split import By
from forager.learning.dataset import DatasetSettings
from forager.learning.serve import ServeSettings
from forager.learning.train.settings import TrainSettings
from forager.records import Record
from forager.rollout.settings import RunSettings

_EVALUATED: dict[str, Any] = {"attempts": 1, "sampling": {"temperature": 0.0}}


class SplitSettings(Record):
    """What is held out, once and for all rounds."""

    by: By = Field("function", description="Whole functions, or whole repositories.")
    held_out: int = Field(100, ge=1, description="Tasks that are held out, at least.")


class DrawSettings(Record):
    """Which tasks a round attempts."""

    tasks: int = Field(200, ge=1, description="Tasks of a round.")
    band: tuple[float, float] = Field(
        (0.1, 0.9), description="Pass rates that are wanted: the others are drawn less often."
    )


class GateSettings(Record):
    """When a candidate takes the place of the current model."""

    need: Literal["estimate", "interval"] = Field(
        "estimate",
        description="What must not be below zero of its gain on the held-out tasks: the estimate, "
        "or the upper end of the interval (only what is surely worse is rolled back).",
    )
    confidence: float = Field(0.95, gt=0, lt=1)


class BootstrapSettings(Record):
    """The settings of a bootstrap; saved in its directory as settings.json.

    `rollout` are the settings of `forager run` (see RunSettings) for all attempts; `teach` those
    that differ for the teacher, `evaluate` those that differ on the held-out tasks. Paths are taken
    from the current directory.
    """

    output: str = Field("", description="The directory; `-o` on the command line.")
    tasks: list[str] = Field(description="Files of tasks.")
    base: str = Field(description="A Hugging Face directory, or owner/name[@revision] of the Hub.")
    rounds: int = Field(3, ge=1)
    init: Literal["base", "last"] = Field(
        "base", description="What each round trains: the base model, as CWM did, or the current."
    )
    data: Literal["round", "all"] = Field(
        "round", description="Whose attempts it learns from: this round's, as CWM did, or all."
    )
    rehearse: list[str] = Field(
        [],
        description="Data sets that each round trains on beside its own, so that what the base "
        "knows is not forgotten (rehearsal: Robins, Connection Science 7, 1995).",
    )
    seed: int = 0
    split: SplitSettings = SplitSettings()
    draw: DrawSettings = DrawSettings()
    rollout: dict[str, Any] = {}
    teach: dict[str, Any] = Field(
        {"models": [REPAIR]}, description="The teacher (models, urls, …)."
    )
    taught: Literal["first", "failures"] = Field(
        "first",
        description="What the teacher does: the attempts of round 0, or in each round attempts at "
        "what the model's own did not resolve (DAgger, arXiv 1011.0686; see the filter `correct`).",
    )
    evaluate: dict[str, Any] = _EVALUATED
    filters: list[str] = Field(
        [], description="As `forager filter --filter` takes them; without any the usual ones."
    )
    dataset: DatasetSettings = DatasetSettings()
    train: TrainSettings = TrainSettings()
    serve: ServeSettings = ServeSettings()
    urls: list[str] = Field(
        [], description="Endpoints of one's own, which serve each round's model by its name."
    )
    gate: GateSettings = GateSettings()

    @field_validator("rollout", "teach", "evaluate")
    @classmethod
    def _known(cls, value: dict[str, Any]) -> dict[str, Any]:
        RunSettings.model_validate({"models": ["any"], **value})
        return value

    @field_validator("evaluate")
    @classmethod
    def _beside_defaults(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _merged(_EVALUATED, value)

    @model_validator(mode="after")
    def _rounds_decide(self) -> "BootstrapSettings":
        for part in ("rollout", "evaluate"):
            if taken := {"models", "urls"} & getattr(self, part).keys():
                raise ValueError(
                    f"{part}.{min(taken)}: each round's own model makes these attempts; endpoints "
                    "of one's own stand in `urls`, a teacher in `teach`"
                )
        for name in ("name", "reload"):  # the trainer needs the memory: a server is ended before
            if name in self.serve.model_fields_set:
                raise ValueError(f"serve.{name}: a bootstrap decides this; leave it out")
        return self

    @model_validator(mode="after")
    def _teacher_is_somewhere(self) -> "BootstrapSettings":
        teacher = self.run_settings("teach", REPAIR, [])
        if not SERVERLESS.issuperset(teacher.models) and not teacher.urls:
            raise ValueError(f"teach.urls: where is the teacher {', '.join(teacher.models)}?")
        return self

    def run_settings(self, part: str, model: str, urls: list[str]) -> RunSettings:
        """The settings of a run: `rollout`, `teach` or `evaluate`, by this model."""
        given = {"models": [model], "urls": urls, "token_ids": bool(urls)}
        given = _merged(given, self.rollout)
        return RunSettings.model_validate(
            given if part == "rollout" else _merged(given, getattr(self, part))
        )

    @classmethod
    def read(cls, path: Path) -> "BootstrapSettings":
        """Read them from a TOML file. Raises UsageError."""
        return read_settings(path, cls)


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The tables taken together; where both say something, the other is right."""
    merged = dict(one)
    for name, value in other.items():
        below = merged.get(name)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[name] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return merged
