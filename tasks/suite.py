"""Suites: benchmarks as `forager evaluate` runs them, each in a small TOML file.

A suite names rows, the format in which `tasks import` reads them, and how a model is asked. Those
in `tasks/suites/` ship with forager; a user's own is the path of a file.
"""

from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from forager.config import load_settings
from forager.environments.task import Task
from forager.errors import UsageError
from forager.records import Record, read_records
from forager.trajectories.record import Sampling
from tasks.importing import FORMATS, ImportRequest, task_of
from tasks.questions import QUESTIONS, allows_python, runs_programs
from tasks.rows import UnusableRow, read_rows

TASKS = "tasks"
"""The format of a file of forager's own tasks."""


class BenchmarkSuite(Record):
    """A benchmark, and how a model is asked."""

    name: str
    format: str = Field(description="Format of the rows, as in `tasks import`; or `tasks`.")
    data: str = Field("", description="Data set of the Hub, or file; --data replaces it.")
    split: str = Field("", description="Split of the data set.")
    source: str = Field("", description="Where the rows come from.")
    licence: str = Field("", description="Their licence.")
    prompt: str = Field(
        "{statement}", description="What the model reads; {statement} is that of the task."
    )
    attempts: int = Field(1, ge=1, description="Attempts at each task.")
    metric: list[int] = Field([1], description="Each k for which pass@k is printed.")
    sampling: Sampling = Sampling()
    limits: dict[str, float] = Field({}, description="Limits of an attempt, as in settings.json.")
    system: str = Field("", description="System prompt.")
    python: bool = Field(False, description="Whether problems of mathematics allow Python.")

    @field_validator("format")
    @classmethod
    def _known(cls, value: str) -> str:
        known = (*FORMATS, *QUESTIONS, TASKS)
        if value not in known:
            raise ValueError(f"there is no format {value!r}; there are {', '.join(known)}")
        return value

    @model_validator(mode="after")
    def _has_a_use_for_python(self) -> Self:
        if self.python and not allows_python(self.format):
            raise ValueError(f"python: tasks of the format {self.format} cannot allow it")
        return self

    @field_validator("prompt")
    @classmethod
    def _holds_the_statement(cls, value: str) -> str:
        if "{statement}" not in value:
            raise ValueError("it lacks {statement}, which stands for the task's own")
        return value

    @property
    def runs(self) -> bool:
        """Whether its tasks need an image for what grading runs."""
        return self.python or runs_programs(self.format)

    def settings(self) -> dict[str, Any]:
        """The settings of its attempts that differ from the usual ones."""
        found: dict[str, Any] = {
            "attempts": self.attempts,
            "sampling": self.sampling.model_dump(exclude_defaults=True),
            "limits": dict(self.limits),
        }
        return found | ({"system": self.system} if self.system else {})


def shipped() -> list[str]:
    """The names of the suites that ship."""
    files = resources.files("tasks").joinpath("suites").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_suite(name: str) -> BenchmarkSuite:
    """A suite that ships, or the one in a TOML file. Raises UsageError."""
    if name.endswith(".toml"):
        suite = load_settings(Path(name), BenchmarkSuite)
        data = Path(name).parent / suite.data
        here = bool(suite.data) and data.exists()
        return suite.model_copy(update={"data": str(data)}) if here else suite
    if name not in shipped():
        raise UsageError(
            f"{name} is neither a file nor a suite; there are {', '.join(shipped())}, or give "
            "tasks.jsonl, or a suite of your own as FILE.toml"
        )
    with resources.as_file(resources.files("tasks").joinpath("suites", f"{name}.toml")) as path:
        return load_settings(path, BenchmarkSuite)


def suite_tasks(
    suite: BenchmarkSuite, data: str, image: str, refused: Counter[str], limit: int | None = None
) -> list[Task]:
    """The tasks of a suite, in the order of its rows; refused rows are counted by reason.

    What they run, they run in `image`. Raises UsageError if there are none.
    """
    where = data or suite.data
    if not where:
        raise UsageError(
            f"the suite {suite.name} has no data of its own: get its rows from "
            f"{suite.source or 'their authors'} and give them as --data FILE"
        )
    found: list[Task] = []
    for task in _tasks(suite, where, image, refused):
        if limit is not None and len(found) == limit:
            break
        found.append(_asked(suite, task))
    if not found:
        raise UsageError(f"{where} gives no tasks for {suite.name}: {_reasons(refused)}")
    return found


def _reasons(refused: Counter[str]) -> str:
    return "; ".join(f"{count:,} rows: {reason}" for reason, count in refused.most_common(3))


def _tasks(suite: BenchmarkSuite, where: str, image: str, refused: Counter[str]) -> Iterator[Task]:
    if suite.format == TASKS:
        yield from read_records(Path(where), Task)
        return
    form = QUESTIONS.get(suite.format) or FORMATS[suite.format]
    wanted = ImportRequest(form, image=image, python=suite.python, keep_contaminated=True)
    for read in read_rows(where, suite.split or None):
        try:
            yield task_of(read.row, wanted)
        except UnusableRow as error:
            refused[str(error)] += 1


def _asked(suite: BenchmarkSuite, task: Task) -> Task:
    """The task with the suite's prompt, and with the suite among its labels."""
    more = {**task.labels.more, "suite": suite.name}
    return task.model_copy(
        update={
            "problem_statement": suite.prompt.replace("{statement}", task.problem_statement),
            "labels": task.labels.model_copy(update={"more": more}),
        }
    )
