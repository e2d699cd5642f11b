"""What was finished stays, what was running runs again, and no fault counts against a model.

Each row of the table in ARCHITECTURE.md ("Never lost") has its test here, in test_chat.py or in
test_cluster.py.
"""

import ast
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from test_chat import Answer, Script, completion, failure, serving
from test_rollout import FIX, SMALL, SUBMIT, run, script

from forager.agent.chat import ChatModel
from forager.agent.endpoint import ChatEndpoint
from forager.agent.model import Model, Reply, ScriptedModel
from forager.agent.traffic import RateLimiter
from forager.environments.repository.task import RepositoryTask
from forager.errors import LoggedError, ModelError, SandboxError, StoreError, Unforeseen
from forager.makers import maker
from forager.records import write_records
from forager.rollout.batch import run_batch
from forager.rollout.plan import TRIES
from forager.rollout.settings import MAY_CHANGE, RunSettings
from forager.rollout.worker import Job
from forager.sandboxes.engine import check_disk, connect
from forager.sandboxes.leftovers import SANDBOX_LABEL
from forager.trajectories.record import Message, ToolCall, Usage
from forager.trajectories.store import Run
from tools import TOOLBOX

FORAGER = Path(sys.executable).with_name("forager")
SOURCES = Path(__file__).parent.parent / "forager"


def made(
    path: Path, task: RepositoryTask, model: Callable[[Job, RateLimiter], Model], **settings: Any
) -> dict[str, bool]:
    """Run a batch with these models; return the stored ids and whether each is resolved."""
    resolved = RunSettings(models=["m"], sandbox_limits=SMALL, **settings)
    with Run.write(path, resolved, [task], may_change=MAY_CHANGE) as store:
        run_batch(
            store,
            [task],
            resolved,
            model=lambda job, gate: model(job, gate),
            toolbox=TOOLBOX,
            on_progress=lambda *_, **__: None,
            hold=0.05,
        )
    return {attempt.id: attempt.resolved for attempt in Run(path).summaries()}


def ours(process: int | None = None) -> list[Any]:
    """Return the containers of a process, by default of this one."""
    return labelled(f"{SANDBOX_LABEL}={maker(process)}")


def labelled(label: str, client: docker.DockerClient | None = None) -> list[Any]:
    """Return the containers with a label."""
    found: list[Any] = (client or connect()).containers.list(
        all=True, filters={"label": label}, ignore_removed=True
    )
    return found


