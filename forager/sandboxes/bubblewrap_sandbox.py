"""A sandbox without a daemon: namespaces by bubblewrap over the unpacked layers of an image.

Three processes of this machine stand around the keeper. A *watcher* (bash) mounts, in a mount
namespace of its own, an overlay of the image's layers whose upper layer is a tmpfs of bounded size,
starts bwrap, and waits on a pipe that this process holds: when that closes, also because this
process was killed, it kills bwrap, and the kernel all the rest. bwrap makes the namespaces, and
the keeper is PID 1 in them. Mounts and files exist in that mount namespace only: when the
processes are gone nothing is left. As root the image's owners are kept, and commands run as its
user 'agent'; for any other user no privilege is needed, all files are the agent's, and what it
breaks is its own copy.

What it contains: as the Docker sandbox, and the sum of all files. Memory, processes and
processors are bounded as a whole where control groups may be made (`forager doctor` says so); else
memory is bounded for each process, processes by number, and processors are not. What is written
counts as memory. What it does not contain: a bug in the kernel. A network it does not offer.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from forager.errors import SandboxError
from forager.sandboxes import seccomp
from forager.sandboxes.bubblewrap import Pipes, SandboxSpec, watcher
from forager.sandboxes.cgroups import ControlGroup, sweep
from forager.sandboxes.pipes import HEEDING, PipedShell
from forager.sandboxes.sandbox import WORKDIR, Limits
from forager.sandboxes.shell_sandbox import ShellSandbox
from forager.sandboxes.unpacked import USER, UnpackedImage, unpacked

_START_SECONDS = 60.0
_END_SECONDS = 10.0
_PASSES = 50  # over the processes, until none is left to signal


def bubblewrap_sandbox(
    image: str, *, limits: Limits | None = None, environment: Mapping[str, str] = {}
) -> ShellSandbox:
    """Start a sandbox of `image`, which is unpacked first where it was not yet.

    Raises SandboxError when it cannot be started.
    """
    return ShellSandbox(_Namespaces(unpacked(image), limits or Limits(), environment), WORKDIR)


class _Namespaces:
    """The processes in their namespaces and the stream to the keeper; implements Machine."""

    def __init__(
        self, image: UnpackedImage, limits: Limits, environment: Mapping[str, str]
    ) -> None:
        if limits.network:
            raise SandboxError("a bubblewrap sandbox has no network to give; use --sandbox docker")
        _swept()
        try:
            self._group = ControlGroup(limits)
        except OSError as error:
            raise SandboxError(f"cannot make a control group: {error}") from error
        home = {"HOME": f"/home/{USER}", "PAGER": "cat", "GIT_PAGER": "cat"}
        variables = {**image.environment, **home, **environment}
        self._plan = SandboxSpec(image, limits, variables, self._group.bounds)
        self._running: _Running | None = None
        try:
            self._running = self._started(None)
        except BaseException:
            self._group.remove()
            raise

    def send(self, data: bytes) -> None:
        """Send all of it to the keeper's standard input."""
        self._live().pipes.send(data)

    def receive(self, timeout: float) -> bytes | None:
        """Return what came on the keeper's standard output."""
        return self._live().pipes.receive(timeout)

    def signal(self, name: str, spare: int) -> None:
        """Signal all processes but the keeper and `spare`; a KILL until none is left."""
        number = signal.Signals[f"SIG{name}"]
        for _ in range(_PASSES if number == signal.SIGKILL else 1):
            processes = [one for one in self._live().processes() if one[1] not in (1, spare)]
            for process, _ in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
            if not processes:
                return

    def restart(self) -> None:
        """End all processes and start a new keeper on the same files."""
        before, self._running = self._live(), None
        try:
            before.end()
            self._running = self._started(before.watcher.pid)
        finally:
            before.release()

    def close(self) -> None:
        """End all processes, and with them the files."""
        if self._running is not None:
            self._running.end()
            self._running.release()
            self._running = None
        self._group.remove()

    def _live(self) -> "_Running":
        if self._running is None:
            raise SandboxError("the sandbox is closed")
        return self._running

    def _started(self, before: int | None) -> "_Running":
        """Start watcher, bwrap and keeper; on the mounts of the watcher numbered `before`."""
        with contextlib.ExitStack() as stack:
            read, write = {}, {}
            for name in Pipes._fields:
                ends = os.pipe()
                read[name] = stack.enter_context(os.fdopen(ends[0], "rb", 0))
                write[name] = stack.enter_context(os.fdopen(ends[1], "wb", 0))
            write["rules"].write(seccomp.program())
            write["rules"].close()
            theirs = {**read, "info": write["info"]}
            pipes = Pipes(**{name: end.fileno() for name, end in theirs.items()})
            process = _begun(watcher(self._plan, pipes, before), pipes)
            for end in theirs.values():
                end.close()
            try:
                keeper = _keeper(read["info"].fileno())
                self._set_up(process, keeper)
                write["owners"].write(b"\n")
                write["go"].write(b"\n")
                return _Running(process, keeper, write["life"].fileno())
            except (OSError, ValueError) as error:
                write["life"].close()
                text = _last_words(process) or error
                raise SandboxError(
                    f"bubblewrap does not start (`forager doctor`): {text}"
                ) from error

    def _set_up(self, process: subprocess.Popen[bytes], keeper: int) -> None:
        """What is done from outside before the keeper runs: its users, and its control group."""
        if os.geteuid() == 0:
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{keeper}/{name}").write_text("0 0 65536\n")
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None  # the user is to be able to open /dev/stdout
                os.fchown(pipe.fileno(), self._plan.image.user, self._plan.image.group)
        self._group.add(keeper)


