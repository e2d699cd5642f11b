"""Reads results of tests from a command's output: how many passed, and which ones by name."""

import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

_COUNTS = re.compile(r"^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+) in \d[\d.]*s\b", re.MULTILINE)
_COUNT = re.compile(r"(\d{1,9}) (passed|failed|errors?)")
_NAMED = re.compile(
    r"^(PASSED|FAILED|ERROR) (\S+?\.py(?:::\w+)*(?:\[.*?\])?)(?= - |$)", re.MULTILINE
)
_VERBOSE = re.compile(r"^(\S{1,500}\.py::.{1,1500}?) (PASSED|FAILED|ERROR)\b", re.MULTILINE)
_UNITTEST = re.compile(r"^Ran (\d+) tests? in [\d.]+s\s+(OK|FAILED(?: \((.*)\))?)", re.MULTILINE)
_WITH_VALUE = {"-p", "-k", "-m", "-n", "-o", "-c", "-W", "--ignore", "--deselect", "--rootdir"}
_WITH_VALUE |= {"--maxfail", "--tb", "--timeout", "--durations", "-r"}
_PARTIAL = ("-k", "-m", "--deselect", "--ignore", "--lf", "--last-failed", "--sw", "--stepwise")
_ENDS = {"|", "||", "&&", ";", "&", ">", ">>", "<<", "<"}


class SuiteResults(NamedTuple):
    """The counts that a run of tests printed; `named` maps the tests that it names to results."""

    passed: int
    failed: int
    named: dict[str, str]

    def __str__(self) -> str:
        return f"{self.failed:,} failed, {self.passed:,} passed"


def results(output: str) -> SuiteResults | None:
    """The results of tests in a command's output (pytest's or unittest's); None without any.

    If a command ran tests several times, the last count and the last result of each test hold.
    """
    named = {name: status.lower() for status, name in _NAMED.findall(output)}
    named |= {name: status.lower() for name, status in _VERBOSE.findall(output)}
    counts = _COUNTS.findall(output)
    if counts:
        passed = failed = 0
        for number, what in _COUNT.findall(counts[-1]):
            passed += int(number) * (what == "passed")
            failed += int(number) * (what != "passed")
        return SuiteResults(passed, failed, named) if passed + failed else None
    ran = _UNITTEST.findall(output)
    if not ran:
        return None
    number, verdict, details = ran[-1]
    failed = sum(map(int, re.findall(r"(?:failures|errors)=(\d+)", details)))
    return SuiteResults(int(number) - failed, failed, named) if verdict else None


class PytestSelection(NamedTuple):
    """The tests that a pytest command runs: under which names, and whether all of them."""

    names: list[str]
    whole: bool

    def covers(self, test: str) -> bool:
        """Whether the command certainly runs a test."""
        if not self.whole:
            return False
        return not self.names or any(_under(test, name) for name in self.names)


def selection(command: str) -> PytestSelection | None:
    """The tests that a command runs with pytest; None if it does not run pytest."""
    words = iter(_words(command))
    if not any(word.rsplit("/", 1)[-1] in ("pytest", "py.test") for word in words):
        return None
    names: list[str] = []
    whole = True
    for word in words:
        if word in _ENDS or word.startswith((">", "2>")):
            break
        whole = whole and not word.startswith(_PARTIAL)
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            names.append(word)
    return PytestSelection(names, whole)


def _words(command: str) -> Iterator[str]:
    try:
        lexer = shlex.shlex(command.split("<<", 1)[0], posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        lexer.commenters = ""
        yield from list(lexer)
    except ValueError:  # a quote that is not closed
        yield from command.split()


def _under(test: str, name: str) -> bool:
    name = name.removeprefix("./").rstrip("/")
    return name == "." or test == name or test.startswith((f"{name}/", f"{name}::", f"{name}["))
