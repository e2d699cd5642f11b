"""Batches over a real Ray cluster of several nodes on this machine."""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from ray_clusters import complete, ray_cluster
from test_chat import Answer, serving
from test_cli import documented, forager
from test_docs_commands import ROOT, submitting, works
from test_rollout import FIX, SMALL, SUBMIT, script

from forager.agent.model import Reply, ScriptedModel
from forager.agent.tool import Call
from forager.agent.traffic import RateLimiter
from forager.environments.repository.task import RepositoryTask
from forager.errors import BudgetSpent, LoggedError, NodeLost
from forager.images.harvest import FailedBuild
from forager.images.image import Image
from forager.records import read_records, write_records
from forager.rollout.batch import run_batch
from forager.rollout.node import RemoteMeter, start_meter
from forager.rollout.settings import MAY_CHANGE, Budget, RunSettings
from forager.rollout.worker import Job
from forager.sandboxes.delivery import deliver, publish
from forager.sandboxes.engine import connect
from forager.sandboxes.leftovers import remove_leftovers
from forager.trajectories.record import Message, ToolCall, Usage
from forager.trajectories.store import Run
from tools import TOOLBOX

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    # Ray's own processes and sockets, which it leaves to the end of this one.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PAUSE = Call("bash", {"command": "sleep 1"})
NODE = {"num_cpus": 2, "memory": 4 << 30}


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator["Cluster"]:
    """Start three nodes of two processors, shared by this file's tests."""
    with ray_cluster(3, **NODE) as cluster:
        from ray import cloudpickle

        cloudpickle.register_pickle_by_value(sys.modules[__name__])  # nodes do not see tests
        yield cluster


@pytest.fixture
def cluster(shared_cluster: "Cluster") -> Iterator["Cluster"]:
    """Give the shared cluster; replace nodes that the test killed."""
    import ray

    yield shared_cluster
    ray.shutdown()
    complete(shared_cluster, 3, **NODE)


@pytest.fixture
def own_task(kata_task: RepositoryTask) -> Iterator[RepositoryTask]:
    """Give a task with an image of its own, whose containers are this test's alone."""
    client, name = connect(), f"forager/cluster:{kata_task.image_digest[-12:]}"
    container = client.containers.create(kata_task.image)
    image = container.commit(*name.split(":"))
    container.remove()
    yield kata_task.model_copy(update={"image": name, "image_digest": image.id})
    client.images.remove(name, force=True)


def scripted(replies: Sequence[Message | Reply], job: Job, limiter: RateLimiter) -> ScriptedModel:
    """Return a model that follows a script on a node."""
    return ScriptedModel(replies)


class Paced:
    """Follows a script; each answer takes a while once the limiter admits it."""

    def __init__(self, replies: Sequence[Message | Reply], job: Job, limiter: RateLimiter) -> None:
        del job
        self._model, self._limiter = ScriptedModel(replies), limiter

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        self._limiter.enter("http://a/v1")
        try:
            time.sleep(0.2)
            return self._model.query(messages, tools, calls)
        finally:
            self._limiter.leave("http://a/v1")


class Broken:
    """Fails at its first request with an error that does not pickle."""

    def __init__(self, replies: Sequence[Message | Reply], job: Job, limiter: RateLimiter) -> None:
        del replies, job, limiter

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        del messages, tools, calls
        Usage.model_validate({"prompt_tokens": 1.5})
        raise AssertionError


def run(
    cluster: "Cluster",
    path: Path,
    task: RepositoryTask,
    replies: Any,
    model: Any = scripted,
    **given: Any,
) -> list[int]:
    """Run a batch on the cluster; return the number of finished attempts after each one."""
    settings = RunSettings(
        models=["m"],
        executor="ray",
        address=cluster.address,
        workers=8,
        sandbox_limits=SMALL,
        **given,
    )
    told: list[int] = []
    with Run.write(path, settings, [task], may_change=MAY_CHANGE) as store:
        run_batch(
            store,
            [task],
            settings,
            model=partial(model, replies),
            toolbox=TOOLBOX,
            on_progress=lambda done, **_: told.append(done),
        )
    return told


