"""The base image: Debian, Python, a compiler, git, and an environment with pytest.

It comes from a registry if one can be reached (or from $FORAGER_BASE_IMAGE); otherwise debootstrap
makes it, once. Every project's image is one layer on top.
"""

import hashlib
import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from forager.errors import BuildError
from forager.images.debian import release_of
from forager.images.workbench import OWNED_BY_ROOT, VENV, Workbench
from forager.locks import locked
from forager.sandboxes.sandbox import LOCALHOST_LABEL, SYSTEM_PATH, WORKDIR
from forager.scratch import scratch

PYTHON_LABEL = "forager.python"  # on a base: the Python version of its environment
_PACKAGES = (
    "ca-certificates gcc g++ libc6-dev libnss-myhostname make git less patch pkg-config procps"
)
DEBIAN_PACKAGES = f"{_PACKAGES} python3 python3-dev"
_DEBIAN = "http://deb.debian.org/debian"
_DEFAULT_PYTHON = "3.12"  # when the image comes from a registry
_PULL_SECONDS = 20.0  # within which a registry must begin to answer
_DEBIAN_OF = {"3.9": "bullseye", "3.11": "bookworm", "3.13": "trixie"}  # by Python
_LEFT_OUT = [
    *("./var/cache/apt", "./var/lib/apt/lists", "./usr/share/doc", "./usr/share/man"),
    *("./usr/share/locale", "./usr/share/info", "./dev", "./proc", "./sys"),
]
# Debian's python3 brings no pip; registry images do, with copies of other people's packages in it.
TOOLING = f"""set -e  # version 2: bytecode compiled
if ! command -v git gcc g++ make pkg-config patch less pkill >/dev/null; then
    apt-get update -q && apt-get install -y -q --no-install-recommends {_PACKAGES}
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*
fi
if command -v pip >/dev/null; then
    python3 -m pip uninstall -y -q --root-user-action=ignore setuptools wheel pip
fi
find /usr /opt -path '*/ensurepip/_bundled/*.whl' -delete
rm -rf /usr/share/python-wheels
id agent >/dev/null 2>&1 || useradd --create-home --uid 1000 --shell /bin/bash agent
mkdir -p {WORKDIR} {VENV} && chown agent:agent {WORKDIR}
git config --system user.name agent
git config --system user.email agent@localhost
git config --system init.defaultBranch main
git config --system advice.detachedHead false
git config --system --add safe.directory '*'
"""
ENVIRONMENT = {
    "PATH": f"{VENV}/bin:{SYSTEM_PATH}",
    "VIRTUAL_ENV": VENV,
    "PYTHONDONTWRITEBYTECODE": "1",
    "PIP_NO_CACHE_DIR": "1",
    "LANG": "C.UTF-8",
}
CHANGES = [
    *(f"ENV {name}={value}" for name, value in ENVIRONMENT.items()),
    f"WORKDIR {WORKDIR}",
    "USER agent",
    'CMD ["/bin/bash"]',
    "LABEL forager.base=yes",
]


def ensure_base(
    client: docker.DockerClient, python: str = "", report: Callable[[str], None] = lambda _: None
) -> str:
    """Return the reference of the base image with this Python ("" for the base's own).

    The first call makes it, which takes a minute or two; a second process waits for the first.
    """
    reference = base_reference(python)
    if _exists(client, reference):
        return reference
    with locked(reference.replace(":", "-").replace("/", "-")):
        if not _exists(client, reference):
            root = _root_image(client, python, report)
            report("adding compiler, git and pytest to the base")
            _add_tooling(client, root, python, reference)
    return reference


def base_reference(python: str = "") -> str:
    """Return the name of the base image, which contains a digest of its ingredients."""
    parts = [
        TOOLING,
        DEBIAN_PACKAGES,
        PYTHON_LABEL,
        LOCALHOST_LABEL,
        *CHANGES,
        OWNED_BY_ROOT,
        os.environ.get("FORAGER_BASE_IMAGE", ""),
    ]
    recipe = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
    return f"forager-base:python{python}-{recipe}"


def _root_image(client: docker.DockerClient, python: str, report: Callable[[str], None]) -> str:
    """Return an image with Debian, and the requested Python if it comes from a registry."""
    stated = os.environ.get("FORAGER_BASE_IMAGE")
    candidates = [stated] if stated else [f"python:{python or _DEFAULT_PYTHON}-slim-bookworm"]
    for reference in candidates:
        if _exists(client, reference) or _pull(client, reference, report):
            return reference
    if stated:
        raise BuildError(f"FORAGER_BASE_IMAGE={stated} is not here and cannot be pulled")
    return _debootstrap(client, python, report)


def _pull(client: docker.DockerClient, reference: str, report: Callable[[str], None]) -> bool:
    """Pull an image; False if the registry does not answer, or refuses."""
    events: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def pull() -> None:
        try:
            repository, tag = reference.rsplit(":", 1)
            for event in client.api.pull(repository, tag, stream=True, decode=True):
                events.put(str(event.get("status", "")))
        except (DockerException, OSError) as error:
            events.put(f"error: {error}")
        events.put(None)

    report(f"pulling {reference}")
    threading.Thread(target=pull, daemon=True).start()
    seconds = _PULL_SECONDS
    try:
        while events.get(timeout=seconds) is not None:
            seconds = 300.0  # it answers; layers may take longer
    except queue.Empty:
        return False
    return _exists(client, reference)