def started(tasks: Path, path: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start `forager run` as a process: five attempts, two at a time."""
    command: list[str | Path] = [FORAGER, "run", tasks, "-o", path, "-m", "oracle"]
    command += ["--attempts", "5", "-w", "2"]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **environment}
    )


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[bytes]) -> None:
    """Wait until the condition holds; fail if the process ends first."""
    while not condition():
        assert process.poll() is None
        time.sleep(0.05)


def halted_with_containers(process: subprocess.Popen[bytes]) -> str:
    """Stop a process while it has containers; return their label."""
    while True:
        wait_for(lambda: ours(process=process.pid), process)
        process.send_signal(signal.SIGSTOP)
        if ours(process=process.pid):
            return f"{SANDBOX_LABEL}={maker(process.pid)}"
        process.send_signal(signal.SIGCONT)


def stored(path: Path) -> list[str]:
    """Return the ids of a run's attempts; none before the run directory exists."""
    if not (path / "settings.json").exists():
        return []
    return [attempt.id for attempt in Run(path).summaries()]


@pytest.mark.engine
def test_a_run_that_is_killed_or_terminated_goes_on(
    tmp_path: Path, kata_task: RepositoryTask
) -> None:
    """The next process sweeps containers left by SIGKILL; SIGTERM leaves none."""
    tasks, path = tmp_path / "tasks.jsonl", tmp_path / "run"
    write_records(tasks, [kata_task])
    with started(tasks, path) as process:
        wait_for(lambda: stored(path), process)
        label = halted_with_containers(process)
        process.kill()  # from now on any process that starts a container may sweep
        process.communicate()
    kept = set(stored(path))
    with started(tasks, path) as process:
        wait_for(lambda: set(stored(path)) > kept and ours(process=process.pid), process)
        assert not labelled(label)
        ended = f"{SANDBOX_LABEL}={maker(process.pid)}"
        process.terminate()
        _, said = process.communicate()
    assert process.returncode == 130
    assert b"forager: interrupted" in said
    assert not labelled(ended)
    kept |= set(stored(path))
    with started(tasks, path) as process:
        _, said = process.communicate()
    assert process.returncode == 0, said
    assert Counter(stored(path)) == Counter(f"{kata_task.instance_id}.{n}" for n in range(5))
    assert kept <= set(stored(path))
    assert list(Run(path).lost()) == []


class Killing:
    """Kills the container of its attempt before the first answer; then follows a script."""

    def __init__(self, replies: Sequence[Message | Reply]) -> None:
        self._model = ScriptedModel(replies)

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        if not self._model.seen:
            for container in ours():
                container.kill()
        return self._model.query(messages, tools, calls)


@pytest.mark.engine
def test_a_container_that_is_killed_costs_its_attempt_only(
    tmp_path: Path, kata_task: RepositoryTask
) -> None:
    """The attempt counts as lost and is remade in the same run; nothing remains."""
    replies = script("functions", FIX, SUBMIT)
    models: Iterator[Model] = iter([Killing(replies), ScriptedModel(replies)])
    assert made(tmp_path / "run", kata_task, lambda *_: next(models)) == {
        f"{kata_task.instance_id}.0": True
    }
    (lost,) = Run(tmp_path / "run").lost()
    assert lost.error.startswith("SandboxLost: the container")
    assert lost.usage.completion_tokens == 10
    assert ours() == []


@contextmanager
def engine(home: Path) -> Iterator[None]:
    """Start a separate Docker engine in namespaces; with a bridge it would remove the machine's."""
    command: list[str | Path] = [
        "unshare",
        "--net",
        "--mount",
        "dockerd",
        "--bridge=none",
        "--iptables=false",
        "-H",
        f"unix://{home}/engine.sock",
    ]
    places: list[str | Path] = ["--data-root", home / "data", "--exec-root", home / "exec"]
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            [*command, *places, "--pidfile", home / "pid"], stdout=log, stderr=log
        )
    info = ["docker", "-H", f"unix://{home}/engine.sock", "info"]
    try:
        wait_for(
            lambda: not subprocess.run(info, capture_output=True, check=False).returncode, process
        )
        yield
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Return a short directory for sockets, because the length of their paths is bounded."""
    path = Path(tempfile.mkdtemp(prefix="forager-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.engine
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start an engine")
def test_an_engine_that_is_restarted_costs_what_ran_in_it(
    tmp_path: Path, short_path: Path, kata_task: RepositoryTask
) -> None:
    """The run waits, then makes all attempts, and no container remains."""
    tasks, path, home = tmp_path / "tasks.jsonl", tmp_path / "run", short_path
    write_records(tasks, [kata_task])
    host = f"unix://{home}/engine.sock"
    with engine(home):
        archive = tmp_path / "image.tar"
        subprocess.run(["docker", "save", kata_task.image, "-o", archive], check=True)
        load: list[str | Path] = ["docker", "-H", host, "load", "-i", archive]
        subprocess.run(load, check=True, stdout=subprocess.DEVNULL)
        process = started(tasks, path, DOCKER_HOST=host)
        wait_for(lambda: stored(path), process)
    time.sleep(2)  # no engine
    with engine(home):
        _, said = process.communicate()
        assert process.returncode == 0, said
        client = docker.DockerClient(host, version="1.41")
        assert labelled(SANDBOX_LABEL, client) == []
        client.close()
    assert Counter(stored(path)) == Counter(f"{kata_task.instance_id}.{n}" for n in range(5))
    lost = list(Run(path).lost())
    assert lost
    kinds = ("SandboxError", "SandboxLost", "EngineError")
    assert all(attempt.error.startswith(kinds) for attempt in lost)


@pytest.mark.engine
def test_a_full_disk_ends_the_run_and_costs_nothing_that_was_kept(
    tmp_path: Path, kata_task: RepositoryTask
) -> None:
    """A full disk gives one line; with free space the run completes."""
    path = tmp_path / "run"
    replies = script("functions", FIX, SUBMIT)
    run(path, kata_task, replies)
    (shard,) = Run(path).shards()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (shard.stat().st_size + 100, hard))
    try:
        with pytest.raises(StoreError, match="cannot write"):
            run(path, kata_task, replies, attempts=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert stored(path) == [f"{kata_task.instance_id}.0"]
    assert ours() == []
    attempts, _, _ = run(path, kata_task, replies, attempts=3)
    assert [attempt.outcome.resolved for attempt in attempts] == [True] * 3


@pytest.mark.engine
def test_a_full_disk_of_the_engine_is_nobodys_failure() -> None:
    """While the engine's disk is full, unresolved attempts are discarded."""
    check_disk(1)
    with pytest.raises(SandboxError, match="disk of the Docker engine is full"):
        check_disk(1 << 60)


