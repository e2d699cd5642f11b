"""The environment `image`: the answer is a recipe, judged by building it and running the tests.

An agent works in a container with a network and hands in recipes; each is built from scratch, and
refused with the reasons until it is sound. The reward is the share of passing tests times the share
of the project's test functions that are collected.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from pydantic import Field

from forager.environments.environment import AttemptAnswer, Grade, OpenedTask
from forager.environments.task import Labels, Task
from forager.errors import LimitReached, SandboxLost, SourceError, UsageError
from forager.images.agent_bench import RECIPE, open_bench
from forager.images.base import ensure_base
from forager.images.builder import Diagnosis, SourceProject
from forager.images.recipe import Recipe
from forager.images.workshop import NO_TIME
from forager.sandboxes.engine import connect
from forager.sandboxes.sandbox import Limits, Sandbox, SandboxFactory
from tasks.contamination import admitted, contaminated
from tasks.image_project import attempted, fetched, parsed
from tasks.image_prompt import SYSTEM, diagnosis, prompt, recipe_text

KIND = "image"
_LONGEST = 64 << 10  # characters of a log or a recipe
_MEMORY, _PROCESSES = 2 << 30, 1024  # as builds have
_KNOWN = 500  # results of recipes that are remembered


class ImageTask(Task):
    """Find the recipe of a project."""

    environment: str = KIND
    kind: str = KIND
    digest: str = Field(description="Digest of the source's files.")
    recipe: Recipe = Field(description="The recipe so far.")
    failure: Diagnosis = Field(description="What is wrong with it.")
    submissions: int = Field(8, ge=1, description="Recipes that the agent may hand in.")


def image_task(
    project: SourceProject, recipe: Recipe, failure: Diagnosis, base: str, submissions: int = 8
) -> ImageTask:
    """The task to mend a recipe; `base` is the reference of the base image."""
    source = project.source
    told = failure.model_copy(update={"log": failure.log[-_LONGEST:]})
    text = "\0".join((source.digest, recipe.model_dump_json(), told.model_dump_json()))
    key = hashlib.sha256(text.encode()).hexdigest()[:8]
    return ImageTask(
        instance_id=f"image.{source.name.replace('/', '__')}.{key}",
        repo=source.name,
        problem_statement=prompt(project, recipe, told, submissions),
        image=base,
        labels=Labels(
            family=KIND,
            operator=failure.stage,
            repository=source.name,
            functions=[source.name],
            difficulty={"test_functions": float(failure.functions)},
        ),
        source=source.given,
        licence=source.licence,
        digest=source.digest,
        recipe=recipe,
        failure=told,
        submissions=submissions,
        contaminated=contaminated(source.name),
    )


def task_from_nothing(
    source: str,
    *,
    keep_contaminated: bool = False,
    also: Path | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> ImageTask | None:
    """The task to find the recipe of a source, which is empty so far; None if that is sound.

    Raises UsageError for a project that is kept out of training sets, and SandboxError.
    """
    with fetched(source, report=report) as project:
        admitted(project.source.name, keep=keep_contaminated, also=also)
        report("trying the empty recipe")
        failure = attempted(project, Recipe())
        if failure.sound:
            return None
        return image_task(project, Recipe(), failure, ensure_base(connect(), report=report))


class Submission(NamedTuple):
    """A recipe that the agent handed in, as text, and what came of it."""

    text: str
    failure: Diagnosis


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedImage(OpenedTask):
    """The agent's container, and the project whose recipe it looks for."""

    project: SourceProject
    submitted: list[Submission] = field(default_factory=list)


