"""A persistent bash over one byte stream: no process per command but the command's own.

Two shells stand in the sandbox. The *keeper* (SUPERVISOR, the container's PID 1) starts the
*worker* again whenever it ends, so that `exit`, `exec`, `set -e` or a kill cost one command and
not the sandbox. The worker reads one line per command from the stream and runs it by `eval`, with
its standard input from /dev/null, and then prints the exit code and directory between two copies
of a token that is drawn anew for each command, so that no output can be mistaken for it. The
descriptor that this goes to is private: a command that closes or redirects its own cannot silence
it. What the commands print is read as it comes and kept to a bound.
"""

import re
import secrets
import shlex
import time
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from forager.errors import SandboxError
from forager.sandboxes.sandbox import CommandResult

# The first line of input is the keeper's own token. It traps signals rather than ignoring them,
# because its children would inherit that. It ends when nobody reads its reports any more, or when
# workers end at once again and again: forager is gone, and there is no input any more.
SUPERVISOR = r"""
trap : INT TERM HUP
IFS= read -r forager_token || exit
forager_short=0
while ((forager_short < 500)); do
  forager_begun=$SECONDS
  FORAGER_TOKEN= bash --noprofile --norc
  printf '%s %d keeper%s\n' "$forager_token" "$?" "$forager_token" || exit
  ((SECONDS - forager_begun > 1)) && forager_short=0
  ((++forager_short))
done
"""
_PRIVATE = 19  # a descriptor that no command is likely to use
INTERRUPT_GRACE = 1.0  # seconds between the interrupt and the kill
KILL_GRACE = 5.0  # seconds for the keeper to report after a kill
START_SECONDS = 60.0  # seconds for a new worker to answer
_SYNTAX_ERROR = 2  # bash's exit code for one


class Machine(Protocol):
    """Carries bytes to and from the keeper, and reaches its processes from outside."""

    def send(self, data: bytes) -> None:
        """Send all of it; raises SandboxError when the other side is gone."""
        ...

    def receive(self, timeout: float) -> bytes | None:
        """Return what has come, None when nothing came in time; raises SandboxError at the end."""
        ...

    def signal(self, name: str, spare: int) -> None:
        """Send INT or KILL to all processes but the keeper and the one numbered `spare`."""
        ...

    def restart(self) -> None:
        """Last resort: kill everything and start a new keeper on the same files."""
        ...

    def close(self) -> None:
        """Kill everything, for good. Safe to call twice; raises nothing."""
        ...


