"""The container in which an image is made.

Commands of a project run as the user `agent`; root is used for Debian's packages and for
cleaning up. What they install belongs to root in the image: during the build they may write to the
environment as members of the group BUILDERS, of which nobody is a member in a sandbox. A directory
with files of the host (uv, CA bundle) is removed before the commit: a file that is made and removed
in one layer leaves no trace.
"""

import io
import logging
import os
import re
import tarfile
import time
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple, Self

import docker
import uv
from docker.errors import APIError, DockerException

from forager.errors import BuildError
from forager.images.host import build_variables, ca_bundle
from forager.logins import LOGINS
from forager.makers import maker
from forager.sandboxes.leftovers import IMAGE_LABEL, build_name, remove, sweep
from forager.sandboxes.sandbox import SYSTEM_PATH, WORKDIR
from forager.text import safe

TOOLS = "/opt/forager-build"
VENV = "/opt/venv"
PYTHON = f"{VENV}/bin/python"
_CACHE = "/mnt"  # where a cache is mounted: Debian has the directory
_APT = f"{_CACHE}/apt"
TIME = 946684800  # of all files: 2000-01-01, the date of the commits of tasks
# Compiling takes most of many builds, and tests need no fast code.
FLAGS = dict.fromkeys(("CFLAGS", "CXXFLAGS"), "-O1 -g0")
UV_SETTINGS = {
    "UV_NO_PROGRESS": "1",
    "UV_COMPILE_BYTECODE": "1",  # test runs would compile pytest each time
    "UV_PYTHON_INSTALL_DIR": "/opt/python",
    "UV_LINK_MODE": "copy",  # the cache may be another file system
}
WITHOUT_LISTS = "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb"
BUILDERS = 2000  # number of a group without a name
OWNED_BY_ROOT = f"""set -e  # copies no file of a lower layer
find {VENV} -user agent -exec chown -h root:{BUILDERS} {{}} +
find {VENV} ! -type l ! -perm 664 ! -perm 775 -user root -exec chmod u=rwX,g=rwX,o=rX {{}} +
"""
CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETUID", "SETGID", "KILL"]
_KEPT = 1 << 20  # bytes of a command's output
_LOG = logging.getLogger(__name__)


class BenchResult(NamedTuple):
    """The result of a build command; exit code 124 or 137 means that it took too long."""

    code: int
    output: str


class BuildCache:
    """Downloads that the builds of one source share.

    A volume of a container that never starts. No two sources share one, so that no project can
    write into another's.
    """

    def __init__(self, client: docker.DockerClient, image: str) -> None:
        try:
            made = client.api.create_container(image, ["true"], volumes=[_CACHE], name=build_name())
        except DockerException as error:
            raise BuildError(f"no build container can be made: {error}") from error
        self.container = str(made["Id"])

    def close(self) -> None:
        """Remove them."""
        remove(self.container)