class _Running:
    """A watcher, its keeper, and the pipe that keeps them alive.

    Raises OSError where the keeper has ended already; then nothing is held.
    """

    def __init__(self, process: subprocess.Popen[bytes], keeper: int, life: int) -> None:
        self.watcher = process
        self._space = Path(f"/proc/{keeper}/ns/pid").stat().st_ino
        self._keeper = os.pidfd_open(keeper)
        try:
            self.pipes = PipedShell(process)
            self._life = os.dup(life)
        except OSError:
            os.close(self._keeper)
            raise

    def processes(self) -> Iterator[tuple[int, int]]:
        """The numbers of each process, outside and inside; what has ended already is left out."""
        for entry in os.scandir("/proc"):
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    if Path(entry.path, "ns/pid").stat().st_ino == self._space:
                        yield int(entry.name), _number_inside(Path(entry.path, "status"))

    def end(self) -> None:
        """Kill the keeper: the kernel then ends all processes of its namespace."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._keeper, signal.SIGKILL)
        _readable(self._keeper, _END_SECONDS)

    def release(self) -> None:
        """End the watcher, and with it the mounts that no other one has entered."""
        os.close(self._keeper)
        os.close(self._life)
        self.watcher.wait()
        self.pipes.close()
        assert self.watcher.stderr is not None
        self.watcher.stderr.close()


def _begun(command: list[str], pipes: Pipes) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [*HEEDING, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=pipes,
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        raise SandboxError(f"the sandbox does not start: {error}") from error


def _last_words(process: subprocess.Popen[bytes]) -> str:
    """What a watcher that ends has said; one that does not end is killed."""
    try:
        _, said = process.communicate(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()  # and bwrap dies with it
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()
        return "it does not end"
    return said.decode("utf-8", "replace").strip()


def _keeper(info: int) -> int:
    """The number of the keeper's process, as bwrap tells it. Raises OSError or ValueError."""
    text = b""
    while b"}" not in text:
        if not _readable(info, _START_SECONDS):
            raise TimeoutError(f"no word of it within {_START_SECONDS:.0f} s")
        data = os.read(info, 4096)
        if not data:
            raise ValueError("it ended at once")
        text += data
    return int(json.loads(text)["child-pid"])


def _readable(descriptor: int, seconds: float) -> bool:
    """Wait for a descriptor; `select` could not take a high number."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _number_inside(status: Path) -> int:
    for line in status.read_text().splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    return 0


@cache
def _swept() -> int:
    """Once in a process: what killed ones have left."""
    return sweep()
