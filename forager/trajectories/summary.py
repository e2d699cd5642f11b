"""An attempt in one line: what lists and reports are made of."""

from pydantic import BaseModel, computed_field

from forager.environments.task import Mutation
from forager.records import Record
from forager.trajectories.record import Usage


class Summary(Record):
    """An attempt in one line."""

    id: str
    instance_id: str
    attempt: int
    model: str
    family: str
    kind: str
    repo: str
    resolved: bool
    exit_reason: str
    turns: int
    reward: int
    similarity: float
    seconds: float
    prompt_tokens: int
    completion_tokens: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def tokens(self) -> int:
        """Prompt and completion tokens of all model calls."""
        return self.prompt_tokens + self.completion_tokens


class _Ignored(BaseModel):
    """Anything: parsed, and not kept."""


class _Outcome(BaseModel):
    exit_reason: str
    resolved: bool
    reward: int
    similarity: float


class _Timings(BaseModel):
    total: float


class TrajectoryHead(BaseModel):
    """The small fields of a trajectory; its messages and token ids never become Python objects."""

    id: str
    instance_id: str
    attempt: int
    model: str
    kind: str
    repo: str
    mutation: Mutation | None = None
    model_calls: list[_Ignored]
    outcome: _Outcome
    timings: _Timings
    usage: Usage

    def summary(self) -> Summary:
        """The same, flat."""
        return Summary(
            **self.model_dump(include={"id", "instance_id", "attempt", "model", "kind", "repo"}),
            **self.outcome.model_dump(),
            **self.usage.model_dump(),
            family=self.mutation.family if self.mutation else "",
            turns=len(self.model_calls),
            seconds=self.timings.total,
        )
