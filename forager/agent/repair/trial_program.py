"""Runs in the sandbox: tries many edits of one file, each in a process of its own.

One process loads pytest and the libraries once and is forked for each edit, which costs a
fraction of a new interpreter. The file is as it was when this ends, interrupted or not. The job
comes as JSON on standard input:
    file      the path of the file
    tests     pytest arguments: the tests that fail
    wider     pytest arguments: the tests that must not break
    known     tests among the wider ones that fail whatever is done
    seconds   what all of this may take
    edits     [first line, last line, new lines] each, counted from 1; an insertion before line n
              is [n, n - 1, new lines]
"""

import contextlib
import importlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

_QUICK = ["-q", "--tb=no", "-p", "no:cacheprovider"]


def run(arguments: list[str], seconds: float, report: str) -> str:
    """Run pytest in a forked process; return passed, failed or timed out."""
    child = os.fork()
    if not child:
        _be_child(arguments, report)
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return "failed" if status else "passed"
            time.sleep(0.002)
    except BaseException:
        _kill(child)
        raise
    _kill(child)
    return "timed out"


def _be_child(arguments: list[str], report: str) -> None:
    """Run the tests, their output into the report, and never come back."""
    code = 1
    try:
        os.setpgid(0, 0)
        output = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = int(pytest.main(arguments))
        loaded = [name for name, module in list(sys.modules.items()) if _is_library(module)]
        Path(f"{report}.modules").write_text("\n".join(loaded))
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        os._exit(code)


def _kill(child: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _is_library(module: Any) -> bool:
    """Whether a module is neither the repository's nor built in."""
    file = getattr(module, "__file__", None)
    return bool(file) and not str(file).startswith(str(Path.cwd()))


def load_libraries(report: str) -> None:
    """Import what the tests imported, but not the repository's own modules.

    Nor pytest's plugins, which pytest wants to import itself.
    """
    names = Path(f"{report}.modules")
    owners = {entry.dist.name for entry in metadata.entry_points(group="pytest11") if entry.dist}
    distributions = metadata.packages_distributions()
    for name in names.read_text().split("\n") if names.exists() else []:
        if not owners & set(distributions.get(name.split(".")[0], ())):
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def failures(report: str) -> set[str]:
    """The tests that a report calls failed."""
    lines = Path(report).read_text(errors="replace").splitlines()
    words = (line.split() for line in lines if line.startswith(("FAILED ", "ERROR ")))
    return {each[1] for each in words if len(each) > 1}


def variants(job: dict[str, Any], data: bytes) -> Iterator[bytes]:
    """The file after each edit."""
    lines = data.splitlines(keepends=True)
    ending = "\r\n" if b"\r\n" in data else "\n"
    for first, last, new in job["edits"]:
        text = "".join(line + ending for line in new).encode("utf-8", "surrogateescape")
        yield b"".join(lines[: first - 1]) + text + b"".join(lines[last:])


def verdict(job: dict[str, Any], limit: float, report: str) -> str:
    """What the tests say of the file as it stands."""
    result = run([*_QUICK, "-x", *job["tests"]], limit, report)
    if result != "passed":
        return result
    if run([*_QUICK, "-rfE", *job["wider"]], 20, report) == "failed":
        broken = failures(report) - set(job["known"])
        if broken:
            return f"mends them, but {len(broken)} other tests fail"
    return "passed"


def main() -> None:
    """Try the edits in turn, until one passes or the time is over."""
    sys.path[0] = str(Path.cwd())
    job = json.load(sys.stdin)
    path = Path(job["file"])
    data = path.read_bytes()
    when = path.stat().st_mtime_ns
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as directory:
        report = f"{directory}/report"
        # What does not change is compiled once; nothing is left behind in the repository.
        sys.dont_write_bytecode = False
        sys.pycache_prefix = directory
        started = time.monotonic()
        hangs = run([*_QUICK, "-x", *job["tests"]], 5, report) == "timed out"
        base = time.monotonic() - started
        load_libraries(report)
        limit = 4.0 if hangs else max(2.0, min(15.0, 6 * base))
        try:
            for number, text in enumerate(variants(job, data)):
                if time.monotonic() - started > job["seconds"]:
                    print(f"stopped before {number}: {job['seconds']} seconds are over")
                    break
                path.write_bytes(text)
                # Bytecode is told by size and second from that of other code.
                os.utime(path, (number + 1, number + 1))
                said = verdict(job, limit, report)
                print(f"{number}: {said}", flush=True)
                if said == "passed":
                    break
        finally:
            path.write_bytes(data)
            os.utime(path, ns=(when, when))
    print(f"{path} is as it was")


if __name__ == "__main__":
    main()
