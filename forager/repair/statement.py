"""Reads a problem statement: the file, the function, the tests and how to run them."""

import re
import shlex
from dataclasses import dataclass

_PLACE = re.compile(r"bug in the function `([^`]+)` of `([^`]+)`")
_OUTSIDE = re.compile(r"bug in `([^`]+)`, outside its functions")
_TEST = re.compile(r"^- (\S.*::.*)$", re.MULTILINE)
_MORE = re.compile(r"^- (?:… |\.\.\. )?and \d+ more", re.MULTILINE)
_COMMAND = re.compile(r"^python3? -m pytest\b(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a problem statement says; fields that it does not mention are empty."""

    file: str = ""
    function: str = ""  # empty with a file: the code outside functions
    tests: tuple[str, ...] = ()
    all_named: bool = False  # whether `tests` are all that fail
    arguments: tuple[str, ...] = ()  # of pytest, without the tests

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the tests, each once."""
        return tuple(dict.fromkeys(test.split("::")[0] for test in self.tests))


def read_statement(text: str) -> Statement:
    """Read the form of a mutate-fix task; a free text fills the fields that it mentions."""
    place, outside = _PLACE.search(text), _OUTSIDE.search(text)
    tests = tuple(_TEST.findall(text))
    command = _COMMAND.search(text)
    words = _split(command[1]) if command else []
    if command and not tests:
        tests = tuple(word for word in words if "::" in word)
    options = tuple(word for word in words if word not in tests and "::" not in word)
    return Statement(
        file=place[2] if place else outside[1] if outside else "",
        function=place[1] if place else "",
        tests=tests,
        all_named=bool(tests) and not _MORE.search(text),
        arguments=tuple(word for word in options if word not in ("…", "...")),
    )


def _split(words: str) -> list[str]:
    try:
        return shlex.split(words)
    except ValueError:
        return words.split()