class BoundedOutput:
    """Keeps the first and the last half of what is written to it, and counts the rest."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def write(self, data: bytes) -> None:
        """Take more bytes; memory stays within twice the limit."""
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._half:
            self._drop()

    def _drop(self) -> None:
        extra = len(self._tail) - self._half
        if extra > 0:
            del self._tail[:extra]
            self._dropped += extra

    def content(self) -> tuple[bytes, bytes, int]:
        """The first half, the last half, and the number of bytes left out between them."""
        self._drop()
        return bytes(self._head), bytes(self._tail), self._dropped


def _text(head: bytes, tail: bytes, dropped: int) -> str:
    if not dropped:
        return (head + tail).decode("utf-8", "replace")
    return (
        head.decode("utf-8", "replace")
        + f"\n[… {dropped} bytes left out …]\n"
        + tail.decode("utf-8", "replace")
    )


class Shell:
    """One persistent shell on a machine; `directory` is where each new worker starts."""

    def __init__(self, machine: Machine, directory: str) -> None:
        self._machine = machine
        self._directory = directory
        self._keeper = ""
        self._worker = 0
        self._scanner = _Scanner((), BoundedOutput(1))
        self._greet()

    def run(self, command: str, timeout: float, limit: int) -> CommandResult:
        """Run a command; `timeout` in seconds, `limit` in bytes. Raises SandboxError."""
        started = time.monotonic()
        output = BoundedOutput(limit)
        code, directory, lost = self._call(command, timeout, output)
        head, tail, dropped = output.content()
        return CommandResult(
            output=_text(head, tail, dropped),
            exit_code=code,
            seconds=time.monotonic() - started,
            omitted=dropped,
            directory=directory,
            state_lost=lost,
        )

    def _call(
        self, command: str, timeout: float, output: BoundedOutput
    ) -> tuple[int | None, str, bool]:
        """Run a command, its bytes into `output`; return exit code, directory, and state lost."""
        if "\0" in command:
            output.write(b"bash: the command holds a NUL byte\n")
            return 126, "", False
        end = self._send(command, timeout, output)
        if end is not None and end.code == _SYNTAX_ERROR and end.token != self._keeper:
            # After an unbalanced quote in `eval` bash takes its input for ended, and exits.
            after = self._send(":", KILL_GRACE, BoundedOutput(1))
            if after is None or after.token == self._keeper:
                end = _Report(self._keeper, _SYNTAX_ERROR, "")
        if end is None:
            return None, *self._stop()
        if end.token == self._keeper:
            self._start_worker()
            return end.code, self._directory, True
        return end.code, end.directory, False

    def transfer(
        self, script: str, timeout: float, limit: int, payload: bytes = b"", ready: str = ""
    ) -> tuple[int, bytes]:
        """Run a script of forager's own in a subshell; return its exit code and what it said.

        What the agent has set (errexit, traces, traps) does not count in it, and what was said
        before it is left out; what other processes say meanwhile is not. The `payload` is sent when
        the script has announced the token `ready`, and must then be read to its end from the
        standard input. Raises OSError where the shell was lost, SandboxError after `timeout`.
        """
        token, start = secrets.token_hex(16), secrets.token_hex(16)
        output = BoundedOutput(limit)
        self._scanner = _Scanner((token, ready, self._keeper), output)
        self._machine.send(_own_line(script, token, start, "" if ready else "</dev/null"))
        end = self._wait(timeout)
        if sent := end is not None and end.token == ready:
            self._scanner = _Scanner((token, self._keeper), output)
            self._machine.send(payload)
            end = self._wait(timeout)
        if end is None or end.token == self._keeper:
            # What is left of a payload would be taken for commands by a new worker.
            self._start_anew() if sent or end is None else self._start_worker()
            if end is None:
                raise SandboxError(f"a file was not read or written within {timeout:.0f} s")
            raise OSError(f"the shell had ended; it was started anew in {self._directory}")
        head, tail, _ = output.content()
        return end.code, (head + tail).rpartition(f"{start}\n".encode())[2]

    def _send(self, command: str, timeout: float, output: BoundedOutput) -> "_Report | None":
        """Send a command and read to its end; None when the time is over first."""
        token = secrets.token_hex(16)
        self._scanner = _Scanner((token, self._keeper), output)
        self._machine.send(_line(command, token))
        return self._wait(timeout)

    def _wait(self, timeout: float) -> "_Report | None":
        """Read until the report of the command's end; None when the time is over first."""
        deadline = time.monotonic() + timeout
        while self._scanner.found is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            data = self._machine.receive(left)
            if data:
                self._scanner.write(data)
        return self._scanner.found

    def _stop(self) -> tuple[str, bool]:
        """End a command that does not end: interrupt, kill, and at last start all anew.

        Return the directory and whether the state was lost.
        """
        try:
            self._machine.signal("INT", self._worker)
            end = self._wait(INTERRUPT_GRACE)
            # Jobs in the background do not take the interrupt; they must not live on either.
            kept = end is not None and end.token != self._keeper
            self._machine.signal("KILL", self._worker if kept else 0)
            end = end or self._wait(KILL_GRACE)
        except SandboxError:
            end = None  # no process can be started in there: only a restart helps
        if end is None:
            return self._start_anew()
        if end.token != self._keeper:
            # What bash says of killed jobs is not to stand in the next command's output.
            waited = self._send("builtin wait", KILL_GRACE, BoundedOutput(1))
            if waited is None:
                return self._start_anew()
            if waited.token != self._keeper:
                return end.directory, False
        self._start_worker()
        return self._directory, True

    def _start_anew(self) -> tuple[str, bool]:
        """Start keeper and worker again; what was held back of the output is passed on."""
        self._scanner.flush()
        self._machine.restart()
        self._greet()
        return self._directory, True

    def _greet(self) -> None:
        """Give a new keeper its token and wait for its worker."""
        self._keeper = secrets.token_hex(16)
        self._machine.send(self._keeper.encode() + b"\n")
        self._start_worker()

    def _start_worker(self) -> None:
        """Set up a worker that has just started, and learn its number."""
        for _ in range(5):  # what still runs may kill it again
            token = secrets.token_hex(16)
            place = shlex.quote(self._directory)
            setup = f"exec {_PRIVATE}>&1; cd {place}; printf '%s %d %s%s\\n' {token} $$ x {token}\n"
            self._scanner = _Scanner((token, self._keeper), BoundedOutput(1024))
            self._machine.send(setup.encode())
            end = self._wait(START_SECONDS)
            if end is None:
                break
            if end.token == token:
                self._worker = end.code
                return
        raise SandboxError("the sandbox's shell does not start")


