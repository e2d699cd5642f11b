"""The builder `agent` (RepoAgent): a model looks for a recipe that works."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from forager.agent.model import Model
from forager.agent.tool import Toolbox
from forager.errors import ModelError, SandboxError
from forager.images.base import ensure_base
from forager.images.builder import Diagnosis, RecipeChange, SourceProject
from forager.images.recipe import Recipe
from forager.rollout.attempt import make_attempt
from forager.rollout.settings import RunSettings
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.engine import connect
from forager.trajectories.choice import Choice
from forager.trajectories.record import Trajectory
from forager.trajectories.store import RunWriter
from tasks.image import ENVIRONMENT, ImageTask, image_task
from tasks.image_project import parsed


@dataclass(frozen=True, slots=True)
class AgentBuilder:
    """Lets a model make one attempt at the task of a project's recipe; implements Builder.

    The attempt is stored in `run` like any other.
    """

    make_model: Callable[[ImageTask, int], Model]
    """Makes the model of an attempt from its task and number."""
    settings: RunSettings
    toolbox: Toolbox
    run: RunWriter
    submissions: int = 8

    @property
    def name(self) -> str:
        """The name in `--builders`."""
        return "agent"

    def changes(
        self, project: SourceProject, recipe: Recipe, failure: Diagnosis
    ) -> Iterator[RecipeChange]:
        """Yield the best recipe that the model submitted; nothing if its server is not there."""
        base = ensure_base(connect(), recipe.python, project.report)
        task = image_task(project, recipe, failure, base, self.submissions)
        self.run.add_task(task)
        number = self._number(task)
        try:
            made = self._attempted(project, task, number)
        except (ModelError, SandboxError) as error:
            project.report(f"agent: {error}")
            self.run.append_lost(f"{task.instance_id}.{number}", error, self.settings.models[0])
            return
        self.run.append(made)
        outcome = made.outcome
        project.report(f"agent: {outcome.verdict}, ended by {outcome.exit_reason}: {made.id}")
        if outcome.reward > 0:
            reason = f"attempt {made.id} of {made.model}, {made.turns} turns"
            yield RecipeChange(parsed(outcome.answer), "agent", reason)

    def _attempted(self, project: SourceProject, task: ImageTask, number: int) -> Trajectory:
        project.report(f"{self.settings.models[0]} looks for a recipe")
        model = self.make_model(task, number)
        with ENVIRONMENT.lend(project):
            return make_attempt(task, number, self.settings, model, self.toolbox, docker_sandbox)

    def _number(self, task: ImageTask) -> int:
        """The number of the next attempt at a task."""
        with self.run.index() as index:
            places = index.places(Choice(instance_id=task.instance_id))
            made = [summary.attempt for summary in index.summaries(places)]
        return max(made, default=-1) + 1
