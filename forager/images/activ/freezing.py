"""Runs one job with `act` until its tests start, looks at what is there, and ends it.

The job's container has no socket of Docker, no token, the default network of containers and the
capabilities of a build container. Nothing is run in it from here: the engine hands out files, and
these are bounded and parsed as a stranger's. `act` itself is bounded too: it reads what jobs write.
"""

import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sysconfig
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO, Any, NamedTuple

import docker
from docker.errors import DockerException

from forager.errors import UsageError
from forager.images.activ.looking import RUN_LABEL, Frozen, containers, look
from forager.images.activ.runner import HOME
from forager.images.activ.vetting import Vetted
from forager.images.git import commit_all, git
from forager.images.host import build_variables, ca_bundle
from forager.images.source import Source
from forager.images.workbench import CAPABILITIES
from forager.logins import LOGINS
from forager.makers import maker
from forager.sandboxes.leftovers import SANDBOX_LABEL, remove
from forager.text import safe

_POLL = 0.5  # seconds
_LOG_LINES, _LINE = 400, 2000
_SETTINGS = ("env", "secret", "var", "input")
_ACT_MEMORY = 4 << 20  # KiB
_BOUNDED = 'ulimit -d "$0"; exec timeout --kill-after=5 "$@"'  # even if this process is killed
_PREFIX = re.compile(r"^\[[^\]]*\] *\| ?")  # of lines that a job prints


class NoTests(NamedTuple):
    """A job that ended, or took too long, before tests started."""

    problem: str
    log: str


def act_program() -> str:
    """Return the path of `act`. Raises UsageError that says how to get it."""
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("act", path=scripts) or shutil.which("act")
    if not found:
        raise UsageError("the builder activ needs act: pip install -e '.[activ]'")
    return found


def freeze(
    client: docker.DockerClient,
    tree: Path,
    source: Source,
    job: str,
    vetted: Vetted,
    image: str,
    *,
    directory: Path,
    day: str,
    seconds: float,
) -> Frozen | NoTests:
    """Run a vetted job of a tree, with files of ours in an empty directory.

    With a day, pip and uv install no version that was uploaded later.
    """
    run = secrets.token_hex(6)
    workspace = _workspace(tree, source, directory / source.name.rpartition("/")[2])
    locked = (tree / "uv.lock").is_file()  # which another date would invalidate
    files = _files(directory, day, locked=locked)
    files["workflow"].write_text(vetted.text)
    words = _command(job, vetted, image, run, workspace, files)
    bounds = ["bash", "-c", _BOUNDED, str(_ACT_MEMORY), str(int(seconds) + 60)]
    with _running(client, [*bounds, *words], run, directory) as (process, log):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended = process.poll() is not None
            if found := look(client, run):
                return found
            if ended:
                return NoTests("the job ended before tests started", log.text())
            time.sleep(_POLL)
        return NoTests(f"no test started within {seconds:.0f} s", log.text())


