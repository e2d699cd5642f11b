"""Reads the outcome of each test from the log of a test command.

The parsers reimplement those that published data sets name. Like the data sets, they count an
expected failure as passed. A name with spaces also appears under its first word, because
SWE-bench's parsers cut names at spaces and its lists contain the cut names.

The code under test can write to the log as well as the test runner: see `testing.py`. So each
parser takes time linear in the length of the log.
"""

import re
from collections.abc import Callable, Iterator

from forager.untrusted import json_value

Parser = Callable[[str], dict[str, str]]

_WORDS = {
    "PASSED": "passed",
    "FAILED": "failed",
    "ERROR": "error",
    "SKIPPED": "skipped",
    "XFAIL": "passed",
    "XPASS": "xpassed",
}
_STATUS = "(" + "|".join(_WORDS) + ")"
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r")
_SUMMARY = re.compile(rf"{_STATUS}\s+(\S.*)")  # of -rA, and of xdist's workers after a prefix
_WORKER = re.compile(r"\[gw\d+\]\s*\[\s*\d+%\]\s*")
_PROGRESS = re.compile(rf"\s{_STATUS}(?=(\s+\(|\s*\Z))")  # of -v: the status, and what is behind it
_PERCENT = re.compile(r"\[\s*\d+%\]")
_LONGEST = 1 << 16  # characters of a line that can name a test
_SKIPPED_COUNT = re.compile(r"\[\d+\]")  # "SKIPPED [1] file:line: reason" names no test
_UNITTEST = re.compile(r"(\S.*?) \.\.\. +(ok|OK|FAIL|ERROR|skipped\b.*|expected failure)$")
_UNITTEST_HEAD = re.compile(r"(FAIL|ERROR): (\S+)")


def _pytest(log: str) -> dict[str, str]:
    """Read the lines of `-rA` and `-v`."""
    found: dict[str, str] = {}
    for name, status in _pytest_lines(log):
        found[name] = _WORDS[status]
        found[name.split()[0]] = _WORDS[status]
    return found


def _pytest_lines(log: str) -> Iterator[tuple[str, str]]:
    for raw in _ESCAPES.sub("", log).split("\n"):
        line = _WORKER.sub("", raw[:_LONGEST], count=1)
        if summary := _SUMMARY.fullmatch(line):
            status, name = summary.groups()
            name = name if status == "PASSED" else name.split(" - ")[0]
            if not _SKIPPED_COUNT.match(name):
                yield name.rstrip(), status
        elif progress := _progress(line):
            yield progress


def _progress(line: str) -> tuple[str, str] | None:
    """The name and the status of `name STATUS (reason) [ 12%]`; both behind it may be missing."""
    text = line.rstrip()
    if text.endswith("%]"):
        start = text.rfind("[")
        text = text[:start].rstrip() if _PERCENT.fullmatch(text[start:]) else text
    if not text or text[0].isspace():
        return None
    for status in _PROGRESS.finditer(text, 1):
        if not status[2].strip() or text.endswith(")"):
            return text[: status.start()].rstrip(), status[1]
    return None


def _pytest_options(log: str) -> dict[str, str]:
    """As pytest, with the directories of a path among the parameters left out."""
    return {_without_directories(name): what for name, what in _pytest(log).items()}


def _without_directories(name: str) -> str:
    head, bracket, rest = name.partition("[/")
    option, end, _ = rest.rpartition("]")
    if not (bracket and end) or option.startswith("/") or "*" in option:
        return name
    return f"{head}[/{option.rpartition('/')[2]}]"


def _matplotlib(log: str) -> dict[str, str]:
    """Like pytest, but with mouse buttons as numbers, as older Pythons print them."""
    return _pytest(log.replace("MouseButton.LEFT", "1").replace("MouseButton.RIGHT", "3"))


def _unittest(log: str) -> dict[str, str]:
    """`name (case) ... ok`, of unittest's and Django's runners with `-v`.

    A test's own output appears between its name and its `ok`, which then begins a line.
    """
    found: dict[str, str] = {}
    open_test = ""
    for line in map(str.strip, _ESCAPES.sub("", log).split("\n")):
        if told := _UNITTEST.match(line):
            found[told[1]] = _unittest_word(told[2])
        elif head := _UNITTEST_HEAD.match(line):
            found[head[2]] = _unittest_word(head[1])
        elif re.match(r"ok\b", line) and open_test:
            found[open_test] = "passed"
        open_test = line.split(" ... ")[0] if " ... " in line else open_test
    return found


def _unittest_word(word: str) -> str:
    words = {"FAIL": "failed", "ERROR": "error"}
    return words.get(word) or ("skipped" if word.startswith("skipped") else "passed")


def _sympy(log: str) -> dict[str, str]:
    """SymPy's own runner: `test_name ok`, `F`, `E`; and the heads of its tracebacks."""
    found = {name: "failed" for line in log.split("\n") if (name := _traceback(line))}
    words = {"ok": "passed", "F": "failed", "E": "error"}
    for line in map(str.strip, log.split("\n")):
        if told := re.fullmatch(rf"(test_\S*)(?: .*)? ({'|'.join(words)})", line):
            found[told[1]] = words[told[2]]
    return found


def _traceback(line: str) -> str:
    """The test that the head of a traceback names, as in `____ FILE.py:TEST ____`."""
    start, end = line.find("_ ") + 2, line.rfind(" _")
    middle = line.rfind(".py:", start, end) if 2 <= start <= end else -1
    return line[start:end] if middle >= 0 else ""


def _dotted(log: str) -> dict[str, str]:
    """R2E-Gym: pytest's summary, with names without the file and with dots instead of colons."""
    told = _ESCAPES.sub("", log).partition("short test summary info")[2]
    return {".".join(name.split("::")[1:]): _WORDS[status] for name, status in _pytest_lines(told)}


def _json(log: str) -> dict[str, str]:
    """Read the last line of the form `{"tests": [{"name": …, "status": "PASSED"}]}`.

    The parsing scripts in rows like SWE-bench Pro's print this.
    """
    for line in reversed(log.strip().split("\n")):
        if line.startswith("{"):
            try:
                tests = json_value(line, len(line), nan=True)["tests"]
                return {
                    str(test["name"]): _WORDS.get(str(test["status"]), "failed") for test in tests
                }
            except (ValueError, TypeError, KeyError):
                continue
    return {}


PARSERS: dict[str, Parser] = {
    "pytest": _pytest,
    "pytest-options": _pytest_options,
    "matplotlib": _matplotlib,
    "unittest": _unittest,
    "sympy": _sympy,
    "dotted": _dotted,
    "json": _json,
}
"""The parsers by the name in `TestSetup.parser`."""
