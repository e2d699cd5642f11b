"""What each test did, read from the log of a test command.

The parsers are those that published data sets name, written anew. Two things are as the data sets
have it: an expected failure counts as passed, and a name with blanks is told under its first word
too, for SWE-bench's own parsers cut names there and its lists hold what they left.

A log is text that the code under test can write as well as the test runner: see `testing.py`.
"""

import json
import re
from collections.abc import Callable, Iterator

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
_PROGRESS = re.compile(rf"(\S.*?)\s+{_STATUS}(?:\s+\(.*\))?\s*(?:\[\s*\d+%\])?\s*")  # of -v
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
        line = _WORKER.sub("", raw, count=1)
        if summary := _SUMMARY.fullmatch(line):
            status, name = summary.groups()
            name = name if status == "PASSED" else name.split(" - ")[0]
            if not _SKIPPED_COUNT.match(name):
                yield name.rstrip(), status
        elif progress := _PROGRESS.fullmatch(line):
            yield progress[1], progress[2]


def _pytest_options(log: str) -> dict[str, str]:
    """As pytest, with the directories of a path among the parameters left out."""
    return {_without_directories(name): what for name, what in _pytest(log).items()}


def _without_directories(name: str) -> str:
    option = re.search(r"(.*?)\[(/(?!/)[^*]*)\]", name)
    return f"{option[1]}[/{option[2].rpartition('/')[2]}]" if option else name


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
    found = {f"{file}.py:{test}": "failed" for file, test in re.findall(r"_ (.*)\.py:(.*) _", log)}
    words = {"ok": "passed", "F": "failed", "E": "error"}
    for line in map(str.strip, log.split("\n")):
        if told := re.fullmatch(rf"(test_\S*)(?: .*)? ({'|'.join(words)})", line):
            found[told[1]] = words[told[2]]
    return found


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
                return {one["name"]: _WORDS.get(one["status"], "failed") for one in tests}
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
"""By the name that `TestSetup.parser` gives."""
