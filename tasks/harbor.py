"""Repository tasks as Harbor task directories, which other agents and trainers run.

A directory holds `instruction.md`, `task.toml` (schema 1.4), `environment/Dockerfile`, which puts
the bug into the task's image or builds all from its recipe, `solution/solve.sh` and `tests/`. The
tests are the task's record and forager's own grading
(`forager/environments/repository/verifying.py`), packed with what it imports for the image's system
Python. So a verdict is forager's own: hidden tests arrive at grading, and protected paths, canaries
and changed tests guard it.
"""

import hashlib
import io
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import tomli_w

import forager
from forager.atomic import new_directory, replacing
from forager.environments.environment import KnowsReference
from forager.environments.registry import environment_of
from forager.environments.repository.guards import guards_of
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.verifying import COLLECT
from forager.environments.repository.workspace import PATCH_FILE, preparation
from forager.environments.task import Task
from forager.errors import UsageError
from forager.images.dockerfile import recipe_files
from forager.images.image import Image, stored_images
from forager.paths import data_directory
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.own_container import ARCHIVE, OWN
from forager.sandboxes.sandbox import USER, WORKDIR, Limits

_OLDEST = (3, 11)  # of Pythons that can run the grading
_PYTHON = "/usr/bin/python3"
_PACKAGES = (  # what the grading imports besides the standard library
    *("annotated-types", "filelock", "pydantic", "pydantic-core", "rtoml"),
    *("typing-extensions", "typing-inspection", "unidiff"),
)
_SHIPPED = ("*.py", "sandboxes/*.py", "environments/**/*.py", "programs/**/*.py", "programs/**/*.c")
_AGENT_SECONDS = 3600.0
_WITH_BUG = f"""\
# Process 1 of Harbor's containers sleeps and ignores SIGTERM: each stop would take ten seconds.
STOPSIGNAL SIGKILL
COPY prepare.sh /tmp/forager-prepare.sh
COPY setup.patch {PATCH_FILE}
RUN chown {USER}: {PATCH_FILE}
USER {USER}
WORKDIR {WORKDIR}
RUN bash /tmp/forager-prepare.sh
USER root
RUN rm -f /tmp/forager* && mkdir -p /logs && mkdir -p -m 700 {ARCHIVE.parent} && \\
    {{ find / -xdev {OWN} -print0; find {WORKDIR} -print0; }} | sort -z -u | \\
    tar --null --no-recursion -T - -cpPf {ARCHIVE} && chmod 600 {ARCHIVE}
"""
_TEST = f"""\
#!/bin/bash
# Grades what the agent left in {WORKDIR}, by forager's own code, and writes the reward.
here=$(cd "$(dirname "$0")" && pwd) && place=$(mktemp -d /root/forager-XXXXXXXX) || exit 1
unpack='import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])'
{_PYTHON} -I -S -c "$unpack" "$here/grader.zip" "$place" || exit 1
run='import sys; sys.path.insert(0, sys.argv.pop(1))
from forager.environments.repository.verifying import main; main()'
{_PYTHON} -I -S -c "$run" "$place" "$here"
code=$?
rm -rf "$place"
exit $code
"""
_SOLVE = f"""\
#!/bin/bash
here=$(cd "$(dirname "$0")" && pwd)
cd {WORKDIR} && git apply --whitespace=nowarn "$here/reference.patch"
"""


class HarborExport(NamedTuple):
    """How many tasks were written, and how many were left out, by reason."""

    tasks: int
    left_out: dict[str, int]


def export_harbor(
    tasks: Iterable[Task], output: Path, registry: str = "", *, from_recipe: bool = False
) -> HarborExport:
    """Write a directory with a Harbor task for each task that its image can grade by itself.

    With a `registry`, such as `ghcr.io/me`, `task.toml` names the image that
    `docker build -t REGISTRY/NAME NAME/environment` makes. With `from_recipe` that needs no image
    of forager: it starts from Debian (see `forager/images/dockerfile.py`). Raises UsageError if
    nothing is left.
    """
    written: dict[str, str] = {}
    left_out: dict[str, int] = {}
    built = {image.reference: image for image in stored_images()} if from_recipe else None
    with new_directory(output) as part:
        for task in tasks:
            if reason := _unfit(task, built):
                left_out[reason] = left_out.get(reason, 0) + 1
                continue
            assert isinstance(task, RepositoryTask)
            name = _name(task.instance_id, written)
            written[name] = task.instance_id
            files = _image_files(task, built[task.image] if built else None)
            _write(part, name, task, registry, files)
        if not written:
            raise UsageError(
                f"no task can be exported: {'; '.join(left_out) or 'the file is empty'}"
            )
    return HarborExport(len(written), left_out)


def _unfit(task: Task, built: Mapping[str, Image] | None) -> str:
    """Why a task cannot be exported, or ""; with `built` its image must be one of these."""
    if not isinstance(task, RepositoryTask):
        return f"tasks of the environment {task.environment!r} have no repository"
    found = _system_python(task.image)
    if not found or found < _OLDEST:
        return f"{_PYTHON} of the image is not Python 3.11 or later, which grades"
    if built is not None and task.image not in built:
        return "the image was not built on this machine, so its recipe is not known"
    return ""


@cache
def _system_python(image: str) -> tuple[int, ...]:
    """The version of the image's system Python; empty if it has none. Raises SandboxError."""
    sandbox = docker_sandbox(image, limits=Limits(memory=256 << 20))
    try:
        script = "import sys; print(*sys.version_info[:2])"
        words = sandbox.run(f"{_PYTHON} -I -S -c '{script}'", timeout=60).output.split()
    finally:
        sandbox.close()
    return tuple(int(word) for word in words) if all(map(str.isdecimal, words)) else ()


