"""Runs the programs of a job and reports each case.

The job is JSON on standard input:
    nonce     the beginning of each line of a report
    request   the path of a file with the programs, which is removed
    root      whether this process is root in a sandbox of its own
The file is JSON, too: a list of objects with
    language, preamble, text    of the program
    libraries                   to link with, in C++
    seconds, memory             limits of a case; bytes
    compile_seconds
    stop                        whether cases after one that did not end well are left out
    cases                       a list of objects with
        kind        stdin, call, halting (a call that may never end) or tests
        stdin       what it reads
        files       texts by name, written to the case's directory
        arguments   of the program, a list; of a call, as Python writes them
        function    to call, such as `f` or `Solution().f`; for tests the candidate
        tests       path of a file with test code
        output      bytes that it may print
A report has the numbers of program and case, and what happened; see `CaseReport` in
`forager/environments/function/running.py`.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import importlib
import json
import os
import shutil
import socket
import sys
import tempfile
import time
import zlib
from typing import TYPE_CHECKING, Any

from .children import CaseBounds, CaseEnd, CaseProcess, Streams, in_child, start
from .compiling import compile_cpp, run_binary
from .halting import watch_call
from .python import CompiledProgram, call_function, compiled, run_script, serve_functions
from .testing import run_tests
from .users import Users, adopt_orphans

if TYPE_CHECKING:
    from collections.abc import Callable

_REPORTS = 3
_READY = (
    *("bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq"),
    *("io", "itertools", "math", "operator", "re", "statistics", "string", "typing"),
)
"""What programs import; it is there when they are forked."""
_ERROR = 600  # characters


class Runner:
    """Runs one program, in a process that nothing of the program runs in."""

    def __init__(self, job: dict[str, Any], users: Users, directory: str) -> None:
        self._job, self._users, self._directory = job, users, directory
        self._bounds = CaseBounds(job["seconds"], job["memory"], 0)
        self._program: CompiledProgram | str = ""
        self._binary = ""

    def prepare(self) -> str:
        """Compile the program; why that fails, or an empty text."""
        job = self._job
        if job["language"] == "cpp":
            self._binary = f"{self._directory}/program-{os.getpid()}"
            text = "{}\n{}".format(job["preamble"], job["text"])
            return compile_cpp(
                text, job["libraries"], self._binary, self._users, job["compile_seconds"]
            )
        self._program = compiled(job["preamble"], job["text"])
        return self._program if isinstance(self._program, str) else ""

    def run(self, case: dict[str, Any]) -> dict[str, Any]:
        """Run a case and describe what happened."""
        place = self._users.place()
        bounds = self._bounds._replace(output=case["output"])
        try:
            if case["kind"] == "tests":
                return self._tested(case, bounds)
            stdin = _file(case.get("stdin", ""))
            streams = Streams(stdin=stdin, answers=case["kind"] in ("call", "halting"))
            files = {f"{place.path}/{name}": text for name, text in case["files"].items()}
            end = in_child(
                self._work(case), bounds, place, streams, first=lambda: _write(files, place.user)
            )
            os.close(stdin)
            return described(end)
        finally:
            self._users.clear(place)

    def _work(self, case: dict[str, Any]) -> Callable[[], int]:
        if self._binary:
            return run_binary(self._binary, case["arguments"])
        assert isinstance(self._program, CompiledProgram)
        if case["kind"] == "call":
            return call_function(self._program, case["function"], case["arguments"])
        if case["kind"] == "halting":
            text = self._job["text"]
            return watch_call(self._program, text, case["function"], case["arguments"])
        return run_script(self._program, case["arguments"])

    def _tested(self, case: dict[str, Any], bounds: CaseBounds) -> dict[str, Any]:
        """Run test code in one child against the program in another."""
        assert isinstance(self._program, CompiledProgram)
        ours, theirs = socket.socketpair()
        home, away = self._users.place(), self._users.place()
        text: list[str] = []

        def first() -> None:
            with open(case["tests"], encoding="utf-8") as file:
                text.append(file.read())

        job = {"preamble": self._job["preamble"], "entry": case["function"]}
        try:
            kept = Streams(kept=theirs.fileno(), answers=True)
            program = start(serve_functions(self._program), bounds, away, kept)
            theirs.close()
            streams = Streams(kept=ours.fileno(), answers=True)
            said = bytearray()
            end = in_child(
                run_tests(job, lambda: text[0]),
                bounds,
                home,
                streams,
                first=first,
                others={program: said},
            )
            ours.close()
            last = _last_words(program, bytes(said))
            report = described(end)
            return {**report, **last} if b'"ended"' in end.output else report
        finally:
            self._users.clear(home)
            self._users.clear(away)


def _last_words(process: CaseProcess, said: bytes) -> dict[str, Any]:
    """How a program ended that did not answer its tester; it is killed if it has not.

    `said` is the end of what it wrote to stderr while the tester ran.
    """
    for _ in range(50):
        number, status = os.waitpid(process.number, os.WNOHANG)
        if number:
            break
        time.sleep(0.002)
    else:
        os.kill(process.number, 9)
        _, status = os.waitpid(process.number, 0)
    with contextlib.suppress(BlockingIOError):
        said += os.read(process.said, 1 << 16)
    for descriptor in (process.output, process.said):
        os.close(descriptor)
    text = said[-_ERROR:]
    code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    how = "time" if code == -24 else "memory" if code == -9 or b"MemoryError" in text else "ended"
    return {"how": how, "code": code or 1, "error": text.decode("utf-8", "replace")}


def _file(text: str) -> int:
    """A descriptor from which the text can be read."""
    descriptor = os.memfd_create("stdin")
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(descriptor, data) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _write(files: dict[str, str], user: int | None) -> None:
    for path, text in files.items():
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        if user is not None:
            os.chown(path, user, user)


def described(end: CaseEnd) -> dict[str, Any]:
    """The end of a case as JSON; the output is packed, because it may hold any bytes."""
    packed = base64.b64encode(zlib.compress(end.output, 1)).decode()
    return {
        "how": end.how,
        "code": end.code,
        "cpu": end.cpu,
        "seconds": end.seconds,
        "memory": end.memory,
        "output": packed,
        "error": end.said.decode("utf-8", "replace")[-_ERROR:],
    }


def run_program(
    job: dict[str, Any], users: Users, directory: str, tell: Callable[..., None]
) -> None:
    """Run the cases of one program, and tell each."""
    runner = Runner(job, users, directory)
    problem = runner.prepare()
    if problem:
        tell(case=-1, how="compile", error=problem[:_ERROR])
        return
    for number, case in enumerate(job["cases"]):
        found = runner.run(case)
        tell(case=number, **found)
        if job["stop"] and (found["how"] != "ended" or found["code"]):
            return


def main() -> None:
    """Run all programs, each in a process of its own."""
    job = json.load(sys.stdin)
    with open(job["request"], encoding="utf-8") as file:
        programs = json.load(file)
    os.unlink(job["request"])
    for name in _READY:
        importlib.import_module(name)
    adopt_orphans()
    os.set_inheritable(_REPORTS, False)
    nonce = job["nonce"]
    directory = tempfile.mkdtemp(prefix="forager-cases-")
    users = Users(directory, root=job["root"])
    gc.freeze()
    for number, program in enumerate(programs):

        def tell(number: int = number, **report: Any) -> None:
            line = "{} {}\n".format(nonce, json.dumps({"program": number, **report}))
            data = line.encode()
            while data:
                data = data[os.write(_REPORTS, data) :]

        child = os.fork()
        if not child:
            try:
                adopt_orphans()
                run_program(program, users, directory, tell)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            tell(case=-1, how="compile", error="the program cannot be compiled")
    shutil.rmtree(directory, ignore_errors=True)
