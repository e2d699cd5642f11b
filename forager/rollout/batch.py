"""Many attempts side by side; each is kept the moment it is graded."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Protocol

from forager.agent.model import Model
from forager.agent.tool import Toolbox
from forager.environments.task import Task
from forager.errors import ForagerError
from forager.rollout.attempt import make_attempt
from forager.rollout.settings import RunSettings
from forager.trajectories.record import Trajectory
from forager.trajectories.store import RunWriter

LOST_IN_A_ROW = 3  # then something is broken that no further attempt will mend


class OnProgress(Protocol):
    """Told after each attempt; the numbers are of the whole run."""

    def __call__(self, done: int, **counts: int) -> None:
        """`done` attempts, and the counts resolved, running, failed and tokens."""
        ...


def run_batch(
    store: RunWriter,
    tasks: Sequence[Task],
    settings: RunSettings,
    *,
    model: Callable[[int], Model],
    toolbox: Toolbox,
    on_progress: OnProgress,
) -> None:
    """Make the attempts that the run lacks, `settings.workers` at a time.

    `model` makes the model of an attempt, given its number. An attempt that infrastructure ended
    is noted as lost and made again when the run is resumed; LOST_IN_A_ROW of them, and the error
    is raised. What was graded is on disk whatever happens.
    """
    wanted = [(task, number) for number in range(settings.attempts) for task in tasks]
    names = {f"{task.instance_id}.{number}" for task, number in wanted}
    done = [summary for summary in store.summaries() if summary.id in names]
    finished = {summary.id for summary in done}
    counts = _Counts(len(done), sum(one.resolved for one in done), sum(s.tokens for s in done))
    left = iter([(t, n) for t, n in wanted if f"{t.instance_id}.{n}" not in finished])
    with ThreadPoolExecutor(settings.workers) as pool:
        running: dict[Future[Trajectory], str] = {}

        def start(pairs: Iterator[tuple[Task, int]]) -> None:
            for task, number in pairs:
                future = pool.submit(make_attempt, task, number, settings, model(number), toolbox)
                running[future] = f"{task.instance_id}.{number}"

        start(islice(left, settings.workers))
        try:
            while running:
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    _keep(store, running.pop(future), future, counts)
                    start(islice(left, 1))
                    on_progress(
                        counts.done,
                        resolved=counts.resolved,
                        running=len(running),
                        failed=counts.lost,
                        tokens=counts.tokens,
                    )
        except BaseException:
            for future in running:
                future.cancel()
            raise


class _Counts:
    """How far the batch is."""

    def __init__(self, done: int, resolved: int, tokens: int) -> None:
        self.done, self.resolved, self.tokens = done, resolved, tokens
        self.lost = self.lost_in_a_row = 0


def _keep(store: RunWriter, name: str, future: Future[Trajectory], counts: _Counts) -> None:
    """Store a graded attempt, or note a lost one."""
    try:
        trajectory = future.result()
    except ForagerError as error:
        store.append_lost(name, error)
        counts.lost += 1
        counts.lost_in_a_row += 1
        if counts.lost_in_a_row >= LOST_IN_A_ROW:
            raise
        return
    store.append(trajectory)
    counts.done += 1
    counts.resolved += trajectory.outcome.resolved
    counts.tokens += trajectory.usage.prompt_tokens + trajectory.usage.completion_tokens
    counts.lost_in_a_row = 0
