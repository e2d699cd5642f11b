"""The seam of recipe builders: what they see of a recipe that failed, and what they return.

A builder proposes changes; `repairs.py` tries each one from scratch and keeps what helps. So the
result is always a recipe, never the state of a container.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from pydantic import Field

from forager.errors import BuildError
from forager.images.debian import Contents
from forager.images.recipe import Recipe
from forager.images.source import Source
from forager.images.workbench import telling_lines
from forager.records import Record

Stage = Literal["install", "collect", "test"]
_LOG = 256 << 10  # characters of a failure's log
_LINE = 1000  # of a line of it; the patterns of rules take quadratic time on some lines


class FileRun(NamedTuple):
    """What ran of a file: how many tests were planned and ended, their seconds, the functions."""

    file: str
    planned: int
    ended: int
    seconds: float
    functions: int = 0


class BrokenRun(Record):
    """A run of the tests that did not come to its end."""

    seconds: float
    timed_out: bool = Field(description="Whether its time was over.")
    signal: int = Field(description="What killed it; 0 for nothing.")
    running: str = Field(description="The test that was running then, if it is known.")
    files: list[FileRun] = Field(description="Each file in the order of the run.")
    slow: dict[str, float] = Field(description="The slowest tests that ended, with their seconds.")
    reordered: bool = Field(
        False, description="Whether this was another order; in their own, the tests came to an end."
    )


class Diagnosis(Record):
    """How far a recipe got, and what was wrong then."""

    stage: Stage = Field(description="What failed: an install command, the collection, tests.")
    message: str = Field(description="One line for a person.")
    command: str = Field("", description="The install command that failed.")
    log: str = Field("", description="The end of its output, or the failures of tests.")
    passing: int = Field(0, description="Tests that passed.")
    run: int = Field(0, description="Tests that ran, those that cannot be collected among them.")
    collected: int = Field(0, description="Test functions that pytest collects.")
    functions: int = Field(0, description="Test functions in the project's files.")
    sound: bool = Field(False, description="Whether an image of this recipe is accepted.")
    broken: BrokenRun | None = Field(None, description="How a run that did not end was going.")
    packages: list[str] = Field([], description="Folders of a monorepo that are projects.")
    refused: bool = Field(False, description="Whether it does what a model's recipe may not do.")

    @property
    def progress(self) -> tuple[bool, int, int, int]:
        """How far the recipe got: a greater value is better."""
        stage = ("install", "collect", "test").index(self.stage)
        return self.sound, stage, self.passing, self.collected


class RecipeFailed(BuildError):
    """A recipe does not give a sound image; `failure` is what a builder works with."""

    def __init__(self, failure: Diagnosis) -> None:
        super().__init__(failure.message, telling_lines(failure.log))
        self.failure = failure
        self.recipe: Recipe | None = None  # as far as it worked
        self.dropped: list[str] = []  # what was left out of it


def diagnosis_of(error: BaseException) -> Diagnosis | None:
    """What was wrong with the recipe, if an error of a build tells."""
    cause = error if isinstance(error, RecipeFailed) else error.__cause__
    return cause.failure if isinstance(cause, RecipeFailed) else None


def failed(stage: Stage, message: str, log: str = "", *, command: str = "") -> RecipeFailed:
    """Return the error of a stage, with the end of the log."""
    return RecipeFailed(Diagnosis(stage=stage, message=message, log=_end(log), command=command))


def refused(reason: str, log: str = "") -> RecipeFailed:
    """Return the error of a recipe that does what a model's recipe may not do."""
    return RecipeFailed(
        Diagnosis(stage="install", message=f"refused: {reason}", log=_end(log), refused=True)
    )


def _end(log: str) -> str:
    """The end of a log, its long lines cut."""
    return "".join(
        line if len(line) <= _LINE else line[:_LINE] + "\n"
        for line in log[-_LOG:].splitlines(keepends=True)
    )


class RecipeChange(NamedTuple):
    """A changed recipe, and why."""

    recipe: Recipe
    rule: str
    """Short name of the rule, or of the kind of change."""
    reason: str
    """One line: what in the log or in the project's files led to it."""


class SourceProject(NamedTuple):
    """What builders know of a project."""

    source: Source
    tree: Path
    """The working tree on the host. Nothing of it may run there."""
    attempt: Callable[[Recipe], Diagnosis]
    """Builds and tests a recipe from scratch; a second time it answers from memory."""
    report: Callable[[str], None]
    contents: Contents
    """Debian's packages by the files that they have."""


class Builder(Protocol):
    """Proposes changes of recipes: rules, a CI workflow, or an agent."""

    @property
    def name(self) -> str:
        """The name in `--builders`."""

    def changes(
        self, project: SourceProject, recipe: Recipe, failure: Diagnosis, /
    ) -> Iterator[RecipeChange]:
        """Yield changes of the recipe that may mend this failure, the most promising first."""


class RepairStep(Record):
    """One step of a repair trace: a change that was tried, and what came of it."""

    source: str = Field(description="The SOURCE as it was typed.")
    digest: str = Field(description="Digest of the source's files.")
    builder: str
    rule: str
    reason: str
    before: Recipe
    failure: Diagnosis = Field(description="What was wrong with the recipe before.")
    after: Recipe
    result: Diagnosis = Field(description="How far the changed recipe got.")
    kept: bool = Field(description="Whether `repairs.py` went on from it.")
    seconds: float