FAULTS = [
    failure(429, headers={"Retry-After": "0.01"}),
    failure(500),
    Answer(b"garbage"),
    Answer(b'{"choices": [', declared=1000),
    Answer(completion().body, delay=1.0),
]


def chat(server: Script, **settings: Any) -> Callable[[Job, RateLimiter], Model]:
    """Return a factory of models that soon lose patience with the server."""
    endpoint = ChatEndpoint(server.url, timeout=0.5, backoff=0.01, **settings)
    return lambda _, limiter: ChatModel("m", endpoint, limiter=limiter)


@pytest.mark.engine
def test_faults_of_the_model_server_are_not_the_models(
    tmp_path: Path, kata_task: RepositoryTask
) -> None:
    """Passing faults cost time; a lasting one loses attempts and fails none."""
    good = [completion(message) for message in script_messages()]
    with serving() as server:
        server.answers = [*FAULTS, good[0], *FAULTS, good[1]]
        assert made(tmp_path / "run", kata_task, chat(server)) == {
            f"{kata_task.instance_id}.0": True
        }
        (attempt,) = Run(tmp_path / "run").trajectories()
        assert all(call.waited >= 0.5 for call in attempt.model_calls)  # the silent ones
        server.answers = [failure(500)]
        with pytest.raises(ModelError, match="answers 500"):
            made(tmp_path / "run", kata_task, chat(server, tries=1), attempts=9, workers=3)
        lost = list(Run(tmp_path / "run").lost())
        assert lost
        assert all(loss.error.startswith("ModelError: ") for loss in lost)
        server.seen.clear()
        server.answers = good * 2
        kept = made(tmp_path / "run", kata_task, chat(server), attempts=3)
    assert kept == {f"{kata_task.instance_id}.{number}": True for number in range(3)}
    assert ours() == []


class Broken:
    """Raises at its first request, as a bug would."""

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        del messages, tools, calls
        Usage.model_validate({"prompt_tokens": 1.5})
        raise AssertionError


@pytest.mark.engine
def test_a_bug_costs_its_attempt_and_is_told(tmp_path: Path, kata_task: RepositoryTask) -> None:
    """Other attempts finish; the broken one is retried, then a line and a traceback follow."""
    path, replies = tmp_path / "run", script("functions", FIX, SUBMIT)

    def model(job: Job, _: RateLimiter) -> Model:
        return Broken() if job.number == 1 else ScriptedModel(replies)

    with pytest.raises(LoggedError, match=r"1 attempts were lost .* run again") as caught:
        made(path, kata_task, model, attempts=4, workers=2)
    assert "in query" in caught.value.log
    assert "ValidationError: 1 validation error for Usage" in caught.value.log
    assert set(stored(path)) == {f"{kata_task.instance_id}.{number}" for number in (0, 2, 3)}
    lost = list(Run(path).lost())
    assert {attempt.id for attempt in lost} == {f"{kata_task.instance_id}.1"}
    assert len(lost) == TRIES
    for attempt in lost:
        assert attempt.error.startswith(
            "Unforeseen: ValidationError: 1 validation error for Usage "
        )
        assert "\n" not in attempt.error
        assert "in query" in attempt.log
    with pytest.raises(Unforeseen, match="ValidationError: 1 validation"):
        made(tmp_path / "other", kata_task, lambda *_: Broken(), attempts=9, workers=3)


def script_messages() -> list[Message]:
    """Return the messages of a model that fixes the bug."""
    replies = script("functions", FIX, SUBMIT)
    return [reply.message for reply in replies if isinstance(reply, Reply)]


def test_no_duration_is_taken_from_a_clock_that_may_jump() -> None:
    """`time.time` reads a server's date and nothing else; the calendar stamps and names.

    Programs that run in the sandbox are not meant.
    """
    users = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        if path.relative_to(SOURCES).parts[0] != "programs"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "time.time"
    }
    assert users == {"agent/faults.py"}


def test_the_signals_of_a_run_are_given_back() -> None:
    """A program that uses forager as a library keeps its own handlers."""
    from forager.cli.batch import terminable

    before = signal.getsignal(signal.SIGTERM)
    with terminable(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
    assert signal.getsignal(signal.SIGTERM) is before
