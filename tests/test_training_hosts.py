"""Trainings with processes on a Ray cluster or started by DeepSpeed's launcher."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster
from tiny_models import make_base, make_dataset

from forager.errors import TrainingError
from forager.learning.train import TrainSettings, train
from forager.learning.train.settings import StepMetrics
from forager.records import read_records

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch, DeepSpeed, Ray
SMALL: dict[str, Any] = {"pack_length": 128, "batch_size": 4, "learning_rate": 1e-3, "processes": 2}
SYSTEM = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model."""
    return make_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """A data set for the tiny model."""
    return make_dataset(tmp_path_factory.mktemp("data") / "data", base)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A Ray head without processors, and two nodes with one each."""
    handler = signal.getsignal(signal.SIGTERM)
    made = Cluster()
    made.add_node(num_cpus=0, _system_config=SYSTEM, object_store_memory=80 << 20)
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=80 << 20)
    made.wait_for_nodes()
    yield made
    ray.shutdown()
    made.shutdown()
    signal.signal(signal.SIGTERM, handler)  # a node has put one of its own there


def losses(training: Path) -> list[float]:
    """The loss of each step."""
    return [step.loss for step in read_records(training / "metrics.jsonl", StepMetrics)]


def quiet(done: int, **counts: float) -> None:
    """Ignore progress."""


def test_launcher_and_cluster_agree_with_this_machine(
    tmp_path: Path, cluster: Cluster, base: Path, data: Path
) -> None:
    """Losses agree to the last digit; after a lost node the training fails and can be resumed."""
    hostfile = tmp_path / "hostfile"
    hostfile.write_text("localhost slots=2\n")
    given = {**SMALL, "max_steps": 6, "checkpoint_every": 2}
    elsewhere = [
        {"executor": "local"},
        {"executor": "hosts", "hostfile": str(hostfile)},
        {"executor": "ray", "address": cluster.address},
    ]
    found = []
    for number, where in enumerate(elsewhere):
        training = tmp_path / str(number)
        train(TrainSettings.build(given | where), [data], base, training, quiet)
        found.append(losses(training))
    assert len(found[0]) == 6
    fewer = TrainSettings.build(given | elsewhere[1] | {"processes": 4})
    with pytest.raises(TrainingError, match="2 processes were started, but the settings ask for 4"):
        train(fewer, [data], base, tmp_path / "fewer", quiet)
    assert found[0] == found[1] == found[2]

    def lose(done: int, **_: float) -> None:
        if done >= 3 and len(cluster.worker_nodes) == 2:
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    lost = TrainSettings.build(given | elsewhere[2] | {"max_steps": 200})
    with pytest.raises(TrainingError):
        train(lost, [data], base, tmp_path / "lost", lose)
    cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
    cluster.wait_for_nodes()
    before = losses(tmp_path / "lost")
    train(lost, [data], base, tmp_path / "lost", quiet)
    after = losses(tmp_path / "lost")
    assert len(after) == 200
    assert after[:3] == before[:3]
