"""Trainings with processes on a Ray cluster or started by DeepSpeed's launcher."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
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


def lose_a_node(cluster: "Cluster", training: Path) -> None:
    """End a node with its rank; the training stands still meanwhile, as it takes but a second."""
    raylets = dict(ranks(training))
    assert len({*raylets.values()}) == 2
    for rank in raylets:
        os.kill(rank, signal.SIGSTOP)
    node = next(iter(cluster.worker_nodes))
    lost = node.all_processes["raylet"][0].process.pid
    cluster.remove_node(node, allow_graceful=False)
    for rank, raylet in raylets.items():
        with suppress(ProcessLookupError):
            os.kill(rank, signal.SIGKILL if raylet == lost else signal.SIGCONT)


def ranks(training: Path) -> Iterator[tuple[int, int]]:
    """The processes of a training on Ray, each with that of its node."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes()
            node = re.search(rb"RAY_RAYLET_PID=(\d+)", (process / "environ").read_bytes())
            if node and b"train.program" in command and bytes(training) in command:
                yield int(process.name), int(node[1])


def test_launcher_and_cluster_agree_with_this_machine(
    tmp_path: Path, cluster: "Cluster", tiny_base: Path, tiny_data: Path
) -> None:
    """Losses agree to the last digit; after a lost node the training fails and can be resumed."""
    hostfile, fewer = tmp_path / "hostfile", tmp_path / "fewer.hosts"
    hostfile.write_text("localhost slots=2\n")
    fewer.write_text("localhost slots=1\n")
    given = {**SMALL, "checkpoint_every": 2, "lr_scheduler_type": "constant", "warmup_ratio": 0}
    found = []
    for where in ({"executor": "local"}, {"executor": "hosts", "hostfile": str(hostfile)}):
        settings = TrainSettings.build(given | where | {"max_steps": 6})
        training = tmp_path / where["executor"]
        train(settings, [tiny_data], tiny_base, training, quiet)
        found.append(losses(training))
    assert len(found[0]) == 6
    settings = TrainSettings.build(given | {"executor": "hosts", "hostfile": str(fewer)})
    with pytest.raises(TrainingError, match="1 processes were started, but the settings ask for 2"):
        train(settings, [tiny_data], tiny_base, tmp_path / "fewer", quiet)

    def lose(done: int, **_: float) -> None:
        if done >= 3 and len(cluster.worker_nodes) == 2:
            lose_a_node(cluster, tmp_path / "lost")

    where = {"executor": "ray", "address": cluster.address}
    lost = TrainSettings.build(given | where | {"max_steps": 24})  # of the same first steps
    with pytest.raises(TrainingError):
        train(lost, [tiny_data], tiny_base, tmp_path / "lost", lose)
    complete(cluster, 2, num_cpus=1)
    before = losses(tmp_path / "lost")
    train(lost, [tiny_data], tiny_base, tmp_path / "lost", quiet)
    after = losses(tmp_path / "lost")
    assert len(after) == 24
    assert after[:3] == before[:3]
    assert found[0] == found[1] == after[:6]
