"""Whether two mathematical expressions are equal: `math_verify`, behind hard limits.

Its own time limits work in a main thread only, and SymPy can hang where no signal reaches it
(Math-Verify #55). So comparisons run in children of programs of their own (`comparing_program.py`),
of which as many are started as threads compare at the same time.
"""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import Literal, get_args

from forager.errors import SandboxLost, UsageError

SECONDS = 15.0
Comparison = Literal["equal", "different", "unreadable", "time", "crash"]
_WORDS: dict[str, Comparison] = {word: word for word in get_args(Comparison)}
_MODULE = "forager.environments.answer.comparing_program"
_PI = re.compile(r"(?<![\\A-Za-z])pi(?![A-Za-z])")
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mbox|mathbf)\s*\{([^{}]*)\}")
_LEFT_OUT = re.compile(
    r"\\left|\\right|\\[!,;: ]|\\displaystyle|~|\.$|\^\{?\\circ\}?|\\?[%$]|"
    r"(?<!\d)\s|\s(?!\d)|\s(?=\d{3}(?!\d))"
)  # blanks between digits stay unless three follow: 5 6 is not 56, 5 600 is 5600


def compared(answer: str, truth: str, seconds: float = SECONDS) -> Comparison:
    """Compare two expressions in LaTeX.

    Texts that differ in spacing, units of percent and degrees, and styles alone are equal. Raises
    UsageError without `math_verify`, and SandboxLost if the machine fails.
    """
    answer = _PI.sub(r"\\pi ", answer)  # LaTeX reads `pi` as p times i
    if _plain(answer) == _plain(truth):
        return "equal"
    comparer = _taken()
    word = comparer.ask(answer, truth, seconds)
    _IDLE.put(comparer)
    return word


def _plain(text: str) -> str:
    """The text without what does not change its meaning."""
    text = _TEXT.sub(r"\1", text.strip())
    text = re.sub(r"\\[dtc]frac", r"\\frac", text)
    return _LEFT_OUT.sub("", text)


class Comparer:
    """A program that compares, one pair at a time; it ends with this process."""

    def __init__(self) -> None:
        if find_spec("math_verify") is None:
            raise UsageError("comparing answers needs math-verify: pip install -e '.[math]'")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._read()

    def ask(self, answer: str, truth: str, seconds: float) -> Comparison:
        """Compare a pair. Raises SandboxLost if the program has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps([answer, truth, seconds]) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._lost() from error
        found = _WORDS.get(self._read())
        if found is None:
            raise self._lost()
        return found

    def _read(self) -> str:
        assert self._process.stdout is not None
        word = self._process.stdout.readline().strip()
        if not word:
            raise self._lost()
        return word

    def _lost(self) -> SandboxLost:
        self.close()
        return SandboxLost("the program that compares expressions has ended")

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


_IDLE: SimpleQueue[Comparer] = SimpleQueue()


def _taken() -> Comparer:
    """A comparer that no thread uses."""
    try:
        return _IDLE.get_nowait()
    except Empty:
        return Comparer()


def close_all() -> None:
    """End the programs that wait; comparisons start new ones."""
    while True:
        try:
            _IDLE.get_nowait().close()
        except Empty:
            return