def _debootstrap(client: docker.DockerClient, python: str, report: Callable[[str], None]) -> str:
    """Make an image of the Debian release with this Python, else of the host's release."""
    suite, mirror = _suite(python)
    packages = ",".join(DEBIAN_PACKAGES.split())
    kind = hashlib.sha256(packages.encode()).hexdigest()[:8]
    reference = f"forager-debootstrap:{suite}-{kind}"
    if _exists(client, reference):
        return reference
    command = [*_as_root(), *_debootstrap_command()]
    report(f"no registry can be reached: making a base of {suite} with debootstrap (one minute)")
    with scratch("base") as directory:
        root = directory / "root"
        options = ["--variant=minbase", f"--include={packages}"]
        _run([*command, *options, suite, str(root), *mirror])
        try:
            _import(client, root, reference)
        finally:
            _run([*_as_root(), "rm", "-rf", str(root)])
    return reference


def _import(client: docker.DockerClient, root: Path, reference: str) -> None:
    """Pipe a root directory into the engine as an image."""
    left_out = [f"--exclude={path}/*" for path in _LEFT_OUT]
    tar = [*_as_root(), "tar", "--numeric-owner", *left_out, "-C", str(root), "-c", "."]
    with subprocess.Popen(tar, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        told = client.api.import_image_from_stream(process.stdout)
    image = json.loads((told.splitlines() or ["{}"])[-1]).get("status", "")
    if process.returncode or not image.startswith("sha256:"):
        raise BuildError("the Docker engine cannot import the base: is its disk full?")
    repository, _, tag = reference.rpartition(":")
    client.api.tag(image, repository, tag)  # Podman's import drops the tag


def _suite(python: str) -> tuple[str, list[str]]:
    """Return the release to make, and its mirror if debootstrap does not know one."""
    mirror = os.environ.get("FORAGER_DEBIAN_MIRROR")
    if suite := _DEBIAN_OF.get(python):
        return suite, [mirror or _DEBIAN]
    facts = Path("/etc/os-release")
    host = release_of(facts.read_text() if facts.is_file() else "")
    if host.distribution in ("debian", "ubuntu") and host.name:
        return host.name, [mirror] if mirror else []
    return "bookworm", [mirror or _DEBIAN]


def _debootstrap_command() -> list[str]:
    found = shutil.which("debootstrap") or shutil.which("debootstrap", path="/usr/sbin:/sbin")
    if found:
        return [found]
    if not shutil.which("apt-get"):
        raise BuildError(
            "no image registry can be reached and debootstrap is not installed: install it, or "
            "`docker load` a Python image and name it in FORAGER_BASE_IMAGE"
        )
    _run([*_as_root(), "apt-get", "install", "-y", "-q", "debootstrap"])
    return ["/usr/sbin/debootstrap"]


def _as_root() -> list[str]:
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        return ["sudo", "-n"]
    raise BuildError(
        "no image registry can be reached and debootstrap needs root: run as root once, or "
        "`docker load` a Python image and name it in FORAGER_BASE_IMAGE"
    )


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=1800)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"`{command[0]}` failed: {error}") from error
    if done.returncode:
        lines = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
        raise BuildError(f"`{' '.join(command)[:120]}` failed (as root?)", "\n".join(lines[-10:]))


def _add_tooling(client: docker.DockerClient, root: str, python: str, reference: str) -> None:
    """Commit the layer that every project builds on."""
    with Workbench(client, root, memory=4 << 30, timeout=1200) as bench:
        bench.check(TOOLING, user="root", failure="the base cannot be prepared")
        wanted = python or "python3"
        bench.check(
            f"uv venv --clear --no-project --python {wanted} {VENV}",
            user="root",
            failure=f"Python {python} is not in the base and cannot be downloaded: leave `python` "
            "empty for the base's own, or name an image that has it in FORAGER_BASE_IMAGE",
        )
        bench.check(f"chown -R agent {VENV} && {{ {OWNED_BY_ROOT} }}", user="root")
        bench.check("uv pip install pytest", failure="pytest cannot be installed in the base")
        bench.check(OWNED_BY_ROOT, user="root")
        version = bench.check(f"{VENV}/bin/python --version").split()[-1]
        labels = [f"LABEL {PYTHON_LABEL}={version}"]
        if bench.run("getent -s myhostname ahosts localhost", user="root").code == 0:
            labels.append(f"LABEL {LOCALHOST_LABEL}=yes")
        image = bench.commit([*CHANGES, *labels])
    repository, tag = reference.rsplit(":", 1)
    client.api.tag(image, repository, tag)


def _exists(client: docker.DockerClient, reference: str) -> bool:
    try:
        client.images.get(reference)
    except ImageNotFound:
        return False
    return True
