"""A sandbox that is a Docker container: bash as PID 1 over one attached stream.

PID 1 is root, with few capabilities (`CAPABILITIES`); it starts the shell of the agent. What the
container contains: an unprivileged user without capabilities or a way to gain any; no network; no
host mounts; bounds on memory, processes, processors and file size. What it does not contain: a bug
in the kernel, and the total size of files (the size of a file is bounded, their number is not).
"""

import contextlib
import secrets
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_NPROC, getrlimit
from typing import Any

import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig, Ulimit

from forager.errors import ImageMissing, SandboxError, SandboxLost
from forager.makers import maker
from forager.sandboxes.engine import connect, is_podman
from forager.sandboxes.leftovers import SANDBOX_LABEL, remove, sweep
from forager.sandboxes.sandbox import (
    CAPABILITIES,
    LOCALHOST_LABEL,
    SYSTEM_PATH,
    USER,
    WORKDIR,
    Limits,
)
from forager.sandboxes.shell import SUPERVISOR
from forager.sandboxes.shell_sandbox import ShellSandbox

_OPENED = "/bin/chmod o+w /proc/self/fd/1\n"  # the agent may write to /dev/stdout, not read it
_FAULTS = (DockerException, requests.RequestException, OSError)
_TRANSFER_SECONDS = 120.0
_ROUNDS = 20  # of a KILL
_END_SECONDS = 10  # for a container whose stream has ended
_KILLED = 137  # exit code after SIGKILL
_MOST_PROCESSES = Path("/proc/sys/kernel/pid_max")  # of the kernel


def docker_sandbox(
    image: str,
    *,
    limits: Limits | None = None,
    environment: Mapping[str, str] = {},
    files: Sequence[str] = (),
) -> ShellSandbox:
    """Start a container of `image`, with the directories `files` of the engine's machine.

    Raises SandboxError when the container cannot be started (EngineError without an engine).
    """
    return ShellSandbox(_Container(image, limits or Limits(), environment, files), WORKDIR)


