"""Ray clusters of several nodes on this machine."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

SYSTEM = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
STORE = {"object_store_memory": 80 << 20}


@contextmanager
def ray_cluster(nodes: int, **node: Any) -> Iterator["Cluster"]:
    """Start a head without processors and some nodes, and none of what would only cost time.

    That is a dashboard, an autoscaler, and the process that prints what workers print.
    """
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    handler = signal.getsignal(signal.SIGTERM)
    cluster = Cluster()
    without = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    cluster.add_node(num_cpus=0, _system_config=SYSTEM, **without, **STORE)
    complete(cluster, nodes, **node)
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    signal.signal(signal.SIGTERM, handler)  # a node has put one of its own there


def complete(cluster: "Cluster", nodes: int, **node: Any) -> None:
    """Add nodes up to the given number, and wait until all are alive."""
    while len(cluster.worker_nodes) < nodes:
        cluster.add_node(**node, **STORE)
    cluster.wait_for_nodes()
