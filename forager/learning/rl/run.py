"""A reinforcement learning run in its directory: opens its parts, and lets the loop go on."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from forager.agent.tool import Toolbox
from forager.environments.task import Task
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.rl.admission import Admission
from forager.learning.rl.cluster import GradingExecutor, NodeModels, VersionFile
from forager.learning.rl.curriculum import Curriculum
from forager.learning.rl.graded import GradedAttempts
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.learner import Learner
from forager.learning.rl.ledger import Entry, RlLedger
from forager.learning.rl.loop import RlLoop
from forager.learning.rl.rewards import reward_named
from forager.learning.rl.rollouts import Rollouts
from forager.learning.rl.sampler import GatedModels, Sampler
from forager.learning.rl.settings import RlSettings
from forager.learning.rl.weights import PolicyWeights
from forager.learning.train.run import TrainingProgress
from forager.rollout.batch import Executor, spent
from forager.rollout.breaker import HOLD_SECONDS, CircuitBreaker
from forager.rollout.cluster import ClusterExecutor
from forager.rollout.live import Live, clear
from forager.rollout.local import LocalExecutor
from forager.rollout.meter import Meter
from forager.rollout.settings import MAY_CHANGE as MAY_CHANGE_IN_RUNS
from forager.rollout.worker import Worker
from forager.trajectories.store import Run


def reinforce(
    settings: RlSettings,
    tasks: Sequence[Task],
    layout: RlLayout,
    base: Path,
    sampler: Sampler,
    toolbox: Toolbox,
    *,
    overlap: bool = False,
    on_progress: TrainingProgress = lambda *_, **__: None,
    on_note: Callable[[str], None] = lambda _: None,
    on_entry: Callable[[Entry], None] = lambda _: None,
    evaluate: Callable[[int, GatedModels], None] = lambda *_: None,
    hold: float = HOLD_SECONDS,
) -> None:
    """Train all steps of a run. Raises ForagerError.

    With `overlap`, attempts go on while a step is computed. `on_entry` gets each entry of the
    ledger, those of earlier starts included. `evaluate` is called with the number
    of finished steps: before the first step, and after each one. `hold`: seconds for which no
    attempt starts after many were lost.
    """
    by_id = {task.instance_id: task for task in tasks}
    reward = reward_named(settings.reward.function)
    curriculum = Curriculum(tasks, settings.curriculum, settings.stages, settings.seed)
    with ExitStack() as stack:
        ledger = RlLedger(layout.ledger, curriculum, on_entry)
        stack.callback(ledger.close)
        learner = stack.enter_context(Learner(layout.training, base, settings))
        version = VersionFile(layout.version)
        weights = PolicyWeights(learner, sampler, base, version.write)
        if ledger.book.step:
            weights.check(ledger.book.step, ledger.book.model)
        weights.load(ledger.book.step)
        run = settings.run_settings(sampler.urls)  # known only now: loading may start a server
        store = stack.enter_context(
            Run.write(layout.attempts, run, tasks, may_change=MAY_CHANGE_IN_RUNS)
        )
        clear(layout.attempts)
        models = GatedModels(sampler, run, weights.gate)
        graded = GradedAttempts(store, reward, by_id)
        executor: Executor
        if run.executor == "ray":
            on_nodes = NodeModels(run, version)
            cluster = ClusterExecutor(layout.attempts, run, on_nodes, toolbox, spent(store))
            executor = stack.enter_context(GradingExecutor(cluster, graded))
        else:
            worker = Worker(run, models, toolbox, graded.keep, Live(layout.attempts))
            executor = stack.enter_context(LocalExecutor(worker, Meter(run.budget)))
        stack.callback(weights.gate.stop)
        rollouts = Rollouts(executor, run.workers, CircuitBreaker(hold))
        RlLoop(
            settings=settings,
            ledger=ledger,
            learner=learner,
            weights=weights,
            store=store,
            graded=graded,
            rollouts=rollouts,
            admission=Admission(ledger, by_id, settings, rollouts),
            tokenizer=Tokenizer(base),
            overlap=overlap,
            on_progress=on_progress,
            on_note=on_note,
            evaluate=lambda step: evaluate(step, models),
        ).run()
        learner.wait_for_model()
