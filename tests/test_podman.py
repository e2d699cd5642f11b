"""Podman in the place of the Docker engine: its service answers at a socket of its own."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytestmark = pytest.mark.engine
IMPORT = """
import sys
from pathlib import Path
from forager.images.base import _exists, _import
from forager.sandboxes.engine import connect, is_podman
_import(connect(), Path(sys.argv[1]), "forager-podman:one")
print(is_podman(), _exists(connect(), "forager-podman:one"))
"""


class Podman:
    """A service of Podman with a storage of its own."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._command = [*("podman", "--root", f"{place}/root", "--runroot", f"{place}/run")]
        self.address = f"unix://{place}/podman.sock"
        words = [*self._command, "system", "service", "-t", "0", self.address]
        self._service = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not (place / "podman.sock").exists() and time.monotonic() < deadline:
            time.sleep(0.1)

    def close(self) -> None:
        """End the service and empty its storage."""
        subprocess.run([*self._command, "rmi", "-af"], capture_output=True, check=False)
        self._service.terminate()
        self._service.wait()
        mounted = str(self._place / "root" / "overlay")  # root's Podman leaves a mount of itself
        subprocess.run(["umount", "-l", mounted], stderr=subprocess.DEVNULL, check=False)


@pytest.fixture
def podman() -> Iterator[Podman]:
    """A service without images."""
    if not shutil.which("podman"):
        pytest.skip("no podman here: apt-get install podman")
    # Podman takes no more than 50 characters.
    with TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True) as place:
        service = Podman(Path(place))
        yield service
        service.close()


def test_an_imported_base_has_its_name(podman: Podman, tmp_path: Path) -> None:
    """Podman's import drops the tag; forager knows the engine by its parts."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").touch()
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT, str(tmp_path / "tree")],
        env=os.environ | {"DOCKER_HOST": podman.address},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "True True\n", done.stderr
