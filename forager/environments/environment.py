"""The Environment seam: how tasks are asked, opened in a sandbox, answered and graded.

A batch runner, filter, trainer or evaluation knows *that* a task can be asked, opened, answered
and graded, never *how*. Other packages add environments as entry points of
`forager.environments`: the name of an entry point is the name that tasks carry in `environment`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, TypeVar, runtime_checkable

from pydantic import Field, FiniteFloat, model_validator

from forager.environments.task import Task
from forager.records import Record
from forager.sandboxes.no_sandbox import NoSandbox
from forager.sandboxes.sandbox import Limits, Sandbox, SandboxFactory

T = TypeVar("T", bound=Task, contravariant=True)

CauseKind = Literal["", "policy", "format", "time", "infrastructure"]
"""Why an answer is not resolved: it is wrong, it cannot be read, it took too long, or the machine
failed. `infrastructure` never counts against a model: forager makes the attempt again."""


class Grade(Record):
    """The judgement on an answer."""

    resolved: bool
    reward: FiniteFloat = Field(description="Reward for RL, on a scale of the environment.")
    cause: str = Field("", description="Why the answer was refused, in one sentence.")
    cause_kind: CauseKind = Field(
        "", description="What made the answer fail; `policy` unless the environment says otherwise."
    )
    tests: dict[str, str] = Field(
        {},
        description="Outcome of each test that decides: passed, failed, error, skipped, timeout or "
        "missing.",
    )
    similarity: float = Field(0.0, description="To the reference answer, from 0 to 1.")
    ignored_files: list[str] = Field([], description="Files of the answer that grading left out.")
    suspect: list[str] = Field(
        [],
        description="Reasons to think that an answer which passes all tests forges its result, "
        "such as 'core.py:61 assigns unittest.TestCase.assertEqual'. Such an answer is not "
        "resolved and has the reward of a failure, unless someone accepts it.",
    )
    caveat: str = Field(
        "",
        description="How this verdict could still be forged, where no guard fits the task.",
    )

    @model_validator(mode="after")
    def _suspects_are_not_resolved(self) -> Self:
        if self.resolved and self.suspect:
            raise ValueError("a grade with reasons in `suspect` is not resolved")
        return self

    @model_validator(mode="before")
    @classmethod
    def _every_failure_has_a_kind(cls, given: Any) -> Any:
        if isinstance(given, dict) and not given.get("cause_kind"):
            return {**given, "cause_kind": "" if given.get("resolved") else "policy"}
        return given


class AttemptAnswer(Record):
    """What an attempt hands in, as text."""

    text: str = ""
    left_out: list[str] = Field([], description="What the text lacks, each with the reason.")
    problem: str = Field("", description="Why there is no answer to grade, in a sentence.")
    problem_kind: CauseKind = Field("policy", description="What kind of problem that is.")


@dataclass(frozen=True, slots=True)
class OpenedTask:
    """A sandbox in the state that the agent sees; `base` identifies this state.

    For a repository `base` is the id of its only commit.
    """

    sandbox: Sandbox
    base: str = ""


class Environment(Protocol[T]):
    """One sort of tasks. Threads share instances, which keep no state of attempts.

    `open`, `answer` and `grade` raise SandboxError if the machine fails. An agent can cause such
    errors of `answer` and `grade`: the attempt has failed if an attempt without an agent works (see
    `forager/rollout/blame.py`). Otherwise forager repeats it.
    """

    @property
    def task_type(self) -> type[Task]:
        """The record type of its tasks."""
        ...

    def prompt(self, task: T) -> str:
        """The first user message to the agent."""
        ...

    def limits(self, task: T, limits: Limits) -> Limits:
        """The given limits of sandboxes, raised where the task needs more."""
        ...

    def open(self, task: T, limits: Limits, sandboxes: SandboxFactory) -> OpenedTask:
        """Start a sandbox in the state that the agent sees."""
        ...

    def answer(self, task: T, opened: OpenedTask, text: str) -> AttemptAnswer:
        """The answer after the agent's last turn: a patch, a program or a text.

        `text` is the agent's last message. The sandbox is still open.
        """
        ...

    def grade(self, task: T, answer: str, limits: Limits, sandboxes: SandboxFactory) -> Grade:
        """Judge the answer in fresh sandboxes."""
        ...


@runtime_checkable
class KnowsReference(Protocol[T]):
    """An Environment that knows a right answer to each task.

    Where an error of grading may be the answer's fault, forager grades this answer instead.
    """

    def reference(self, task: T) -> str:
        """An answer that resolves the task; empty if none is known."""
        ...


@runtime_checkable
class ExplainsTasks(Protocol[T]):
    """An Environment whose tasks hold more that a person compares an answer with."""

    def explanation(self, task: T) -> dict[str, str]:
        """Texts by title, such as the bug and the reference patch. Agents never see them."""
        ...


@runtime_checkable
class ReviewsSubmissions(Protocol[T]):
    """An Environment that may refuse what an agent submits; the attempt goes on then."""

    def review(self, task: T, opened: OpenedTask) -> str:
        """Why the submission is refused, for the agent to read; empty if it is accepted.

        Raises LimitReached if the agent has submitted as often as it may.
        """
        ...


@runtime_checkable
class HasSystemPrompt(Protocol):
    """An Environment whose agents are not software engineers at work on code."""

    @property
    def system_prompt(self) -> str:
        """The system prompt of a run that names none; `{instructions}` as in `forager run`.

        Tasks without tools have no system prompt, unless the run names one.
        """
        ...


@runtime_checkable
class ChoosesTools(Protocol[T]):
    """An Environment whose tasks do not allow all tools."""

    def tools(self, task: T) -> Collection[str] | None:
        """The names of the tools that a task allows; None for all of them.

        Without any, the model's first message is the answer: requests define no tools, and neither
        `open` nor `review` is called. `answer` then gets a sandbox that cannot be used.
        """
        ...


class TestBaseline(Record):
    """What tests do on a task before anybody answers it."""

    __test__ = False

    own: list[str] = Field(description="The task's own tests that count.")
    shows: list[bool] = Field(description="Whether each written test shows the fault.")


class AnswerTrial(Record):
    """What tests do on an answer."""

    own: int = Field(description="Own tests that pass.")
    written: list[bool] = Field(description="Whether each written test finds no fault.")
    problem: str = Field("", description="Why nothing could be run: then no test passes.")


OwnTests = Literal["regression", "all", "none"]
"""Which of a task's own tests count: those that pass before any answer, all, or none."""


