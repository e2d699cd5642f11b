"""A sandbox without a daemon: namespaces by bubblewrap over the unpacked layers of an image.

A *watcher* (bash) mounts, in a mount namespace of its own, an overlay of the image's layers whose
upper layer is a tmpfs of bounded size. It starts bwrap and waits on a pipe that this process holds.
When the pipe closes, also because this process was killed, the watcher kills bwrap, and the kernel
kills the rest. bwrap makes the namespaces; the keeper is PID 1 in them. Mounts and files exist only
in that mount namespace, so nothing is left when the processes are gone. As root, files keep the
image's owners, and commands run as its user 'agent'. Any other user needs no privilege; then the
agent owns all files of its copy.

What it contains: the same as the Docker sandbox, and the total size of files. Control groups bound
memory, processes and processors of the whole sandbox if this user may make them (`forager doctor`
says so); otherwise memory is bounded for each process, the number of processes is bounded, and
processors are not. Written files count as memory. What it does not contain: a bug in the kernel.
It offers no network.
"""

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from forager.errors import SandboxError, SandboxLost
from forager.sandboxes import seccomp
from forager.sandboxes.bubblewrap import Pipes, SandboxSpec, watcher
from forager.sandboxes.cgroups import ControlGroup, sweep
from forager.sandboxes.pipes import HEEDING, PipedShell
from forager.sandboxes.sandbox import USER, WORKDIR, Limits
from forager.sandboxes.shell_sandbox import ShellSandbox
from forager.sandboxes.unpacked import UnpackedImage, unpacked

_START_SECONDS = 60.0
_END_SECONDS = 10.0
_GONE_SECONDS = 2.0  # for a keeper whose stream has ended
_PASSES = 50  # over the processes, until all are signalled


def bubblewrap_sandbox(
    image: str,
    *,
    limits: Limits | None = None,
    environment: Mapping[str, str] = {},
    files: Sequence[str] = (),
) -> ShellSandbox:
    """Start a sandbox of `image`, which is unpacked first if necessary, with directories `files`.

    Raises SandboxError when it cannot be started.
    """
    machine = _Namespaces(unpacked(image), limits or Limits(), environment, files)
    return ShellSandbox(machine, WORKDIR)


