"""Reads the code of an image and starts the sandboxes for its mutants."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from forager.errors import SandboxError
from forager.images.image import Image
from forager.mutation.candidates import read_source, source_files
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import Limits, Sandbox
from forager.scratch import scratch


def read_texts(image: Image) -> tuple[dict[str, str], dict[str, str]]:
    """The texts by path of the image's source files, and of its test files."""
    files = {test.partition("::")[0] for test in image.passing}
    with scratch("mutate") as root:
        _copy_out(image, root)
        sources = _texts(root, source_files(root, image.setup.protected))
        return sources, _texts(root, sorted(file for file in files if (root / file).is_file()))


def _texts(root: Path, paths: Iterable[str]) -> dict[str, str]:
    found = {path: read_source(root / path) for path in paths}
    return {path: text for path, text in found.items() if text is not None}


def start(reference: str, limits: Limits) -> Sandbox:
    """Start a sandbox of an image. Raises SandboxError."""
    return docker_sandbox(reference, limits=limits)


def _copy_out(image: Image, root: Path) -> None:
    """Copy the repository out of the image. Nothing here runs these files."""
    sandbox = docker_sandbox(image.reference)
    try:
        archived = sandbox.run("git archive -o /tmp/forager.tar HEAD")
        if archived.exit_code:
            raise SandboxError(f"{image.reference}: {archived.output.strip()}")
        content = sandbox.read("/tmp/forager.tar")
    finally:
        sandbox.close()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(root, filter="data")
