"""A persistent bash over one byte stream; a command needs no process but its own.

Two shells run in the sandbox. The *keeper* (SUPERVISOR, the container's PID 1) restarts the
*worker* whenever it ends, so that `exit`, `exec`, `set -e` or a kill cost one command and not the
sandbox. The worker reads one line per command from the stream and runs it by `eval`, with standard
input from /dev/null. Then it prints the exit code and directory between two copies of a random
token, drawn for each command, so that no output can be mistaken for the report. The report goes to
a private descriptor: a command that closes or redirects its own output cannot silence it. Output is
read as it comes and cut to a bound.

Where the sandbox has several users, the keeper is root, or in bubblewrap another user with root's
capabilities. The worker is the agent, who can neither signal, trace nor limit the keeper. `elevate`
makes root the worker's user. Keeper and worker read the same stream, so a hostile process may see
what is sent, or leave what the keeper then reads. Neither helps it: it never sees the keeper's
token, which arrives before the first worker starts; when the line that elevates is read, the keeper
ends all other processes and answers with its token.
"""

import re
import secrets
import shlex
import time
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from forager.errors import SandboxError
from forager.sandboxes.sandbox import SYSTEM_PATH, CommandResult

# The first argument is the worker's user, by name or as USER:GROUP in numbers, if it is another
# than the keeper's, who has root's capabilities. The first line of input holds the keeper's token
# and two lines: one starts a worker, one makes root its user. What an ended worker left unread is
# skipped until one of them comes. The keeper traps signals instead of ignoring them, as its
# children would inherit that. It ends at the end of its input, or when nobody reads its reports. It
# takes no programs from PATH, where the agent may plant some.
SUPERVISOR = (
    f"forager_path={SYSTEM_PATH}"
    + r"""
forager_say() { printf '%s %d %s%s\n' "$forager_token" "$1" "$2" "$forager_token" || exit 0; }
forager_find() {
  local place
  for place in ${forager_path//:/ }; do
    forager_found=$place/$1
    [[ ! -x $forager_found ]] || return 0
  done
  return 1
}
forager_become() { # user, group, more options of setpriv
  if forager_find setpriv; then
    forager_as=("$forager_found" "--reuid=$1" "--regid=$2" --clear-groups "${@:3}" --)
  elif forager_find python3; then
    forager_as=("$forager_found" -I -S -c "import os, sys
os.setgroups([]); os.setgid($2); os.setuid(0); os.setuid($1) # from root: without capabilities
os.execv(sys.argv[1], sys.argv[1:])")
  else
    forager_say 1 'the image has neither setpriv nor python3'
    exit 0
  fi
}
forager_step_down() {
  local name= user=${1%:*} group=${1#*:}
  if [[ $1 != *:* ]]; then
    while IFS=: read -r name _ user group _ && [[ $name != "$1" ]]; do :; done </etc/passwd
    [[ $name == "$1" ]] || { forager_say 1 "the image has no user '$1'"; exit 0; }
  fi
  forager_become "$user" "$group" --inh-caps=-all --bounding-set=-all
}
forager_elevate() {
  kill -KILL -1 2>/dev/null
  forager_as=()
  ((UID == 0)) || forager_become 0 0 --inh-caps=-all
  export HOME=/root AGENT_PATH=$PATH PATH=$forager_path
  export GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=core.hooksPath GIT_CONFIG_VALUE_0=/dev/null
  export GIT_CONFIG_KEY_1=core.fsmonitor GIT_CONFIG_VALUE_1=false
  printf '[safe]\n\tdirectory = *\n' >/root/.gitconfig  # older versions of git want a file
  forager_say 0 root
}
trap : INT TERM HUP
IFS=' ' read -r forager_token forager_go forager_root || exit 0
forager_as=()
[[ -z $1 ]] || forager_step_down "$1"
while :; do
  while IFS= read -r forager_line || exit 0; do
    case $forager_line in
    "$forager_go") break ;;
    "$forager_root") forager_elevate ;;
    esac
  done
  "${forager_as[@]}" /bin/bash --noprofile --norc
  forager_say "$?" keeper
done
"""
)
_PRIVATE = 19  # a descriptor that no command is likely to use
INTERRUPT_GRACE = 1.0  # seconds between the interrupt and the kill
KILL_GRACE = 5.0  # seconds for the keeper to report after a kill
START_SECONDS = 60.0  # seconds for the worker of a new keeper to answer
_LONGEST_LOOK = 3600.0  # seconds; sockets refuse very long ones
RESTART_SECONDS = 5.0  # seconds for a later one, whose input other processes may take
_ENDED, _PROMOTED = "keeper", "root"  # what the keeper reports
_SYNTAX_ERROR = 2  # bash's exit code for one


