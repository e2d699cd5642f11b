"""Services in a recipe: they run while tests are proven, solved and graded."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from forager.environments.repository.grading import grade
from forager.environments.repository.guards import guards_of
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.workspace import open_task
from forager.images.base import ensure_base
from forager.images.build import build
from forager.images.recipe import Recipe
from forager.mutation.candidates import unified_diff
from forager.sandboxes.bubblewrap_sandbox import bubblewrap_sandbox
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.engine import connect
from forager.sandboxes.sandbox import Limits

RIGHT = """\
import socket

def ping():
    with socket.create_connection(("127.0.0.1", 6379), 5) as connection:
        connection.sendall(b"PING\\r\\n")
        return connection.recv(100).decode().strip()
"""
TESTS = """\
import client

def test_ping():
    assert client.ping() == "+PONG"

def test_again():
    assert client.ping()
"""


@pytest.mark.engine
def test_a_service_runs_in_both_sandboxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis answers in the proof, to the agent, and in grading with its second run."""
    ensure_base(connect())
    project = tmp_path / "client"
    project.mkdir()
    (project / "client.py").write_text(RIGHT)
    (project / "test_client.py").write_text(TESTS)
    recipe = Recipe(
        services=["redis"], variables={"PYTHONPATH": "/testbed"}, protected=["test_client.py"]
    )
    with monkeypatch.context() as patch:
        patch.setenv("FORAGER_HOME", str(tmp_path / "home"))
        image = build(str(project), recipe=recipe)
    assert len(image.passing) == 2
    wrong = RIGHT.replace("PING", "NOTHING")
    task = RepositoryTask(
        instance_id="client.1",
        repo="client",
        base_commit=image.commit,
        problem_statement="`ping` gets an error.",
        patch=unified_diff("client.py", wrong, RIGHT),
        FAIL_TO_PASS=["test_client.py::test_ping"],
        PASS_TO_PASS=["test_client.py::test_again"],
        kind="mutate-fix",
        image=image.reference,
        setup_patch=unified_diff("client.py", RIGHT, wrong),
        setup=image.setup,
    )
    task = task.model_copy(update={"guards": guards_of(task, Limits(), docker_sandbox)})
    assert task.guards
    assert task.guards.sensitive
    for sandbox in (docker_sandbox, bubblewrap_sandbox):
        opened, _ = open_task(task, Limits(), sandbox=sandbox)
        assert "NOTHING" in opened.run("python -c 'import client; print(client.ping())'").output
        opened.close()
        result = grade(task, task.patch, Limits(), sandbox=sandbox)
        assert (result.resolved, result.cause) == (True, "")
        assert not grade(
            task, task.patch.replace("PING", "PONG"), Limits(), sandbox=sandbox
        ).resolved
    connect().images.remove(image.reference, force=True)


@pytest.mark.parametrize("service", ["oracle", "redis/a b", "redis; reboot"])
def test_an_unknown_service_is_refused(service: str) -> None:
    """The message names the services that there are."""
    with pytest.raises(ValidationError, match="postgresql, mysql, redis"):
        Recipe(services=[service])