class _Container:
    """A running container and the stream that is attached to its PID 1; implements Machine."""

    def __init__(
        self, image: str, limits: Limits, environment: Mapping[str, str], files: Sequence[str]
    ) -> None:
        self._files = files
        self._api = connect().api
        self._socket: socket.socket | None = None
        self._attached: Any = None
        self._buffer = bytearray()
        # A descriptor closed while a thread waits for it may be reused for another socket.
        self._in_use = threading.Lock()
        # Chosen here, so that a container whose creation was interrupted can be removed.
        self._name = f"forager-{secrets.token_hex(8)}"
        sweep()
        try:
            self._id = self._create(image, limits, dict(environment))
        except ImageNotFound as error:
            raise ImageMissing(
                f"there is no image {image} here; build it with `forager image build`"
            ) from error
        except _FAULTS as error:
            remove(self._name)
            raise SandboxError(f"cannot create a container of {image}: {error}") from error
        try:
            self._attach()
        except _FAULTS as error:
            self.close()
            raise SandboxError(f"cannot start a container of {image}: {error}") from error

    def _create(self, image: str, limits: Limits, environment: dict[str, str]) -> str:
        host = self._api.create_host_config(
            network_mode="bridge" if limits.network else "none",
            binds=[f"{path}:{path}:ro" for path in self._files],
            mem_limit=limits.memory,
            memswap_limit=limits.memory,
            pids_limit=limits.processes,
            nano_cpus=int(limits.cpus * 1e9),
            cap_drop=["ALL"],
            cap_add=list(CAPABILITIES),
            security_opt=["no-new-privileges"],
            ulimits=_ulimits(limits),
            log_config=LogConfig(
                type="none", config={}
            ),  # we read the stream; a log would fill the host's disk
        )
        made: dict[str, Any] = self._api.create_container(
            image,
            entrypoint=["/bin/bash", "-c", _OPENED + SUPERVISOR, "keeper", USER],
            command=[],
            user="0:0",
            working_dir=WORKDIR,
            stdin_open=True,
            network_disabled=not limits.network and _names_localhost(image),  # else `none`
            environment={
                "HOME": f"/home/{USER}",
                "PAGER": "cat",
                "GIT_PAGER": "cat",
                **environment,
            },
            labels={SANDBOX_LABEL: maker()},
            name=self._name,
            hostname="sandbox",  # not the container's id, which programs would see in $HOSTNAME
            host_config=host,
        )
        return str(made["Id"])

    def _attach(self) -> None:
        attached = self._api.attach_socket(
            self._id, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        )
        self._attached = attached  # keep it: its response holds the connection
        self._socket = getattr(attached, "_sock", attached)
        self._buffer.clear()
        self._api.start(self._id)

    @property
    def keeper_is_root(self) -> bool:
        """Return True: PID 1 is root."""
        return True

    def send(self, data: bytes) -> None:
        """Send data to PID 1's standard input."""
        assert self._socket is not None
        try:
            with self._in_use:
                self._socket.settimeout(_TRANSFER_SECONDS)
                self._socket.sendall(data)
        except OSError as error:
            raise self._ended(f"the container does not answer: {error}") from error

    def receive(self, timeout: float) -> bytes | None:
        """Return output of PID 1, without the engine's framing; None if there was none in time.

        The stream is a series of frames: one byte for the descriptor, three zero bytes, four
        bytes of length, and the content (Docker Engine API, "Attach to a container").
        """
        assert self._socket is not None
        try:
            with self._in_use:
                self._socket.settimeout(max(timeout, 0.001))
                data = self._socket.recv(262144)
        except TimeoutError:
            return None
        except OSError as error:
            raise self._ended(f"the container does not answer: {error}") from error
        if not data:
            raise self._ended("the container has ended")
        self._buffer += data
        parts = []
        position = 0
        while len(self._buffer) - position >= 8:
            kind, length = struct.unpack_from(">BxxxI", self._buffer, position)
            if len(self._buffer) - position - 8 < length:
                break
            if kind == 1:
                parts.append(bytes(self._buffer[position + 8 : position + 8 + length]))
            position += 8 + length
        del self._buffer[:position]
        return b"".join(parts)

    def signal(self, name: str, spare: int) -> None:
        """Signal all processes but PID 1, `spare` and the one that signals.

        A KILL is repeated until all are gone: processes that fork faster would survive one pass.
        """
        script = (
            f"for round in $(seq {_ROUNDS if name == 'KILL' else 1}); do found=; "
            "for entry in /proc/[0-9]*; do pid=${entry#/proc/}; "
            f'case $pid in 1|{spare}|$$) ;; *) kill -{name} "$pid" 2>/dev/null && found=1 ;; esac; '
            "done; [ $found ] || exit 0; done"
        )
        try:
            made = self._api.exec_create(
                self._id,
                ["/bin/sh", "-c", script],
                user="0:0",
                environment={"PATH": SYSTEM_PATH},  # the agent may have planted programs
            )
            self._api.exec_start(made["Id"])
            code = self._api.exec_inspect(made["Id"])["ExitCode"]
        except _FAULTS as error:
            raise SandboxError(f"the container takes no more processes: {error}") from error
        if code not in (0, 1, 137):  # the result of the last kill, or killed by a parallel one
            raise SandboxError("the container takes no more processes")

    def restart(self) -> None:
        """Kill the container and start it again on the same files."""
        self._disconnect()  # first: the engine waits until its output has been read
        try:
            with contextlib.suppress(APIError):
                self._api.kill(self._id)
            self._api.wait(self._id, timeout=60)
            self._attach()
        except (NotFound, requests.ConnectionError) as error:
            raise SandboxLost(f"the container is gone: {error}") from error
        except _FAULTS as error:
            raise SandboxError(f"the container does not start again: {error}") from error

    def _ended(self, text: str) -> SandboxError:
        """The error of a stream that has ended: SandboxLost, unless the agent may have done it.

        The agent cannot kill PID 1. It can use up the memory, of which the engine tells.
        """
        try:
            self._api.wait(self._id, timeout=_END_SECONDS)
            state = self._api.inspect_container(self._id)["State"]
        except _FAULTS as error:  # it was removed, or the engine is gone, or has dropped the stream
            return SandboxLost(f"{text} ({error})")
        if state["OOMKilled"]:
            return SandboxError(f"{text}: the memory was used up")
        if state["ExitCode"] != _KILLED:
            return SandboxError(f"{text} with exit code {state['ExitCode']}")
        return SandboxLost(f"{text}: it was killed from outside")

    def _disconnect(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # wake a thread that waits for it
                self._socket.shutdown(socket.SHUT_RDWR)
            with self._in_use:
                with contextlib.suppress(OSError, ValueError):
                    self._attached._response.close()
                with contextlib.suppress(OSError, ValueError):
                    self._socket.close()

    def _stop_reading(self) -> None:
        """Refuse further output, and take what has been sent.

        An engine that waits to write notices only once there is room again.
        """
        assert self._socket is not None
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)
            with self._in_use:
                while self._socket.recv(262144):
                    pass

    def close(self) -> None:
        """Remove the container and disconnect.

        The input stays open until the container is gone, if the engine need not wait for a reader.
        """
        if self._socket is not None and self._socket.family == socket.AF_UNIX:
            self._stop_reading()
        else:
            self._disconnect()
        remove(self._name)
        self._disconnect()


def _ulimits(limits: Limits) -> list[Ulimit]:
    """The bounds of each process.

    Podman forgets its own bound on processes where others are given, and then sets one that only
    root with all capabilities may set.
    """
    bounds = {"fsize": limits.file_size, "core": 0, "nofile": 4096}
    if is_podman():
        own, most = getrlimit(RLIMIT_NPROC)[1], int(_MOST_PROCESSES.read_text())
        bounds["nproc"] = most if own == RLIM_INFINITY else min(own, most)
    return [Ulimit(name=name, soft=bound, hard=bound) for name, bound in bounds.items()]


@cache
def _names_localhost(image: str) -> bool:
    """Whether an image resolves `localhost` without /etc/hosts. Raises ImageNotFound.

    Only the engine's networks write /etc/hosts. `network_disabled` leaves loopback alone, as the
    network `none` does, and halves the time that a container takes to start.
    """
    return LOCALHOST_LABEL in connect().images.get(image).labels
