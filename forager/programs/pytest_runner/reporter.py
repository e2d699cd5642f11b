"""The reporter: starts the runs, checks what they report, and passes it on."""

from __future__ import annotations

import os
import pwd
import select
import sys

from .lines import read, written
from .originals import Data, Originals
from .server import SERVE, serve, undumpable

TYPE_CHECKING = False  # each import costs a graded attempt milliseconds
if TYPE_CHECKING:
    from typing import Any, NoReturn

_LINE, _BYTES, _RECORDS = 120_000, 16 << 20, 190_000  # most of one run's reports
_BYTES_MORE, _BYTES_EACH = 2 << 20, 6000  # of a run whose tests are known
_TOUCHED = 100  # most changed files of data that are reported
_ENOUGH, _DELAY = 16384, 0.2  # bytes and seconds before reports are passed on
_SIGKILL = 9  # `signal` imports `enum`
_TEXTS = {"id": str, "outcome": str, "failure": str, "error": str, "text": str, "canary": str,
          "rewritten": str, "file": str, "begins": str}  # fmt: skip
_OTHERS = {"seconds": (int, float), "collected": int, "canaries": int, "end": int, "frames": list,
           "tests": int, "functions": int}  # fmt: skip
_KINDS: dict[str, Any] = {**_TEXTS, **_OTHERS}


class Stream:
    """Standard output of the reporter: lines of the request's nonce and a JSON object."""

    def __init__(self, nonce: str) -> None:
        self._nonce = f"{nonce} ".encode()
        self._unsent = bytearray()

    def send(self, record: dict[str, Any]) -> None:
        """Report; several lines go together, as each write wakes all that pass it on."""
        self._unsent += self._nonce + written(record)
        if len(self._unsent) > _ENOUGH:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        while self._unsent:
            del self._unsent[: os.write(3, self._unsent)]


class ReportedRun:
    """One run of tests: its reports as they come, until the server says that it has ended."""

    def __init__(self, reports: int, answers: int, stream: Stream, prefix: str, tests: int) -> None:
        self._most = _BYTES if not tests else min(_BYTES, _BYTES_MORE + _BYTES_EACH * tests)
        self._reports, self._answers, self._stream = reports, answers, stream
        self._prefix = prefix
        self._rest = bytearray()
        self._bytes = self._records = 0
        self.outcomes: dict[str, str] = {}
        self.ended = False
        self.signal = 0
        """The signal that killed the run."""
        self.problem = ""

    def follow(self) -> None:
        """Pass on reports until the run ends."""
        poll = select.poll()
        poll.register(self._reports, select.POLLIN)
        poll.register(self._answers, select.POLLIN)
        while not self.problem:
            events = poll.poll(_DELAY * 1000)
            ready = {descriptor for descriptor, _ in events}
            if self._reports in ready and not self._read():
                poll.unregister(self._reports)
            elif self._answers in ready:
                answer = os.read(self._answers, 64)
                while not self.problem and self._waiting() and self._read():
                    continue
                self.ended = self.ended and answer == b"0\n"
                status = int(answer) if answer.strip().isdigit() else 0
                self.signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
                break
            elif not events:
                self._stream.flush()

    def _waiting(self) -> bool:
        return bool(select.select([self._reports], [], [], 0)[0])

    def _read(self) -> bool:
        """Take what has come; False at the end of the stream."""
        data = os.read(self._reports, 65536)
        self._bytes += len(data)
        self._rest += data
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            self._take(bytes(line))
        if self._bytes > self._most or self._records > _RECORDS or len(self._rest) > _LINE:
            self.problem = "the tests flood the stream of reports"
        return bool(data)

    def _take(self, line: bytes) -> None:
        """Pass on a report that is well formed; the runs send no other."""
        self._records += 1
        record = checked(line)
        if record is None:
            self.problem = "the tests wrote to the stream of reports"
            return
        if "outcome" in record and self.outcomes.get(record["id"], "passed") == "passed":
            self.outcomes[record["id"]] = record["outcome"]  # a second report mends nothing
        if "end" in record:
            self.ended = True
        elif not self._prefix:
            self._stream.send(record)
        elif "outcome" in record:
            self._stream.send({self._prefix: record["id"], "outcome": record["outcome"]})