class Machine(Protocol):
    """Carries bytes to and from the keeper, and reaches its processes from outside."""

    @property
    def keeper_is_root(self) -> bool:
        """Whether the keeper has root's capabilities, and the worker is another user, the agent."""
        ...

    def send(self, data: bytes) -> None:
        """Send data. Raises SandboxError if the other side is gone."""
        ...

    def receive(self, timeout: float) -> bytes | None:
        """Return output; None if there was none in time. Raises SandboxError at the end."""
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
    """Keeps the first and the last `limit / 2` bytes that are written, and counts the others."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def write(self, data: bytes) -> None:
        """Add bytes; memory stays within twice the limit."""
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
        """The first bytes, the last bytes, and the number of bytes left out in between."""
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
        self._keeper = self._go = self._root = ""
        self._elevated = False
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

    def elevate(self) -> bool:
        """Make root the worker's user; see `Sandbox.elevate`. Raises SandboxError."""
        if self._machine.keeper_is_root and not self._elevated:
            self._elevated = True
            try:
                self._end_worker()
                self._promote()
                self._start_worker()
            except SandboxError:  # the agent left too many processes, or some that took the input
                self._start_anew()
        return self._elevated

    def _end_worker(self) -> None:
        """End the worker, from within if the agent has left it alone. Raises SandboxError."""
        end = self._send("builtin kill -KILL $$", INTERRUPT_GRACE, BoundedOutput(1))
        if end is None or end.token != self._keeper:
            self._scanner = _Scanner((self._keeper,), BoundedOutput(1))
            self._machine.signal("KILL", 0)
            if self._wait(KILL_GRACE) is None:
                raise SandboxError("the shell does not end")

    def _promote(self) -> None:
        """Have a keeper without a worker end all processes and start the next worker as root.

        Raises SandboxError without the keeper's answer: then a process of the agent has read this.
        """
        self._scanner = _Scanner((self._keeper,), BoundedOutput(1))
        self._machine.send(f"{self._root}\n".encode())
        end = self._wait(KILL_GRACE)
        if end is None or end.directory != _PROMOTED:
            raise SandboxError("the shell's user cannot be changed")

    def _call(
        self, command: str, timeout: float, output: BoundedOutput
    ) -> tuple[int | None, str, bool]:
        """Run a command, with its output to `output`; return exit code, directory, state lost."""
        if "\0" in command:
            output.write(b"bash: the command holds a NUL byte\n")
            return 126, "", False
        end = self._send(command, timeout, output)
        if end is not None and end.code == _SYNTAX_ERROR and end.token != self._keeper:
            # After an unbalanced quote in `eval`, bash believes its input has ended, and exits.
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
        """Run a script of forager's own in a subshell; return its exit code and output.

        The agent's errexit, traces and traps do not affect it, and earlier output is left out; the
        output of background processes is not. The `payload` is sent when the script has announced
        the token `ready`; the script must read all of it from standard input. Raises OSError if the
        shell was lost, SandboxError after `timeout`.
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
            # A new worker would run the rest of a payload as commands.
            self._start_anew() if sent or end is None else self._start_worker()
            if end is None:
                raise SandboxError(f"a file was not read or written within {timeout:.0f} s")
            raise OSError(f"the shell had ended; a new one runs in {self._directory}")
        head, tail, _ = output.content()
        return end.code, (head + tail).rpartition(f"{start}\n".encode())[2]

    def _send(self, command: str, timeout: float, output: BoundedOutput) -> "_Report | None":
        """Send a command and read to its end; None after `timeout`."""
        token = secrets.token_hex(16)
        self._scanner = _Scanner((token, self._keeper), output)
        self._machine.send(_line(command, token))
        return self._wait(timeout)

    def _wait(self, timeout: float) -> "_Report | None":
        """Read until the report of the command's end; None after `timeout`."""
        deadline = time.monotonic() + timeout
        while self._scanner.found is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            data = self._machine.receive(min(left, _LONGEST_LOOK))
            if data:
                self._scanner.write(data)
        return self._scanner.found

    def _stop(self) -> tuple[str, bool]:
        """End a command: interrupt it, kill it, or at last restart everything.

        Return the directory and whether the state was lost.
        """
        try:
            self._machine.signal("INT", self._worker)
            end = self._wait(INTERRUPT_GRACE)
            # Background jobs ignore the interrupt; they must not live on either.
            kept = end is not None and end.token != self._keeper
            self._machine.signal("KILL", self._worker if kept else 0)
            end = end or self._wait(KILL_GRACE)
        except SandboxError:
            end = None  # no process can start there: only a restart helps
        if end is None:
            return self._start_anew()
        if end.token != self._keeper:
            # Keep bash's messages about killed jobs out of the next command's output.
            waited = self._send("builtin wait", KILL_GRACE, BoundedOutput(1))
            if waited is None:
                return self._start_anew()
            if waited.token != self._keeper:
                return end.directory, False
        self._start_worker()
        return self._directory, True

    def _start_anew(self) -> tuple[str, bool]:
        """Restart keeper and worker; pass on the output that was held back."""
        self._scanner.flush()
        self._machine.restart()
        self._greet()
        return self._directory, True

    def _greet(self) -> None:
        """Give a new keeper its token and its lines, and wait for its worker."""
        self._keeper, self._go, self._root = (secrets.token_hex(16) for _ in range(3))
        self._machine.send(f"{self._keeper} {self._go} {self._root}\n".encode())
        if self._elevated:
            self._promote()
        if not self._worker_starts(START_SECONDS):
            raise SandboxError("the sandbox's shell does not start")

    def _start_worker(self) -> None:
        """Have the keeper start a worker; start everything anew if processes prevent it."""
        if not self._worker_starts(RESTART_SECONDS):
            self._machine.restart()
            self._greet()

    def _worker_starts(self, seconds: float) -> bool:
        """Have a worker started, set it up, and read its process number."""
        for _ in range(5):  # a process that still runs may kill it again
            token = secrets.token_hex(16)
            place = shlex.quote(self._directory)
            setup = f"exec {_PRIVATE}>&1; cd {place}; printf '%s %d %s%s\\n' {token} $$ x {token}\n"
            self._scanner = _Scanner((token, self._keeper), BoundedOutput(1024))
            self._machine.send(f"{self._go}\n{setup}".encode())
            end = self._wait(seconds)
            if end is None:
                return False
            if end.token == token:
                self._worker = end.code
                return True
            if end.directory != _ENDED:
                raise SandboxError(f"the sandbox's shell does not start: {end.directory}")
        return False


