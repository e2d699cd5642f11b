"""The evaluation of the current weights on held-out tasks."""

from collections.abc import Sequence

from forager.agent.tool import Toolbox
from forager.environments.task import Task
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.sampler import GatedModels
from forager.learning.rl.settings import RlSettings
from forager.rollout.batch import run_batch
from forager.rollout.settings import MAY_CHANGE
from forager.trajectories.store import Run


def is_due(settings: RlSettings, step: int) -> bool:
    """Whether the weights after a step are evaluated: the base, each N steps, and the last."""
    return step % settings.evaluate.every == 0 or step == settings.steps


def evaluate(
    settings: RlSettings,
    layout: RlLayout,
    tasks: Sequence[Task],
    step: int,
    models: GatedModels,
    urls: list[str],
    toolbox: Toolbox,
) -> float:
    """The share of attempts that resolve held-out tasks; finished attempts are not made again."""
    run = layout.evaluation(step)
    wanted = settings.evaluation_settings(urls)
    with Run.write(run, wanted, tasks, may_change=MAY_CHANGE) as store:
        run_batch(
            store,
            tasks,
            wanted,
            model=models.under(wanted),
            toolbox=toolbox,
            on_progress=lambda *_, **__: None,
        )
    resolved = [attempt.resolved for attempt in Run(run).summaries()]
    return sum(resolved) / max(len(resolved), 1)