def test_attempts_of_a_node_that_is_killed_are_made_elsewhere(
    tmp_path: Path, cluster: "Cluster", own_task: RepositoryTask
) -> None:
    """Each attempt counts once, each node has a shard, and no container remains."""
    path = tmp_path / "run"
    victim = cluster.list_all_nodes()[-1]

    def kill() -> None:
        while not (path / "settings.json").exists() or len(list(Run(path).summaries())) < 3:
            time.sleep(0.1)
        cluster.remove_node(victim, allow_graceful=False)

    killer = Thread(target=kill)
    killer.start()
    told = run(cluster, path, own_task, script("functions", FIX, PAUSE, SUBMIT), attempts=12)
    killer.join()
    assert max(told) == 12
    made = list(Run(path).trajectories())
    assert Counter(attempt.id for attempt in made) == Counter(
        f"{own_task.instance_id}.{number}" for number in range(12)
    )
    assert all(attempt.outcome.resolved for attempt in made)
    lost = list(Run(path).lost())
    assert lost
    assert {attempt.error.split(":")[0] for attempt in lost} == {"NodeLost"}
    assert len(list(Run(path).shards())) >= 2
    remove_leftovers()  # of the node that is gone; its machine would sweep them itself
    image: dict[str, str | list[str] | bool] = {"ancestor": own_task.image}
    assert connect().containers.list(all=True, filters=image, ignore_removed=True) == []


def test_requests_of_a_node_that_is_killed_hold_up_no_others(
    tmp_path: Path, cluster: "Cluster", kata_task: RepositoryTask
) -> None:
    """A dead node's requests free their slots, running or queued."""
    path = tmp_path / "run"
    victim = cluster.list_all_nodes()[-1]

    def kill() -> None:
        while not (path / "settings.json").exists() or len(list(Run(path).summaries())) < 2:
            time.sleep(0.1)
        cluster.remove_node(victim, allow_graceful=False)

    killer = Thread(target=kill)
    killer.start()
    replies = script("functions", *[FIX] * 4, SUBMIT)
    budget = Budget(concurrent_requests=1)
    told = run(cluster, path, kata_task, replies, Paced, attempts=9, budget=budget)
    killer.join()
    assert max(told) == 9
    assert {attempt.error.split(":")[0] for attempt in Run(path).lost()} == {"NodeLost"}
    remove_leftovers()


def test_a_request_that_ends_waits_behind_none_that_waits(cluster: "Cluster") -> None:
    """Requests end on threads of their own, however many others wait."""
    import ray

    ray.init(cluster.address, log_to_driver=False)
    budget = Budget(concurrent_requests=1)
    actor = start_meter(ray, budget, {}, waiting=2)
    one, other = RemoteMeter(actor, "one", budget), RemoteMeter(actor, "other", budget)
    one.enter("http://a/v1")

    def ask(meter: RemoteMeter) -> None:
        meter.enter("http://a/v1")
        meter.leave("http://a/v1")

    with ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(ask, meter) for meter in [one, other] * 20]
        time.sleep(1)
        ray.get(actor.check.remote(), timeout=10)
        ray.get(actor.forget.remote("one"), timeout=10)
        ended = [future.exception(30) for future in waiting]
    assert [type(error) for error in ended[::2]] == [NodeLost] * 20
    assert ended[1::2] == [None] * 20


def test_a_bug_on_a_node_is_told_with_its_traceback(
    tmp_path: Path, cluster: "Cluster", kata_task: RepositoryTask
) -> None:
    """A bug costs its attempt, and the log has the node's traceback."""
    with pytest.raises(LoggedError, match=r"1 attempts were lost .* run again") as caught:
        run(cluster, tmp_path / "run", kata_task, [], Broken)
    assert "in query" in caught.value.log
    lost = list(Run(tmp_path / "run").lost())
    assert [attempt.error.split(" for")[0] for attempt in lost] == [
        "Unforeseen: ValidationError: 1 validation error"
    ] * len(lost)


def test_a_budget_holds_over_the_cluster(
    tmp_path: Path, cluster: "Cluster", kata_task: RepositoryTask
) -> None:
    """All nodes draw on one budget."""
    replies = script("functions", FIX, SUBMIT)  # 220 tokens
    budget = Budget(tokens=500, requests_per_minute=6000)
    with pytest.raises(BudgetSpent, match="500 tokens are spent"):
        run(cluster, tmp_path / "run", kata_task, replies, attempts=9, budget=budget)
    kept = sum(attempt.tokens for attempt in Run(tmp_path / "run").summaries())
    lost = sum(
        attempt.usage.prompt_tokens + attempt.usage.completion_tokens
        for attempt in Run(tmp_path / "run").lost()
    )
    assert 500 <= kept + lost <= 500 + 8 * 110