def _name(id: str, taken: Iterable[str]) -> str:
    """A directory name that is also a name of Harbor's and of an image."""
    plain = re.sub(r"[^a-z0-9]+", "-", id.lower()).strip("-")[:100] or "task"
    return plain if plain not in taken else f"{plain}-{hashlib.sha256(id.encode()).hexdigest()[:8]}"


def _image_files(task: RepositoryTask, image: Image | None) -> dict[str, bytes]:
    """The files from which the task's image is built, with an `image` from its recipe."""
    head, files = f"FROM {task.image}\nUSER root\n", dict[str, bytes]()
    if image:
        head, files = recipe_files(image)
    return {
        **files,
        "Dockerfile": (head + _WITH_BUG).encode(),
        "prepare.sh": preparation(task).encode(),
        "setup.patch": task.setup_patch.encode("utf-8", "surrogateescape"),
    }


def _write(
    part: Path, name: str, task: RepositoryTask, registry: str, image_files: dict[str, bytes]
) -> None:
    place = part / name
    for folder in ("environment", "solution", "tests"):
        (place / folder).mkdir(parents=True)
    environment = environment_of(task)
    limits = environment.limits(task, Limits())
    task = task.model_copy(update={"guards": guards_of(task, limits, docker_sandbox)})
    assert isinstance(environment, KnowsReference)
    files = {
        "instruction.md": environment.prompt(task) + "\n",
        "task.toml": tomli_w.dumps(_settings(task, name, registry, limits)),
        "solution/solve.sh": _SOLVE,
        "solution/reference.patch": task.patch,
        "tests/test.sh": _TEST,
        "tests/task.json": task.model_dump_json(),
    }
    contents = {path: text.encode("utf-8", "surrogateescape") for path, text in files.items()}
    contents |= {f"environment/{path}": content for path, content in image_files.items()}
    for path, content in contents.items():
        (place / path).write_bytes(content)
        if path.endswith("h"):
            (place / path).chmod(0o755)
    grader = _grader(_system_python(task.image))
    _link(grader, place / "tests" / "grader.zip")


def _settings(task: RepositoryTask, name: str, registry: str, limits: Limits) -> dict[str, Any]:
    """What `task.toml` says."""
    image = {"docker_image": f"{registry.rstrip('/')}/{name}"} if registry else {}
    known = {"kind", "repo", "base_commit", "image", "image_digest", "licence", "contaminated"}
    about = task.model_dump(include=known) | {"instance_id": task.instance_id}
    about |= task.labels.model_dump(include={"family", "operator", "location", "difficulty"})
    return {
        "schema_version": "1.4",
        "task": {"name": f"forager/{name}", "description": f"A bug in {task.repo}"},
        "metadata": {"forager": about, "forager_version": forager.__version__},
        "agent": {"timeout_sec": _AGENT_SECONDS, "user": USER},
        "verifier": {
            "timeout_sec": 300 + 4 * task.setup.timeout,
            "user": "root",
            "environment_mode": "separate",
            "collect": [{"command": COLLECT, "timeout_sec": 300.0}],
        },
        "environment": {
            **image,
            "build_timeout_sec": 600.0,
            "network_mode": "no-network",
            "workdir": WORKDIR,
            "cpus": limits.cpus,
            "memory_mb": (limits.memory >> 20) + 512,
        },
    }


def _link(source: Path, target: Path) -> None:
    """Make another name of a file, or a copy where that is not possible."""
    try:
        os.link(source, target)
    except OSError:
        target.write_bytes(source.read_bytes())


@cache
def _grader(python: tuple[int, ...]) -> Path:
    """The archive that grades with this Python: forager's code and the packages that it imports.

    It is kept on this machine. Raises UsageError if the packages cannot be downloaded.
    """
    shipped = dict(_sources())
    pins = [f"{name}=={version(name)}" for name in _PACKAGES]
    digest = hashlib.sha256(repr((python, pins, sorted(shipped.items()))).encode()).hexdigest()
    kept = data_directory() / "harbor" / f"grader-{digest[:16]}.zip"
    if not kept.exists():
        shipped |= _installed(kept.parent / f"packages-{'.'.join(map(str, python))}", pins, python)
        with replacing(kept) as new:
            new.write_bytes(_archive(shipped))
    return kept


def _sources() -> Iterator[tuple[str, bytes]]:
    root = Path(forager.__file__).parent
    for path in sorted({path for pattern in _SHIPPED for path in root.glob(pattern)}):
        yield f"forager/{path.relative_to(root)}", path.read_bytes()


def _installed(place: Path, pins: list[str], python: tuple[int, ...]) -> dict[str, bytes]:
    """The files of these packages for another Python. Raises UsageError."""
    import uv

    wanted = ["--python-version", ".".join(map(str, python))]
    command = [uv.find_uv_bin(), "pip", "install", "-q", "--no-deps", "--only-binary", ":all:"]
    target = ["--python-platform", "x86_64-manylinux_2_28", "--target", str(place), "--reinstall"]
    done = subprocess.run([*command, *wanted, *target, *pins], capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise UsageError(f"the packages of the verifier cannot be installed: {''.join(said)}")
    files = (path for path in sorted(place.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in files
        if path.suffix != ".pyc" and path.parts[len(place.parts)] != "bin"
    }


def _archive(files: dict[str, bytes]) -> bytes:
    """A zip archive without times: the same files give the same archive."""
    result = io.BytesIO()
    with ZipFile(result, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(ZipInfo(name), content, ZIP_DEFLATED)
    return result.getvalue()
