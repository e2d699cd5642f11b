"""What is Docker's own about its sandbox; the rest is in test_sandbox_conformance.py."""

import subprocess
import sys
import time

import pytest
from docker.errors import NotFound

import forager.sandboxes.docker_sandbox as containers
from forager.errors import SandboxError
from forager.images.image import Image
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.engine import connect
from forager.sandboxes.sandbox import LOCALHOST_LABEL
from forager.sandboxes.shell_sandbox import ShellSandbox

pytestmark = pytest.mark.engine


def container_of(sandbox: ShellSandbox) -> str:
    """Its id."""
    assert isinstance(sandbox._machine, containers._Container)
    return sandbox._machine._id


def test_closing_removes_the_container(kata_image: Image) -> None:
    """Nothing is left of it, not even stopped."""
    sandbox = docker_sandbox(kata_image.reference)
    name = container_of(sandbox)
    sandbox.close()
    with pytest.raises(NotFound):
        connect().containers.get(name)


def test_a_container_that_prints_without_end_is_removed(kata_image: Image) -> None:
    """The engine waits for no one who reads it, even where it already waits to write."""
    sandbox = docker_sandbox(kata_image.reference)
    name = container_of(sandbox)
    sandbox.run("(yes) &")
    time.sleep(1)  # until the stream is full
    sandbox.close()
    with pytest.raises(NotFound):
        connect().containers.get(name)


def test_an_image_of_others_has_no_network_either(
    kata_image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where `localhost` needs /etc/hosts the engine writes it, and there is loopback only."""
    labels = connect().images.get(kata_image.reference).labels
    assert labels.pop(LOCALHOST_LABEL) == "yes"
    monkeypatch.setattr(containers, "_names_localhost", lambda _: LOCALHOST_LABEL in labels)
    sandbox = docker_sandbox(kata_image.reference)
    try:
        assert sandbox.run("grep -q localhost /etc/hosts").exit_code == 0
        assert sandbox.run("ls /sys/class/net").output == "lo\n"
    finally:
        sandbox.close()


def test_a_removed_container_is_infrastructure(kata_image: Image) -> None:
    """A container that someone removes is an error of the next command, never a result."""
    sandbox = docker_sandbox(kata_image.reference)
    connect().containers.get(container_of(sandbox)).remove(force=True)
    with pytest.raises(SandboxError):
        sandbox.run("true")
    sandbox.close()


def test_a_container_ends_when_its_maker_was_killed(kata_image: Image) -> None:
    """Nobody reads it any more: it does not run on, busy, until it is swept."""
    code = (
        "import os, signal\n"
        "from forager.sandboxes.docker_sandbox import docker_sandbox\n"
        f"print(docker_sandbox({kata_image.reference!r})._machine._id, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    made = subprocess.run([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, text=True)
    container = connect().containers.get(made.stdout.strip())
    try:
        assert container.wait(timeout=60)["StatusCode"] == 0
    finally:
        container.remove(force=True)