def _line(command: str, token: str) -> bytes:
    """The input line that runs a command and reports its end."""
    quoted = shlex.quote(command)
    return (
        f"{{ builtin eval {quoted}; }} </dev/null >&{_PRIVATE} 2>&1 {_PRIVATE}>&-; "
        f"builtin printf '%s %d %s%s\\n' {token} $? \"$PWD\" {token} >&{_PRIVATE}\n"
    ).encode("utf-8", "surrogateescape")


def announced(token: str) -> str:
    """The command by which a script asks for its payload."""
    return f"builtin printf '%s 0 %s\\n' {token} {token}"


def _own_line(script: str, token: str, start: str, source: str) -> bytes:
    """The same for a script of forager's own. What it says follows a line with `start`.

    The `!` keeps its exit code from errexit and the ERR trap; PIPESTATUS has it all the same.
    """
    return (
        f"! ( builtin trap - DEBUG; builtin set +eCx; builtin printf '%s\\n' {start}; "
        f"{script} ) {source} >&{_PRIVATE} 2>/dev/null {_PRIVATE}>&-; "
        f"builtin printf '%s %d %s\\n' {token} ${{PIPESTATUS[0]}} {token} >&{_PRIVATE}\n"
    ).encode("utf-8", "surrogateescape")


class _Report(NamedTuple):
    """What the shell reports at the end of a command, or the keeper at the end of a worker."""

    token: str
    code: int
    directory: str


# A report is one line: bash writes each by itself, and what jobs print comes between them. The exit
# code is bounded: a DEBUG trap sees the token, and could print one that `int` refuses.
_REPORT = re.compile(rb"(\w{32}) (-?\d{1,10}) (.*?)\1\n", re.DOTALL)
_REPORT_BYTES = 65536  # more than any: what is not whole by then is none


def _places(text: bytearray, part: bytes) -> Iterator[int]:
    """Where a part of a text begins, each time."""
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


class _Scanner:
    """Passes output on until a report with one of the tokens has come in whole."""

    def __init__(self, tokens: tuple[str, ...], output: BoundedOutput) -> None:
        self._starts = [token.encode() for token in tokens if token]
        self._pending = bytearray()
        self._output = output
        self.found: _Report | None = None

    def write(self, data: bytes) -> None:
        self._pending += data
        begun = sorted(at for start in self._starts for at in _places(self._pending, start))
        for at in begun:
            if match := _REPORT.match(self._pending, at):
                self._output.write(bytes(self._pending[:at]))
                token, code, directory = match.groups()
                self.found = _Report(
                    token.decode(), int(code), directory.decode("utf-8", "surrogateescape")
                )
                self._pending.clear()
                return
        # Hold back what may be the beginning of a report: a token, as far as it has come.
        oldest = len(self._pending) - _REPORT_BYTES
        safe = next((at for at in begun if at > oldest), max(0, len(self._pending) - 31))
        self._output.write(bytes(self._pending[:safe]))
        del self._pending[:safe]

    def flush(self) -> None:
        """Pass on what was held back; no report will come."""
        self._output.write(bytes(self._pending))
        self._pending.clear()
