"""Reads the attempts of runs once and keeps only what the tables need."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

from pydantic import AliasChoices, BaseModel, Field

from forager.environments.task import Labels
from forager.evaluation.findings.calls import CallCount
from forager.records import parse_record
from forager.trajectories.earlier import StoredLabels
from forager.trajectories.earlier_calls import load
from forager.trajectories.index import Index
from forager.trajectories.record import SCHEMA_VERSION, Timings, ToolCall, Usage
from forager.trajectories.summary import Summary

Cost = Callable[[str, Usage], float]
"""Computes the cost of tokens from the name of the model and its usage."""


@dataclass(frozen=True, slots=True)
class RunSource:
    """The attempts of a run or file, with its name in the report.

    `cost` is None if the run has no prices.
    """

    name: str
    index: Index
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class ReportedAttempt:
    """The parts of an attempt that the tables need."""

    run: str
    summary: Summary
    patch: bytes
    timings: Timings
    labels: Labels
    money: float | None = None


def gather(sources: Iterable[RunSource], calls: CallCount) -> Iterator[ReportedAttempt]:
    """Yield the attempts of all sources, and count their tool calls in `calls`."""
    for source in sources:
        for summary, line in source.index.entries():
            details = parse_record(_Details, line)
            calls.add(details.tool_calls if details.is_new else load(line).tool_calls)
            usage = Usage(
                prompt_tokens=summary.prompt_tokens, completion_tokens=summary.completion_tokens
            )
            yield ReportedAttempt(
                run=source.name,
                summary=summary,
                patch=blake2b(details.outcome.answer.encode(), digest_size=8).digest(),
                timings=details.timings,
                labels=details.labels,
                money=source.cost(summary.model, usage) if source.cost else None,
            )


class _AnswerOutcome(BaseModel):
    answer: str = Field("", validation_alias=AliasChoices("answer", "patch"))


class _Details(BaseModel):
    """The fields that the summary lacks; messages do not become Python objects here."""

    kind: str
    repo: str
    labels: StoredLabels = Field(Labels(), validation_alias=AliasChoices("labels", "mutation"))
    schema_version: int
    tool_calls: list[ToolCall]
    outcome: _AnswerOutcome
    timings: Timings

    @property
    def is_new(self) -> bool:
        """Whether the calls record facts; calls of older records need an upgrade."""
        return self.schema_version >= SCHEMA_VERSION