class _Namespaces:
    """The processes in their namespaces and the stream to the keeper; implements Machine."""

    def __init__(
        self,
        image: UnpackedImage,
        limits: Limits,
        environment: Mapping[str, str],
        files: Sequence[str],
    ) -> None:
        if limits.network:
            raise SandboxError("a bubblewrap sandbox has no network; use --sandbox docker")
        _swept()
        try:
            self._group = ControlGroup(limits)
        except OSError as error:
            raise SandboxError(f"cannot make a control group: {error}") from error
        home = {"HOME": f"/home/{USER}", "PAGER": "cat", "GIT_PAGER": "cat"}
        variables = {**image.environment, **home, **environment}
        bounds = self._group.bounds
        self._plan = SandboxSpec(image, limits, variables, bounds, _new_owner(), tuple(files))
        self._running: _Running | None = None
        self._closed = False
        self._changing = threading.Lock()  # any thread may close the sandbox, also a second time
        try:
            self._running = self._started(None)
        except BaseException:
            self._group.remove()
            raise

    @property
    def keeper_is_root(self) -> bool:
        """Whether forager is root here: an ordinary user can map only itself."""
        return os.geteuid() == 0

    def send(self, data: bytes) -> None:
        """Send data to the keeper's standard input."""
        try:
            self._live().pipes.send(data)
        except SandboxError as error:
            raise self._ended(str(error)) from error

    def receive(self, timeout: float) -> bytes | None:
        """Return output of the keeper; None if there was none in time."""
        try:
            return self._live().pipes.receive(timeout)
        except SandboxError as error:
            raise self._ended(str(error)) from error

    def signal(self, name: str, spare: int) -> None:
        """Signal all processes but the keeper and `spare`; a KILL until all are gone."""
        number = signal.Signals[f"SIG{name}"]
        for _ in range(_PASSES if number == signal.SIGKILL else 1):
            numbers = self._live().processes()
            processes = [process for process, inside in numbers if inside not in (1, spare)]
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
            if not processes:
                return

    def restart(self) -> None:
        """End all processes and start a new keeper on the same files."""
        before = self._taken()
        if before is None:
            raise SandboxLost("the sandbox is closed")
        try:
            before.end()
            self._keep(self._started(before.watcher.pid))
        finally:
            before.release()

    def _taken(self) -> "_Running | None":
        """What runs, for one caller alone."""
        with self._changing:
            running, self._running = self._running, None
        return running

    def _keep(self, running: "_Running") -> None:
        """Keep what was started, unless the sandbox was closed meanwhile."""
        with self._changing:
            if not self._closed:
                self._running = running
                return
        running.end()
        running.release()
        raise SandboxLost("the sandbox is closed")

    def close(self) -> None:
        """End all processes; the files vanish with them."""
        self._closed = True
        running = self._taken()
        if running is not None:
            running.end()
            running.release()
        self._group.remove()

    def _live(self) -> "_Running":
        running = self._running
        if running is None:
            raise SandboxLost("the sandbox is closed")
        return running

    def _ended(self, text: str) -> SandboxError:
        """The error of a stream that has ended: SandboxLost, unless the agent may have done it.

        The agent cannot kill the keeper if that is root. It can use up the memory.
        """
        running = self._running
        if running is None:
            return SandboxLost(text)
        if not self.keeper_is_root or not running.has_ended():
            return SandboxError(text)
        if self._group.ran_out_of_memory:
            return SandboxError(f"{text}: the memory was used up")
        return SandboxLost(f"{text}: it was killed from outside")

    def _started(self, before: int | None) -> "_Running":
        """Start watcher, bwrap and keeper, on the mounts of the watcher `before` if given."""
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
        """Map the users and set the control group of a keeper that waits to run."""
        if self.keeper_is_root:
            owner = self._plan.owner
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{keeper}/{name}").write_text(f"0 0 65536\n{owner} {owner} 1\n")
            assert process.stdout is not None
            os.fchmod(process.stdout.fileno(), 0o622)  # nosec B103  # the agent may write to /dev/stdout
        self._group.add(keeper)


def _new_owner() -> int:
    """A user number of a sandbox's own, in a range that nothing else uses.

    It owns the sandbox's namespaces, so that the kernel counts inotify instances and watches,
    message queues and pending signals for each sandbox and not for all of the machine's together.
    See systemd's "Users, Groups, UIDs and GIDs" for the range.
    """
    return 0x7000_0000 + secrets.randbelow(0x0FFF_FFFF)


class _Running:
    """A watcher, its keeper, and the pipe that keeps them alive.

    Raises OSError if the keeper has already ended; then no descriptor stays open.
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
        """Yield the number of each process outside, and inside the sandbox."""
        for entry in os.scandir("/proc"):
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    if Path(entry.path, "ns/pid").stat().st_ino == self._space:
                        yield int(entry.name), _number_inside(Path(entry.path, "status"))

    def has_ended(self) -> bool:
        """Whether the keeper has ended, or does so within a moment."""
        return _readable(self._keeper, _GONE_SECONDS)

    def end(self) -> None:
        """Kill the keeper; the kernel then ends all processes of its namespace."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._keeper, signal.SIGKILL)
        _readable(self._keeper, _END_SECONDS)

    def release(self) -> None:
        """End the watcher, and with it the mounts that no other watcher has entered."""
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
    """What a watcher printed before it ended; one that does not end is killed."""
    try:
        _, said = process.communicate(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()  # and bwrap dies with it
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()
        return "the watcher does not end"
    return said.decode("utf-8", "replace").strip()


def _keeper(info: int) -> int:
    """Read the keeper's process number from bwrap. Raises OSError or ValueError."""
    text = b""
    while b"}" not in text:
        if not _readable(info, _START_SECONDS):
            raise TimeoutError(f"no answer within {_START_SECONDS:.0f} s")
        data = os.read(info, 4096)
        if not data:
            raise ValueError("bwrap ended at once")
        text += data
    return int(json.loads(text)["child-pid"])


def _readable(descriptor: int, seconds: float) -> bool:
    """Wait for a descriptor; `select` takes no descriptor above 1023."""
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
    """Remove what killed processes left, once in each process."""
    return sweep()
