"""What is Docker's own about its sandbox; the rest is in test_sandbox_conformance.py."""

import pytest
from docker.errors import NotFound

from forager.environments.docker_sandbox import DockerSandbox
from forager.environments.engine import connect
from forager.environments.image import Image
from forager.errors import SandboxError

pytestmark = pytest.mark.engine


def test_closing_removes_the_container(kata_image: Image) -> None:
    """Nothing is left of it, not even stopped."""
    sandbox = DockerSandbox(kata_image.reference)
    name = sandbox._stream._id
    sandbox.close()
    with pytest.raises(NotFound):
        connect().containers.get(name)


def test_a_removed_container_is_infrastructure(kata_image: Image) -> None:
    """A container that someone removes is an error of the next command, never a result."""
    sandbox = DockerSandbox(kata_image.reference)
    connect().containers.get(sandbox._stream._id).remove(force=True)
    with pytest.raises(SandboxError):
        sandbox.run("true")
    sandbox.close()