def checked(line: bytes) -> dict[str, Any] | None:
    """The record of a line, or None if it is none."""
    try:
        record = read(line) if len(line) <= _LINE else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not record:
        return None
    known = all(isinstance(value, _KINDS.get(name, ())) for name, value in record.items())
    paired = ("outcome" in record) == ("id" in record)
    return record if known and paired else None


class Server:
    """The server's process and the pipes to and from it; each run has a pipe of its own."""

    def __init__(self, user: str, runs: int) -> None:
        questions, self._questions = os.pipe()
        self._answers, answers = os.pipe()
        pipes = [os.pipe() for _ in range(runs)]
        self._reports = [read for read, _ in pipes]
        theirs = [questions, answers, *(write for _, write in pipes)]
        self.user = user
        self.process = os.fork()
        if not self.process:
            self._become(theirs)
        for descriptor in theirs:
            os.close(descriptor)

    def _become(self, theirs: list[int]) -> NoReturn:
        for descriptor in (self._questions, self._answers, *self._reports, 3):
            os.close(descriptor)
        if not self.user:
            serve(theirs)
        person = pwd.getpwnam(self.user)
        os.setgroups([person.pw_gid])
        os.setgid(person.pw_gid)
        os.setuid(person.pw_uid)
        for descriptor in theirs:
            os.set_inheritable(descriptor, True)
        variables = {**os.environ, "HOME": person.pw_dir}
        variables["PATH"] = variables.pop("AGENT_PATH", variables.get("PATH", os.defpath))
        numbers = map(str, theirs)
        words = [sys.executable, sys.argv[0], SERVE, *numbers]
        os.execve(sys.executable, words, variables)  # nosec B606  # needs no shell

    def run(self, request: dict[str, Any], stream: Stream, prefix: str = "") -> ReportedRun:
        """Run tests and pass on what they report."""
        os.write(self._questions, written(request))
        known = len(request["tests"] or ())
        run = ReportedRun(self._reports.pop(0), self._answers, stream, prefix, known)
        run.follow()
        self.sweep()
        return run

    def sweep(self) -> None:
        """Kill what a run left, if the user is its own: it could spoil the next run."""
        if self.user:
            number = pwd.getpwnam(self.user).pw_uid
            for entry in os.scandir("/proc"):
                if entry.name.isdigit() and entry.name != str(self.process):
                    _kill(entry, number)


def _kill(entry: os.DirEntry[str], user: int) -> None:
    """Kill a process by its entry in /proc, if it is this user's and still there."""
    try:
        if entry.stat().st_uid == user:
            os.kill(int(entry.name), _SIGKILL)
    except OSError:
        pass


def report() -> NoReturn:
    """Read the request, run the tests, report, and end without waiting for what is left."""
    request = read(sys.stdin.readline())
    stream = Stream(request.pop("nonce"))
    guard = request.pop("guard", None)
    if not guard:
        os.set_inheritable(3, False)
        run = Server("", 1).run(request, stream)
        if run.signal:
            stream.send({"signal": run.signal})
        _end(stream, run.ended, run.problem)
    if os.geteuid():
        undumpable()
    originals = Originals(guard["paths"])
    originals.protect()
    data = Data()
    server = Server(guard["user"], 2)
    request.update(guarded=True, left_out=guard["left_out"])
    run = server.run(request, stream)
    problem = run.problem or originals.problem()
    for path in data.changed()[:_TOUCHED]:
        stream.send({"touched": path})
    wanted = request["tests"] or []
    if (
        guard["sensitive"]
        and not problem
        and all(run.outcomes.get(test) == "passed" for test in wanted)
    ):
        originals.replace(guard["changed"])
        again = {**request, "tests": guard["sensitive"], "changed": True, "failures": 0}
        problem = server.run(again, stream, "changed").problem
    _end(stream, run.ended, problem)


def _end(stream: Stream, ended: bool, problem: str) -> NoReturn:
    if problem:
        stream.send({"distrusted": problem})
    if ended:
        stream.send({"end": 0})
    stream.flush()
    os._exit(0)