@runtime_checkable
class TriesAnswers(Protocol[T]):
    """An Environment that can test answers without knowing which are right."""

    def without_truth(self, task: T) -> Any:
        """The task, of the same type, without all that only its grading may know."""
        ...

    def baseline(
        self,
        task: T,
        own: OwnTests,
        written: Sequence[str],
        limits: Limits,
        sandboxes: SandboxFactory,
    ) -> TestBaseline:
        """Run own tests and written tests on the task as the agent sees it."""
        ...

    def trial(
        self,
        task: T,
        answer: str,
        own: Sequence[str],
        written: Sequence[str],
        limits: Limits,
        sandboxes: SandboxFactory,
    ) -> AnswerTrial:
        """Run own tests and written tests on an answer, in a fresh sandbox."""
        ...


@runtime_checkable
class WritesTests(Protocol[T]):
    """An Environment whose answers are tests of answers to other tasks."""

    def about(self, task: T) -> str:
        """The instance_id of the task that a test is about."""
        ...


@runtime_checkable
class ComparesAnswers(Protocol):
    """An Environment in which different texts can be the same answer."""

    def canonical(self, answer: str) -> str:
        """A text that equal answers have in common."""
        ...


def allowed_tools(environment: Environment[Any], task: Task) -> Collection[str] | None:
    """The names of the tools that a task allows; None for all of them."""
    return environment.tools(task) if isinstance(environment, ChoosesTools) else None


def has_tools(environment: Environment[Any], task: Task) -> bool:
    """Whether attempts at a task have tools, and so a sandbox; else one message is the answer."""
    allowed = allowed_tools(environment, task)
    return allowed is None or bool(allowed)


def opened_task(
    environment: Environment[Any], task: Task, limits: Limits, sandboxes: SandboxFactory
) -> OpenedTask:
    """Open a task; one without tools needs no sandbox. Raises as `Environment.open` does."""
    if not has_tools(environment, task):
        return OpenedTask(NoSandbox())
    return environment.open(task, limits, sandboxes)
