"""The task: one problem to solve, in any environment."""

from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ModelWrapValidatorHandler, model_validator

from forager.errors import UsageError
from forager.records import Record

REPOSITORY = "repository"
"""Environment of tasks that do not name one, such as rows of SWE-bench."""


class Labels(Record):
    """The labels by which reports, filters and splits group tasks; each environment fills them."""

    family: str = Field("", description="Family of the bug or problem, such as `operators`.")
    operator: str = Field("", description="Kind within the family, such as `negate_condition`.")
    repository: str = Field("", description="Where the task comes from: a repository, a contest.")
    functions: list[str] = Field(
        [],
        description="What the task is about, such as REPOSITORY:FILE:FUNCTION; a split never puts "
        "tasks that share one on both sides.",
    )
    location: str = Field("", description="FILE:LINE of the bug, if it has one place.")
    difficulty: dict[str, float] = Field(
        {}, description="Measures of how hard the task is, by name, such as `patch_lines`."
    )
    more: dict[str, str] = Field(
        {}, description="The environment's own labels; reports group attempts by each."
    )


class Task(Record):
    """One problem to solve. Environments add fields in a subclass.

    Validating data as `Task` returns a record of its environment's type.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # SWE-bench rows load unchanged

    instance_id: str
    environment: str = Field(REPOSITORY, description="Name of the environment that it belongs to.")
    kind: str = ""
    repo: str = ""
    problem_statement: str
    image: str = Field("", description="Docker reference of the image.")
    image_digest: str = ""
    labels: Labels = Labels()
    source: str = Field("", description="The SOURCE that it was made from.")
    licence: str = ""
    contaminated: str = Field(
        "", description="Why training sets should exclude it, if it was made anyway."
    )

    @model_validator(mode="wrap")
    @classmethod
    def _of_its_environment(cls, given: Any, handler: ModelWrapValidatorHandler["Task"]) -> "Task":
        if cls is not Task or not isinstance(given, dict):
            return handler(given)
        from forager.environments.registry import environment_named

        environment = environment_named(given.get("environment", REPOSITORY))
        return environment.task_type.model_validate(given)

    def test_groups(self) -> dict[str, list[str]]:
        """The tests that decide, by group name; empty if the environment knows none."""
        return {}


def no_tasks(path: Path) -> UsageError:
    """What to raise for a file without tasks."""
    return UsageError(f"{path} holds no tasks; `forager tasks mutate-fix` makes some")
