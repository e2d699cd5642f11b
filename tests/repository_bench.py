"""Builds images in bubblewrap instead of Docker: the changes of a sandbox become a layer.

Everything else is what `image build` runs: the source, the recipe, the install, the two test runs.
"""

import hashlib
import io
import shlex
import shutil
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import uv
from docker.errors import ImageNotFound

from forager.errors import BuildError
from forager.images.build import _inferred
from forager.images.image import Image
from forager.images.install import install
from forager.images.settings import BuildSettings
from forager.images.source import fetch
from forager.images.unproven import UnprovenImage
from forager.images.workbench import TOOLS, VENV, BenchResult, Workbench
from forager.records import write_records
from forager.sandboxes.bubblewrap_sandbox import bubblewrap_sandbox
from forager.sandboxes.sandbox import SYSTEM_PATH, WORKDIR, Limits
from forager.sandboxes.unpacked import UnpackedImage, layers_directory

_AGENT = "setpriv --reuid=agent --regid=agent --groups=2000"


class SandboxBench(Workbench):
    """A workbench in a sandbox, without a network."""

    def __init__(self, base: str) -> None:  # instead of a container
        self._sandbox = bubblewrap_sandbox(base, limits=Limits(memory=2 << 30))
        assert self._sandbox.elevate()
        self.check(
            f"mkdir -p {TOOLS}/cache && chmod 1777 {TOOLS}/cache && touch /tmp/began", user="root"
        )

    def run(
        self,
        command: str,
        *,
        user: str = "agent",
        timeout: float | None = None,
        variables: Mapping[str, str] = {},
        directory: str = WORKDIR,
    ) -> BenchResult:
        """Run a shell command."""
        home = "/root" if user == "root" else f"/home/{user}"
        given = {
            "HOME": home, "UV_OFFLINE": "1", "UV_NO_PROGRESS": "1", "VIRTUAL_ENV": VENV,
            "UV_CACHE_DIR": f"{TOOLS}/cache/{user}", "PATH": f"{VENV}/bin:{TOOLS}:{SYSTEM_PATH}",
            **variables,
        }  # fmt: skip
        words = [f"{name}={value}" for name, value in given.items()]
        person = "" if user == "root" else f"{_AGENT} "
        line = f"(cd {shlex.quote(directory)} && exec {person}env {shlex.join(words)} bash -c "
        done = self._sandbox.run(
            f"{line}{shlex.quote(command)} </dev/null)", timeout=timeout or 300
        )
        return BenchResult(124 if done.exit_code is None else done.exit_code, done.output)

    def put(self, content: bytes, directory: str) -> None:
        """Unpack a tar archive in a directory."""
        self._sandbox.write("/tmp/put.tar", content)
        self.check(
            f"tar -x -p --same-owner -f /tmp/put.tar -C {directory} && rm /tmp/put.tar", user="root"
        )

    def layer(self) -> bytes:
        """What was changed since the bench began, as a tar archive."""
        places = f"{WORKDIR} /opt /home -path {TOOLS} -prune -o"
        self.check(
            f"find {places} -cnewer /tmp/began -print0 | "
            "tar -c -f /tmp/layer.tar --no-recursion --null -T -",
            user="root",
        )
        return self._sandbox.read("/tmp/layer.tar")

    def close(self) -> None:
        """End the sandbox."""
        self._sandbox.close()


class Images:
    """As much of Docker's client as a proof asks for: sizes and names."""

    def __init__(self) -> None:
        self.images = self
        self.api = self

    def get(self, reference: str) -> Any:
        """Return an image that is known by its id."""
        if not reference.startswith("sha256:"):
            raise ImageNotFound(reference)
        return SimpleNamespace(id=reference, attrs={"Size": 0})

    def remove(self, *_: Any) -> None:
        """Forget nothing: the caller removes the layer."""

    def tag(self, *_: Any) -> None:
        """Give no name: the record has it."""


def base_of(image: UnpackedImage, home: Path) -> str:
    """Put the layers below an image's own, and uv, into another data directory; return its name."""
    above = layers_directory()
    layers = home / "unpacked" / "layers"
    layers.mkdir(parents=True)
    for name in image.layers[1:]:
        (layers / name).symlink_to(above / name)
    tools = layers / ("0" * 24) / TOOLS.lstrip("/")
    tools.mkdir(parents=True)
    shutil.copy(uv.find_uv_bin(), tools / "uv")
    digest = f"sha256:{'0' * 64}"
    below = {"digest": digest, "references": ["base:1"], "layers": ["0" * 24, *image.layers[1:]]}
    write_records(home / "unpacked" / f"{'0' * 64}.json", [image.model_copy(update=below)])
    return digest


def build_in_sandbox(
    source: str, place: Path, base: UnpackedImage, report: Callable[[str], None]
) -> Image:
    """Build the image of a source as `image build` does. Raises SourceError, BuildError."""
    began, tree = time.monotonic(), place / "tree"
    fetched = fetch(source, tree)
    recipe = _inferred(source, tree)
    with SandboxBench(base.digest) as bench:
        installed = install(bench, tree, fetched, recipe, search=True, reduce=True, report=report)
        content = bench.layer()
    digest = hashlib.sha256(content + fetched.model_dump_json().encode()).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extraction_filter = lambda member, _: member
        archive.extractall(layers_directory() / digest[:24], numeric_owner=True)
    client, name = cast(Any, Images()), f"sha256:{digest}"
    unproven = UnprovenImage(client, fetched, base.digest, digest[:16], installed, name, report)
    _record(base, digest, "not/proven")
    first = unproven.run_first()
    if not first.complete:
        unproven.remove()
        raise BuildError(f"{source}: the test run did not come to its end", first.log)
    second = unproven.run_again()
    if not second.complete:
        unproven.remove()
        raise BuildError(f"{source}: in another order, the tests did not come to an end")
    image = unproven.prove(first, second, BuildSettings().minimum_pass, began)
    _record(base, digest, image.reference)
    return image


def _record(base: UnpackedImage, digest: str, reference: str) -> None:
    """Record an image of one more layer than its base."""
    changed = {
        "digest": f"sha256:{digest}",
        "references": [reference],
        "layers": [digest[:24], *base.layers],
    }
    path = layers_directory().parent / f"{digest}.json"
    write_records(path, [base.model_copy(update=changed)])