def _workspace(tree: Path, source: Source, into: Path) -> Path:
    """Copy a tree as a repository of one commit with the version as a tag, like the checkout."""
    shutil.copytree(tree, into, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    commit_all(into)
    name = source.name if source.kind == "git" else f"owner/{into.name}"
    git(into, "config", "remote.origin.url", f"https://github.com/{name}")
    with suppress(UsageError):  # a version that git takes for no tag
        for tag in (source.version, f"v{source.version}") if source.version else ():
            git(into, "tag", "--", tag)
    return into


def _command(
    job: str,
    vetted: Vetted,
    image: str,
    run: str,
    workspace: Path,
    files: dict[str, Path],
) -> list[str]:
    actions = [
        word
        for name, folder in vetted.actions.items()
        for word in ("--local-repository", f"{name}={folder}")
    ]
    inputs = [
        word for name, value in vetted.inputs.items() for word in ("--input", f"{name}={value}")
    ]
    return [
        act_program(),
        vetted.event,
        *("--directory", str(workspace), "--workflows", str(files["workflow"])),
        *("--job", job, "--platform", f"ubuntu-latest={image}", "--pull=false", "--rm"),
        *("--container-daemon-socket", "-"),  # or act gives jobs the engine's own socket
        *("--network", "bridge"),  # or jobs share the host's
        *("--no-cache-server", "--action-offline-mode", "--use-gitignore=false"),
        *("--concurrent-jobs", "1", "--defaultbranch", "main", "--actor", "forager"),
        *("--secret", "GITHUB_TOKEN="),  # or act asks `gh` for the user's token
        *("--container-options", shlex.join(_container_options(run))),
        *(word for kind in _SETTINGS for word in (f"--{kind}-file", str(files[kind]))),
        *actions,
        *inputs,
    ]


def _files(directory: Path, day: str, *, locked: bool) -> dict[str, Path]:
    """The workflow, and files of settings, which act would otherwise look for in the project."""
    variables = build_variables(f"{HOME}/ca.pem" if ca_bundle() else "")
    if day:
        variables["PIP_UPLOADED_PRIOR_TO"] = f"{day}T00:00:00Z"
    if day and not locked:
        variables["UV_EXCLUDE_NEWER"] = day
    lines = [f"{name}='{value}'\n" for name, value in variables.items() if "'" not in value]
    host, empty = directory / "host", directory / "no-settings"
    host.touch(mode=0o600)
    host.write_text("".join(lines))
    empty.touch()
    files = {**dict.fromkeys(_SETTINGS, empty), "env": host}
    return {**files, "workflow": directory / "workflow.yml"}


def _container_options(run: str) -> list[str]:
    bundle = ca_bundle()
    mounted = ["--volume", f"{bundle}:{HOME}/ca.pem:ro"] if bundle else []
    return [
        *("--label", f"{SANDBOX_LABEL}={maker()}", "--label", f"{RUN_LABEL}={run}"),
        *("--user", "root", "--cap-drop", "ALL"),
        *(word for name in CAPABILITIES for word in ("--cap-add", name)),
        *("--security-opt", "no-new-privileges", "--memory", "4g", "--pids-limit", "1024"),
        *("--tmpfs", "/opt/hostedtoolcache:size=256m,exec"),  # a volume that all jobs share
        *("--volume", f"{_artifacts(run)}:{HOME}/artifacts"),
        *mounted,
    ]


def _artifacts(run: str) -> str:
    """The volume in which jobs of one run hand files to each other."""
    return f"forager-activ-{run}"


class _Log:
    """The last lines that a process printed."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._lines: deque[bytes] = deque(maxlen=_LOG_LINES)
        self._stream = stream
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            while line := self._stream.readline(_LINE):
                self._lines.append(line)

    def text(self) -> str:
        """What the job printed, without logins."""
        text = LOGINS.hide(safe(b"".join(self._lines).decode(errors="replace")))
        return "\n".join(_PREFIX.sub("", line) for line in text.splitlines() if "|" in line)


@contextmanager
def _running(
    client: docker.DockerClient,
    words: list[str],
    run: str,
    directory: Path,
) -> Iterator[tuple[subprocess.Popen[bytes], _Log]]:
    """Run act in an empty directory, as it obeys the `.actrc` of the one where it starts."""
    empty = directory / "empty"
    empty.mkdir()
    engine = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
    environment = {**engine, "HOME": str(empty), "PATH": os.defpath}
    process = subprocess.Popen(
        words,
        cwd=empty,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield process, _Log(process.stdout)
    finally:
        with suppress(ProcessLookupError):  # first: it would go on with the next step
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _remove(client, run)
        process.stdout.close()


def _remove(client: docker.DockerClient, run: str) -> None:
    """Remove the run's containers, and the volumes that act made for them."""
    api: Any = client.api
    try:
        found = containers(client, run)
    except (DockerException, OSError):
        return  # the next process sweeps
    volumes = {_artifacts(run), "act-toolcache"}
    for container in found:
        mounts = container.get("Mounts", [])
        volumes |= {mount["Name"] for mount in mounts if mount.get("Type") == "volume"}
        remove(container["Id"])
    for volume in volumes:
        with suppress(DockerException, OSError):  # another run may use it
            api.remove_volume(volume)