def _line(command: str, token: str) -> bytes:
    """The input line that runs a command and reports its end."""
    quoted = shlex.quote(command)
    return (
        f"{{ builtin eval {quoted}; }} </dev/null >&{_PRIVATE} 2>&1 {_PRIVATE}>&-; "
        f"builtin printf '%s %d %s%s\\n' {token} $? \"$PWD\" {token} >&{_PRIVATE}\n"
    ).encode("utf-8", "surrogateescape")


def announced(token: str) -> str:
    """The command with which a script asks for its payload."""
    return f"builtin printf '%s 0 %s\\n' {token} {token}"


def _own_line(script: str, token: str, start: str, source: str) -> bytes:
    """The input line that runs a script of forager's own. Its output follows a line with `start`.

    The `!` hides its exit code from errexit and the ERR trap; PIPESTATUS still has it.
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


# A report is one line, which bash writes at once; jobs print before or after it. The exit code has
# few digits: a DEBUG trap sees the token, and could print a number that `int` refuses.
_REPORT = re.compile(rb"(\w{32}) (-?\d{1,10}) ")  # the directory follows, and the token again
_REPORT_BYTES = 65536  # longer than any report: a longer text is output


def _places(text: bytearray, part: bytes) -> Iterator[int]:
    """Yield each place where `part` begins."""
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


class _Scanner:
    """Passes output on until a whole report with one of the tokens has come."""

    def __init__(self, tokens: tuple[str, ...], output: BoundedOutput) -> None:
        self._starts = [token.encode() for token in tokens if token]
        self._pending = bytearray()
        self._output = output
        self.found: _Report | None = None

    def write(self, data: bytes) -> None:
        self._pending += data
        begun = sorted(at for start in self._starts for at in _places(self._pending, start))
        ends: dict[bytes, int] = {}
        for at in begun:
            match = _REPORT.match(self._pending, at)
            if match and (end := self._end(match[1], match.end(), ends)) >= 0:
                self._output.write(bytes(self._pending[:at]))
                directory = self._pending[match.end() : end].decode("utf-8", "surrogateescape")
                self.found = _Report(match[1].decode(), int(match[2]), directory)
                self._pending.clear()
                return
        # Hold back what may be the beginning of a report: a part of a token.
        oldest = len(self._pending) - _REPORT_BYTES
        safe = next((at for at in begun if at > oldest), max(0, len(self._pending) - 31))
        self._output.write(bytes(self._pending[:safe]))
        del self._pending[:safe]

    def _end(self, token: bytes, start: int, ends: dict[bytes, int]) -> int:
        """Where the report's second token begins, or -1; `ends` remembers where it was found.

        A command that repeats its token, which a DEBUG trap can see, costs linear time.
        """
        if 0 <= ends.get(token, 0) < start:
            ends[token] = self._pending.find(token + b"\n", start)
        return ends[token]

    def flush(self) -> None:
        """Pass on what was held back; no report will come."""
        self._output.write(bytes(self._pending))
        self._pending.clear()
