"""An attempt in one line, the input of lists and reports."""

from datetime import datetime, timedelta
from typing import Any, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, computed_field, model_validator

from forager.environments.task import Labels
from forager.records import Record
from forager.trajectories.earlier import StoredLabels
from forager.trajectories.record import Trajectory, Usage


class Summary(Record):
    """An attempt in one line.

    The store keeps it next to the attempt, so a new field needs a default for older attempts.
    """

    id: str
    instance_id: str
    attempt: int
    model: str
    family: str
    operator: str
    kind: str
    repo: str
    resolved: bool
    exit_reason: str
    turns: int
    reward: float
    similarity: float
    seconds: float
    prompt_tokens: int
    completion_tokens: int
    ended_at: str = ""
    parent: str = ""
    suspect: str = Field("", description="The reasons, with '; ' between them.")
    cause_kind: str = Field("", description="What made it fail; empty in earlier versions.")

    @model_validator(mode="before")
    @classmethod
    def _fill_family(cls, given: Any) -> Any:
        """Fill the family that earlier versions left empty for a real bug."""
        if isinstance(given, dict) and not given.get("family"):
            return {**given, "family": given.get("kind", "")}
        return given

    @computed_field  # type: ignore[prop-decorator]
    @property
    def tokens(self) -> int:
        """Prompt and completion tokens of all model calls."""
        return self.prompt_tokens + self.completion_tokens

    @classmethod
    def of(cls, attempt: "Trajectory | TrajectoryHead") -> Self:
        """Summarise an attempt."""
        outcome, labels = attempt.outcome, attempt.labels
        return cls(
            id=attempt.id,
            instance_id=attempt.instance_id,
            attempt=attempt.attempt,
            model=attempt.model,
            family=labels.family,
            operator=labels.operator,
            kind=attempt.kind,
            repo=attempt.repo,
            resolved=outcome.resolved,
            exit_reason=outcome.exit_reason,
            turns=len(attempt.model_calls),
            reward=outcome.reward,
            similarity=outcome.similarity,
            seconds=attempt.timings.total,
            prompt_tokens=attempt.usage.prompt_tokens,
            completion_tokens=attempt.usage.completion_tokens,
            ended_at=_after(attempt.started_at, attempt.timings.total),
            parent=attempt.parent,
            suspect="; ".join(outcome.suspect),
            cause_kind=outcome.cause_kind,
        )


def _after(started_at: str, seconds: float) -> str:
    """Return the time `seconds` later (ISO 8601); empty if `started_at` cannot be parsed."""
    try:
        ended = datetime.fromisoformat(started_at) + timedelta(seconds=seconds)
    except ValueError:
        return ""
    return ended.isoformat(timespec="seconds")


class _Ignored(BaseModel):
    """An item of a list of which only the length matters; its fields are dropped."""


class _Outcome(BaseModel):
    exit_reason: str
    resolved: bool
    reward: float
    similarity: float
    suspect: list[str] = []
    cause_kind: str = ""


class _Timings(BaseModel):
    total: float


class TrajectoryHead(BaseModel):
    """A trajectory's small fields; its messages and token ids never become Python objects."""

    model_config = ConfigDict(title="attempt")

    id: str
    instance_id: str
    attempt: int
    model: str
    kind: str
    repo: str
    started_at: str
    labels: StoredLabels = Field(Labels(), validation_alias=AliasChoices("labels", "mutation"))
    model_calls: list[_Ignored]
    outcome: _Outcome
    timings: _Timings
    usage: Usage
    parent: str = ""
