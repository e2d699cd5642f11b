"""What each test did, read from the log of a test command.

The parsers are those that published data sets name, written anew. Two things are as the data sets
have it: an expected failure counts as passed, and a name with blanks is told under its first word
too, for SWE-bench's own parsers cut names there and its lists hold what they left.

A log is text that the code under test can write as well as the test runner: see `testing.py`. So
each parser takes time that grows with the length of the log and no faster.
"""

import json
import re
from collections.abc import Callable, Iterator

from forager.records import writable

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
_SUMMARY = re.compile(rf"{_STATUS}\s+(\S.*)")  # of -rA; also a process of xdist, after its prefix
_WORKER = re.compile(r"\[gw\d+\]\s*\[\s*\d+%\]\s*")
_PROGRESS = re.compile(rf"\s{_STATUS}(?=(\s+\(|\s*\Z))")  # of -v: the status, and what is behind it
_PERCENT = re.compile(r"\[\s*\d+%\]")
_LONGEST = 1 << 16  # characters of a line that can name a test
_SKIPPED_COUNT = re.compile(r"\[\d+\]")  # "SKIPPED [1] file:line: reason" names no test
_UNITTEST = re.compile(r"(\S.*?) \.\.\. +(ok|OK|FAIL|ERROR|skipped\b.*|expected failure)$")
_UNITTEST_HEAD = re.compile(r"(FAIL|ERROR): (\S+)")


def _pytest(log: str) -> dict[str, str]:
    """The lines of `-rA` and of `-v`, whichever there are."""
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
    """As pytest, with mouse buttons by number, as older Pythons print them."""
    return _pytest(log.replace("MouseButton.LEFT", "1").replace("MouseButton.RIGHT", "3"))


def _unittest(log: str) -> dict[str, str]:
    """`name (case) ... ok`, of unittest's and Django's runners with `-v`.

    What a test prints stands between its name and its `ok`, which then begins a line.
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
    """R2E-Gym: pytest's summary; the file left out, and dots for the colons."""
    told = _ESCAPES.sub("", log).partition("short test summary info")[2]
    return {".".join(name.split("::")[1:]): _WORDS[status] for name, status in _pytest_lines(told)}


def _json(log: str) -> dict[str, str]:
    """The last line that is `{"tests": [{"name": …, "status": "PASSED"}]}`.

    So print the parsing scripts that rows of SWE-bench Pro's kind bring along.
    """
    for line in reversed(log.strip().split("\n")):
        if line.startswith("{"):
            try:
                tests = json.loads(line)["tests"]
                return {
                    writable(str(test["name"])): _WORDS.get(str(test["status"]), "failed")
                    for test in tests
                }
            except (ValueError, TypeError, KeyError, RecursionError):
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
"""By the name that `TestSetup.parser` gives."""