class ImageEnvironment:
    """Implements Environment, ReviewsSubmissions and HasSystemPrompt."""

    task_type = ImageTask
    system_prompt = SYSTEM

    def __init__(self) -> None:
        self._lock = Lock()
        self._lent: dict[str, SourceProject] = {}  # by the digest of the source
        self._known: dict[tuple[str, str], Diagnosis] = {}  # by task and answer, until graded

    @contextmanager
    def lend(self, project: SourceProject) -> Iterator[None]:
        """Use this project, instead of fetching it, for tasks of its source meanwhile."""
        digest = project.source.digest
        self._lent[digest] = project
        try:
            yield
        finally:
            self._lent.pop(digest, None)

    def prompt(self, task: ImageTask) -> str:
        """The diagnosis, and what the project says of itself."""
        return task.problem_statement

    def limits(self, task: ImageTask, limits: Limits) -> Limits:
        """A network, and what a build may use."""
        return limits.model_copy(
            update={
                "network": True,
                "memory": max(limits.memory, task.recipe.memory, _MEMORY),
                "processes": max(limits.processes, _PROCESSES),
            }
        )

    def open(self, task: ImageTask, limits: Limits, sandboxes: SandboxFactory) -> OpenedImage:
        """A container like that of a build, with the project, and the recipe so far in a file."""
        with ExitStack() as needs:
            project = needs.enter_context(self._project(task))
            text = recipe_text(task.recipe)
            bench = open_bench(project, task.recipe, text, limits, sandboxes, needs)
            return OpenedImage(sandbox=bench, project=project)

    def review(self, task: ImageTask, opened: OpenedTask) -> str:
        """Build the recipe and run the tests; why it is refused, or an empty text."""
        assert isinstance(opened, OpenedImage)
        text = _read(opened.sandbox)
        before = {made.text: made.failure for made in opened.submitted}
        before[recipe_text(task.recipe)] = task.failure
        failure = before.get(text) or _judged(opened.project, text)
        opened.submitted.append(Submission(text, failure))
        if failure.sound:
            return ""
        if failure.message.startswith(NO_TIME):
            raise LimitReached("time_limit")
        left = task.submissions - len(opened.submitted)
        if not left:
            raise LimitReached("submission_limit")
        return f"The recipe is refused. {diagnosis(failure)}\n[{left} submissions left]"

    def answer(self, task: ImageTask, opened: OpenedTask, text: str) -> AttemptAnswer:
        """The best recipe that was submitted; without one, the file as it is."""
        del text
        assert isinstance(opened, OpenedImage)
        if not opened.submitted:
            return AttemptAnswer(text=_read(opened.sandbox))
        best = max(opened.submitted, key=lambda made: made.failure.progress)
        with self._lock:
            self._known[task.instance_id, best.text] = best.failure
            for old in [*self._known][:-_KNOWN]:  # of attempts that were lost
                del self._known[old]
        return AttemptAnswer(text=best.text)

    def grade(
        self, task: ImageTask, answer: str, limits: Limits, sandboxes: SandboxFactory
    ) -> Grade:
        """Build the recipe from scratch, unless its result is known from a submission."""
        del limits, sandboxes
        failure = self._known.pop((task.instance_id, answer), None)
        if answer == recipe_text(task.recipe):
            failure = task.failure
        if not failure:
            with self._project(task) as project:
                failure = _judged(project, answer)
        cause = "" if failure.sound else failure.message
        return Grade(resolved=failure.sound, reward=reward(failure), cause=cause)

    @contextmanager
    def _project(self, task: ImageTask) -> Iterator[SourceProject]:
        if lent := self._lent.get(task.digest):
            yield lent
            return
        with ExitStack() as stack:
            try:
                project = stack.enter_context(fetched(task.source, task.digest))
            except SourceError as error:
                raise SandboxLost(str(error)) from error
            yield project


def _judged(project: SourceProject, text: str) -> Diagnosis:
    """What comes of a recipe. Raises SandboxLost if the machine fails."""
    try:
        recipe = parsed(text)
    except UsageError as error:
        return Diagnosis(stage="install", message=str(error))
    return attempted(project, recipe)


def _read(sandbox: Sandbox) -> str:
    """The recipe in the agent's container; empty if there is none, or it is too long."""
    try:
        content = sandbox.read(RECIPE)
    except OSError:
        return ""
    return content.decode("utf-8", "replace") if len(content) <= _LONGEST else ""


def reward(failure: Diagnosis) -> float:
    """The share of tests that pass, times the share of test functions that are collected."""
    if not failure.run:
        return 0.0
    collected = failure.collected / failure.functions if failure.functions else 1.0
    return round(failure.passing / failure.run * min(1.0, collected), 4)


ENVIRONMENT = ImageEnvironment()
"""What the entry point `image` of `forager.environments` names."""
