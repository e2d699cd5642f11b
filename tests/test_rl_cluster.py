"""`forager rl` with attempts on a Ray cluster, and own servers that its nodes ask."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ray_clusters import ray_cluster
from rl_program import TASKS, run, settings
from rl_server import OwnServer, serving
from tiny_models import make_base

from forager.agent.model import ScriptedModel
from forager.agent.traffic import RateLimiter
from forager.environments.task import Task
from forager.errors import UsageError
from forager.learning.rl.cluster import GradingExecutor
from forager.learning.rl.graded import GradedAttempts
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.ledger import GradedEntry, TrainedEntry, entries
from forager.learning.rl.sampler import Sampler
from forager.learning.rl.samplers import sampler_of
from forager.learning.rl.settings import RlSettings
from forager.rollout.live import Live
from forager.rollout.local import LocalExecutor
from forager.rollout.meter import Meter
from forager.rollout.settings import Budget, RunSettings
from forager.rollout.worker import Job, JobResult, Worker
from forager.trajectories.record import Trajectory
from forager.trajectories.store import Run

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore"),  # of Ray and of torch
    # Ray's own processes and sockets, which it leaves to the end of this one.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def cluster() -> Iterator["Cluster"]:
    """A node with room for four attempts."""
    with ray_cluster(1, num_cpus=1, memory=1 << 30) as cluster:
        yield cluster


def test_nodes_make_the_attempts_of_a_run(cluster: "Cluster", tmp_path: Path) -> None:
    """Each is graded once and trained on with its version, though there is room for half of them.

    This process stores none.
    """
    base, output = make_base(tmp_path / "base"), tmp_path / "run"
    rollout = {
        "workers": 8,
        "sampling": {"max_tokens": 8},
        "executor": "ray",
        "address": cluster.address,
        "sandbox": "bubblewrap",  # of which these tasks need none
        "sandbox_limits": {"cpus": 0.25, "memory": 64 << 20},
    }

    def served(base: Path, asked: RlSettings) -> Sampler:
        return sampler_of(asked, base, tmp_path / "logs")

    with serving(OwnServer(base)) as url:
        given: dict[str, Any] = {"sampler": "vllm", "urls": [url], "rollout": rollout}
        run(base, output, make_sampler=served, overlap=True, steps=2, staleness=1, **given)
    noted = list(entries(RlLayout(output).ledger))
    assert [entry.step for entry in noted if isinstance(entry, TrainedEntry)] == [1, 2]
    graded = Counter(entry.attempt for entry in noted if isinstance(entry, GradedEntry))
    assert set(graded.values()) == {1} and len(graded) >= 16
    attempts = Run(output / "attempts")
    assert graded.keys() <= {summary.id for summary in attempts.summaries()}
    assert not [shard for shard in attempts.shards() if f"-{os.getpid()}." in shard.name]
    calls = [call for attempt in attempts.trajectories() for call in attempt.model_calls]
    versions = {call.policy_version for call in calls}
    assert 0 in versions and versions <= {0, 1, 2}
    assert (output / "version").read_text() == "2\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, 'needs sampler = "vllm", and urls'),
        ({"sampler": "vllm", "urls": ["http://a/v1"], "overlap": "no"}, "overlap: requests"),
        (
            {"sampler": "vllm", "urls": ["http://a/v1"], "train": {"executor": "ray"}},
            "only one of the trainer and the attempts can use Ray",
        ),
    ],
)
def test_settings_that_a_cluster_cannot_have_are_said(given: dict[str, Any], message: str) -> None:
    """Before anything starts."""
    with pytest.raises(ValueError, match=message):
        settings(Path("base"), rollout={"executor": "ray"}, **given)


def answers(job: Job, limiter: RateLimiter) -> ScriptedModel:
    """A model that answers each question with 1."""
    del job, limiter
    return ScriptedModel([{"role": "assistant", "content": "[ANSWER]1[/ANSWER]"}])


def test_rewards_of_stored_attempts_are_computed_here(tmp_path: Path) -> None:
    """An attempt ends once its reward is known; one without a number is an error that names it."""

    def reward(task: Task, attempt: Trajectory) -> float:
        return float("nan") if task is TASKS[1] else float(attempt.outcome.resolved)

    asked = RunSettings(models=["m"], sandbox="bubblewrap")
    with Run.write(tmp_path / "run", asked, TASKS) as store:
        worker = Worker(asked, answers, {}, store.append, Live(store.path))
        graded = GradedAttempts(store, reward, {task.instance_id: task for task in TASKS})
        with GradingExecutor(LocalExecutor(worker, Meter(Budget())), graded) as executor:
            for task in TASKS[:3]:
                assert executor.place(Job(task, 0))
            ended: dict[str, JobResult] = {}
            while len(ended) < 3:
                ended |= {result.id: result for result in executor.ended(0.05)}
    assert isinstance(ended["q1.0"].error, UsageError) and "q1.0 is nan" in str(ended["q1.0"].error)
    assert graded.take("q2.0")[1] == graded.take("q0.0")[1] == 0.0
    assert ended["q0.0"].summary and not ended["q0.0"].error