def of_the_page(begins: str) -> str:
    """The first command of the page about clusters that begins so."""
    return next(
        command
        for page, _, command in documented()
        if page == "clusters.md" and command.startswith(begins)
    )


def test_the_pages_run_works(tmp_path: Path, cluster: "Cluster", kata_task: RepositoryTask) -> None:
    """The command of the page makes its attempts, with a scripted server in place of its own."""
    write_records(tmp_path / "tasks.jsonl", [kata_task])
    command = of_the_page("forager run")
    for word, given in (
        ("tasks.jsonl", tmp_path / "tasks.jsonl"),
        ("/shared/run", tmp_path / "run"),
        ("ray-head:6379", cluster.address),
        ("registry:5000", tmp_path),
    ):
        command = command.replace(word, str(given))
    with serving() as server:
        works(command, [server])
    (attempt,) = Run(tmp_path / "run").trajectories()
    assert attempt.outcome.exit_reason == "submitted"


def slurm_nodes() -> int:
    """The number of Slurm's idle nodes, which see this machine's files."""
    try:
        told = subprocess.run(["sinfo", "-h", "-t", "idle", "-o", "%D"], capture_output=True)
    except FileNotFoundError:
        return 0
    return int(told.stdout or 0)


@pytest.mark.skipif(slurm_nodes() < 2, reason="needs Slurm with two idle nodes")
def test_the_pages_slurm_script_works(tmp_path: Path, kata_task: RepositoryTask) -> None:
    """The script of the page makes its attempts; submitted again, it makes none twice."""
    text = (ROOT / "docs" / "clusters.md").read_text()
    (script,) = re.findall(r"```bash\n(#!/bin/bash\n#SBATCH.*?)```", text, re.DOTALL)
    (tmp_path / "job").write_text(script.replace("--nodes=4", "--nodes=2"))
    (tmp_path / "images").mkdir()
    publish(kata_task.image, str(tmp_path / "images"))
    write_records(tmp_path / "tasks.jsonl", [kata_task])
    with serving() as server:
        server.models, server.answers = Answer({"data": [{"id": "NAME"}]}), [submitting([])]
        for _ in range(2):
            environment = {**os.environ, "URL": server.url}
            subprocess.run(["sbatch", "--wait", "job"], cwd=tmp_path, env=environment, check=True)
            (attempt,) = Run(tmp_path / "run").trajectories()
            assert attempt.outcome.exit_reason == "submitted"


def test_images_are_built_on_nodes(tmp_path: Path, cluster: "Cluster") -> None:
    """Records and failures come back to one file, and archives of the images to one directory.

    The command is that of the page about clusters.
    """
    for name, text in (("good", "assert 1"), ("bad", "assert 0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "test_it.py").write_text(f"def test_it():\n    {text}\n")
    (tmp_path / "archives").mkdir()
    output = tmp_path / "images.jsonl"
    (tmp_path / "projects.txt").write_text(f"{tmp_path / 'good'}\n{tmp_path / 'bad'}\n")
    given = {
        "projects.txt": tmp_path / "projects.txt",
        "images.jsonl": output,
        "64": "2",
        "ray-head:6379": cluster.address,
        "registry:5000": tmp_path / "archives",
    }
    command = of_the_page("forager image build")
    done = forager(*(given.get(word, word) for word in command.split()[1:]))
    (image,) = read_records(output, Image)
    try:
        assert done.exit_code == 1
        assert image.passing == ["test_it.py::test_it"]
        assert "1 of 2  failing tests" in done.stderr
        (failure,) = read_records(output.with_suffix(".failed.jsonl"), FailedBuild)
        assert failure.message.startswith(f"{tmp_path / 'bad'}: only 0 of 1 tests pass")
        connect().images.remove(image.reference, force=True)  # as on another machine
        deliver(image.reference, image.digest, str(tmp_path / "archives"), "docker")
    finally:
        connect().images.remove(image.reference, force=True)
    refused = forager("image", "build", tmp_path / "good", "--executor", "ray")
    assert "needs -o" in refused.stderr


def test_a_missing_ray_is_said_in_a_line(tmp_path: Path) -> None:
    """Without Ray, the error says what to install."""
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from forager.rollout.cluster import connected\n"
        "from forager.errors import UsageError\n"
        "try: connected('')\n"
        "except UsageError as error: sys.exit(str(error))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.stderr == "--executor ray needs ray: pip install -e '.[ray]'\n"
