"""What verbs print with `--json`: one type per verb, whose schema `forager schema VERB` prints."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import ConfigDict, Field, TypeAdapter

from forager.evaluation.estimates import Estimate
from forager.evaluation.passing import AttemptTotals
from forager.records import Record


class TaskRow(Record):
    """A task in one line."""

    id: str
    environment: str
    kind: str
    family: str
    operator: str
    project: str
    location: str
    difficulty: dict[str, float]
    tests: dict[str, int] = Field(description="Number of tests of each group.")
    contaminated: str


class Spread(Record):
    """The values of a measure."""

    tasks: int = Field(description="Tasks that have it.")
    least: float
    median: float
    greatest: float


class TaskCounts(Record):
    """The tasks of a file: counts by label, and measures of difficulty."""

    tasks: int
    family: dict[str, int]
    project: dict[str, int]
    kind: dict[str, int]
    difficulty: dict[str, Spread]


class CheckedTasks(Record):
    """Tasks that were proven again."""

    tasks: int
    hold: int
    problems: dict[str, str] = Field(description="What is wrong, by task.")


class EvaluatedTasks(AttemptTotals):
    """The results of an evaluation, with `pass@k` for each k above 1 of the suite."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Estimate] = Field(init=False)

    success: Estimate
    gain: Estimate | None = Field(None, description="Over the run of --against.")


EvaluatedSuites = EvaluatedTasks | dict[str, EvaluatedTasks]
"""The results of one suite, or of several by their names."""


class ImportedTasks(Record):
    """What became of the rows of an import."""

    output: str
    tasks: int = Field(description="New tasks.")
    known: int = Field(description="Rows whose task is in the file already.")
    refused: dict[str, int] = Field(description="Number of refused rows, by reason.")
    untried: int = Field(description="Tasks whose patches could not be tried: no image here.")


class ExportedAttempts(Record):
    """What an export wrote; samples and tokens of a data set only."""

    output: str
    attempts: int | None = None
    traces: int | None = None
    tasks: int | None = None
    pushed: str = Field("", description="Address of the data set that was uploaded.")
    samples: int | None = None
    tokens: int | None = None
    trained: int | None = Field(None, description="Tokens with loss.")
    left_out: dict[str, int] = Field({}, description="What was left out, by reason.")


OUTPUTS: Mapping[str, tuple[str, bool]] = {
    "audit": ("tasks.audit:RunAudit", False),
    "credit": ("forager.rollout.credit:AttemptCredit", True),
    "doctor": ("forager.cli.checks:Check", True),
    "evaluate": ("forager.cli.outputs:EvaluatedSuites", False),
    "export": ("forager.cli.outputs:ExportedAttempts", False),
    "filter": ("forager.learning.filters.kept:Filtering", False),
    "image list": ("forager.images.image:Image", True),
    "image show": ("forager.images.image:Image", False),
    "list": ("forager.trajectories.summary:Summary", True),
    "replay": ("forager.trajectories.reproduction:Reproduction", True),
    "report": ("forager.evaluation.report:AttemptReport", False),
    "select": ("forager.evaluation.selection.selecting:SelectionResult", False),
    "tasks check": ("forager.cli.outputs:CheckedTasks", False),
    "tasks health": ("tasks.health:TaskHealth", True),
    "tasks import": ("forager.cli.outputs:ImportedTasks", False),
    "tasks list": ("forager.cli.outputs:TaskRow", True),
    "tasks show": ("forager.environments.task:Task", False),
    "tasks stats": ("forager.cli.outputs:TaskCounts", False),
    "tokens": ("forager.trajectories.tokens:TokenCheck", False),
    "train": ("forager.learning.train.run:TrainingResult", False),
    "watch": ("forager.replay.batch:BatchStatus", False),
}
"""The type that each verb prints, as module:Class, and whether it prints a list of them."""


def schema_of(verb: str) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what a verb prints."""
    name, many = OUTPUTS[verb]
    module, _, kind = name.partition(":")
    found: Any = getattr(import_module(module), kind)
    adapter: TypeAdapter[Any] = TypeAdapter(list[found] if many else found)
    return adapter.json_schema(mode="serialization")
