"""Trainings with processes on a Ray cluster or started by DeepSpeed's launcher."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ray_clusters import complete, ray_cluster

from forager.errors import TrainingError
from forager.learning.train import TrainSettings, train
from forager.learning.train.settings import StepMetrics
from forager.records import read_records

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch, DeepSpeed, Ray
SMALL: dict[str, Any] = {"pack_length": 128, "batch_size": 4, "learning_rate": 1e-3, "processes": 2}


@pytest.fixture
def cluster() -> Iterator["Cluster"]:
    """Two nodes of one processor."""
    with ray_cluster(2, num_cpus=1) as cluster:
        yield cluster


def losses(training: Path) -> list[float]:
    """The loss of each step."""
    return [step.loss for step in read_records(training / "metrics.jsonl", StepMetrics)]


def quiet(done: int, **counts: float) -> None:
    """Ignore progress."""


def test_launcher_and_cluster_agree_with_this_machine(
    tmp_path: Path, cluster: "Cluster", tiny_base: Path, tiny_data: Path
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
        train(TrainSettings.build(given | where), [tiny_data], tiny_base, training, quiet)
        found.append(losses(training))
    assert len(found[0]) == 6
    fewer = TrainSettings.build(given | elsewhere[1] | {"processes": 4})
    with pytest.raises(TrainingError, match="2 processes were started, but the settings ask for 4"):
        train(fewer, [tiny_data], tiny_base, tmp_path / "fewer", quiet)
    assert found[0] == found[1] == found[2]

    def lose(done: int, **_: float) -> None:
        if done >= 3 and len(cluster.worker_nodes) == 2:
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    lost = TrainSettings.build(given | elsewhere[2] | {"max_steps": 200})
    with pytest.raises(TrainingError):
        train(lost, [tiny_data], tiny_base, tmp_path / "lost", lose)
    complete(cluster, 2, num_cpus=1)
    before = losses(tmp_path / "lost")
    train(lost, [tiny_data], tiny_base, tmp_path / "lost", quiet)
    after = losses(tmp_path / "lost")
    assert len(after) == 200
    assert after[:3] == before[:3]