class Workbench:
    """A running container of `image`; a context manager that removes it at the end."""

    def __init__(
        self,
        client: docker.DockerClient,
        image: str,
        *,
        memory: int,
        timeout: float,
        cache: "BuildCache | None" = None,
        logins: bool = True,
    ) -> None:
        self._client = client
        self._cache = cache
        self._deadline = time.monotonic() + timeout
        bundle = ca_bundle()
        self._variables = {
            **build_variables(f"{TOOLS}/ca.pem" if bundle else "", logins=logins),
            **UV_SETTINGS,
            **FLAGS,
            "VIRTUAL_ENV": VENV,
            "PATH": f"{VENV}/bin:{TOOLS}:{SYSTEM_PATH}",
        }
        self._container = self._start(image, memory, timeout)
        try:
            self._bring_tools(bundle)
        except BaseException:
            self.close()
            raise

    def _start(self, image: str, memory: int, timeout: float) -> Any:
        sweep()
        # The process that holds the container ends by itself if nobody sweeps.
        hold = f"trap 'exit 0' TERM; sleep {int(timeout) + 60} & wait"
        try:
            return self._client.containers.run(
                image,
                ["/bin/bash", "-c", hold],
                user="root",
                working_dir="/",
                detach=True,
                auto_remove=True,
                cap_drop=["ALL"],
                cap_add=CAPABILITIES,
                security_opt=["no-new-privileges"],
                mem_limit=memory,
                memswap_limit=memory,
                pids_limit=1024,
                name=build_name(),  # labels would stay
                volumes_from=[self._cache.container] if self._cache else [],
            )
        except DockerException as error:
            raise BuildError(f"no build container starts: {error}") from error

    def _bring_tools(self, bundle: str) -> None:
        files = {"uv": (Path(uv.find_uv_bin()).read_bytes(), 0o755)}
        if bundle:
            files["ca.pem"] = (Path(bundle).read_bytes(), 0o644)
        self.check(f"mkdir -p {TOOLS}/cache && chmod 1777 {TOOLS}/cache", user="root")
        if self._cache:
            self.check(
                f"install -d -m 1777 {_CACHE} && mkdir -p {_APT}/lists {_APT}/archives", user="root"
            )
        self.put(archive(files), TOOLS)

    @property
    def apt(self) -> str:
        """The command of apt-get, with the cache of the source if there is one."""
        if not self._cache:
            return "apt-get"
        kept = "-o Binary::apt-get::APT::Keep-Downloaded-Packages=1 -o APT::Sandbox::User=root"
        places = f"-o Dir::State::Lists={_APT}/lists -o Dir::Cache::Archives={_APT}/archives"
        return f"apt-get {kept} {places}"

    def run(
        self,
        command: str,
        *,
        user: str = "agent",
        timeout: float | None = None,
        variables: Mapping[str, str] = {},
        directory: str = WORKDIR,
    ) -> BenchResult:
        """Run a shell command within the time that is left for the build."""
        left = self._deadline - time.monotonic()
        seconds = max(1, int(min(left, timeout or left)))
        words = ["timeout", "--kill-after=5", str(seconds), "bash", "-c", command]
        if user != "root":  # the engine could change the user, but Podman's drops the group
            groups = [f"--reuid={user}", f"--regid={user}", f"--groups={BUILDERS}"]
            words = ["/usr/bin/setpriv", *groups, "--inh-caps=-all", "--", *words]
        cache = f"{_CACHE}/{user}" if self._cache else f"{TOOLS}/cache/{user}"
        environment = {**self._variables, **_home(user), "UV_CACHE_DIR": cache, **variables}
        guard = Timer(seconds + 30, self.close)  # for a container that no longer ends processes
        guard.daemon = True
        guard.start()
        try:
            return self._execute(words, environment, directory)
        except (DockerException, OSError) as error:
            raise BuildError(f"the build container is gone: {error}", command) from error
        finally:
            guard.cancel()

    def _execute(
        self, words: list[str], environment: dict[str, str], directory: str
    ) -> BenchResult:
        api = self._client.api
        made = api.exec_create(
            self._container.id, words, user="root", environment=environment, workdir=directory
        )
        output = bytearray()
        attached: Any = api.exec_start(made["Id"], socket=True)
        try:
            getattr(attached, "_sock", attached).settimeout(None)  # `timeout` ends the command
            for chunk in _frames(attached._response.raw._fp.fp):
                output += chunk
                if len(output) > 2 * _KEPT:  # a build may print endlessly
                    del output[:-_KEPT]
        finally:
            attached._response.close()  # docker-py leaves the connection to the collector
        code = api.exec_inspect(made["Id"])["ExitCode"]
        text = LOGINS.hide(output.decode(errors="replace"))
        return BenchResult(137 if code is None else code, text)

    def check(
        self, command: str, *, user: str = "agent", directory: str = "/", failure: str = ""
    ) -> str:
        """Run a command of forager's own and return its output. Raises BuildError if it fails.

        Programs and git settings that a project's install may have planted do not affect it.
        """
        own = {"PATH": f"{TOOLS}:{SYSTEM_PATH}", "GIT_CONFIG_GLOBAL": "/dev/null"}
        step = self.run(command, user=user, directory=directory, variables=own)
        if step.code:
            summary = failure or f"`{command[:80]}` failed"
            raise BuildError(f"{summary} (exit code {step.code})", telling_lines(step.output))
        return step.output

    def put(self, content: bytes, directory: str) -> None:
        """Unpack a tar archive in a directory."""
        try:
            self._container.put_archive(directory, content)
        except (DockerException, OSError) as error:
            raise BuildError(f"the build container takes no files: {error}") from error

    def commit(self, changes: list[str]) -> str:
        """Make an image of the container's state, without the tools; return its id."""
        self.check(f"rm -rf {TOOLS} /tmp/* /tmp/.[!.]* /var/tmp/*; true", user="root")
        try:
            label = maker()
            marked = [*changes, f'LABEL {IMAGE_LABEL}="{label}"']
            made = self._client.api.commit(self._container.id, changes=marked, message=label)
        except (DockerException, OSError) as error:
            raise BuildError(f"the image cannot be written: {error}") from error
        return "sha256:" + str(made["Id"]).removeprefix("sha256:")  # Podman leaves it out

    def close(self) -> None:
        """Remove the container; safe to call twice."""
        try:
            self._client.api.remove_container(self._container.id, force=True)
        except (APIError, OSError) as error:
            _LOG.debug("build container already gone: %s", error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def archive(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """Make a tar archive of files given as content and mode."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def tree_archive(tree: Path, names: list[str]) -> bytes:
    """Make a tar archive of files of a directory, without owners and times.

    Links stay links. Two names of one file, as hard links are, become two files.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in names:
            path, entry = tree / name, tarfile.TarInfo(name)
            entry.mtime = TIME  # formats of archives have no time before 1980
            if path.is_symlink():
                entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
                tar.addfile(entry)
                continue
            with path.open("rb") as file:
                state = os.fstat(file.fileno())
                entry.size, entry.mode = state.st_size, 0o755 if state.st_mode & 0o100 else 0o644
                tar.addfile(entry, file)
    return buffer.getvalue()


def telling_lines(log: str, most: int = 25) -> str:
    """Return the lines of a log that say what went wrong, or its last lines."""
    words = ("error", "failed", "failure", "fatal", "no module named", "not found", "cannot")
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    telling = [
        line
        for line in lines
        if line.startswith("E  ")
        or (line[0] not in "_=" and any(word in line.lower() for word in words))
    ]
    chosen = list(dict.fromkeys(telling))[:most] if telling else lines[-most:]
    return "\n".join(line[:300] for line in chosen)


def decisive_line(log: str) -> str:
    """Return the line of a log that most likely says what went wrong."""
    found = [line.strip() for line in telling_lines(log, 200).splitlines()]
    lines = [line for line in found if not line.startswith("hint:")] or found
    errors = [line for line in lines if re.search(r"\b[A-Z]\w*Error\b|: (fatal )?error:", line)]
    return safe((errors or lines or [""])[-1]).removeprefix("cause: ")[:300]


def _frames(stream: BufferedReader) -> Iterator[bytes]:
    """Yield what a command prints.

    docker-py reads the socket behind this stream, and loses what came together with the headers.
    """
    while len(header := stream.read(8)) == 8:
        yield stream.read(int.from_bytes(header[4:]))


def _home(user: str) -> dict[str, str]:
    return {"HOME": "/root" if user == "root" else f"/home/{user}"}
