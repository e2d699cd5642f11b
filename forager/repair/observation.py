"""What the tools answered, read: exit code, failing tests, exceptions, and the turns left."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from forager.trajectories.record import Message

_EXIT = re.compile(r"^\[exit code (-?\d+)\]$", re.MULTILINE)
_TIMED_OUT = re.compile(r"^\[timed out after ", re.MULTILINE)
_CUT = re.compile(r"^\[… \d+ bytes left out …\]$", re.MULTILINE)
_TURNS = (
    re.compile(r"(\d+)(?: of \d+)? turns?\b[^\n.]{0,40}\b(?:left|remain)", re.IGNORECASE),
    re.compile(r"turns?\b[^\n.\d]{0,20}\b(?:left|remaining)\b\D{0,5}(\d+)", re.IGNORECASE),
)
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.MULTILINE)
_ERROR = re.compile(
    r"^E\s+(?:\w+\.)*(\w*(?:Error|Exception|Exit|Warning|Interrupt)\w*): ?(.*)$", re.M
)
_ASSERTION = re.compile(r"^E\s+(?:AssertionError: )?(assert .*)$", re.MULTILINE)
_FRAME = re.compile(r"^([^\s:][^:\n]*\.py):(\d+): (?:in (\S+)|\w+)", re.MULTILINE)
_SHORT_ERROR = re.compile(r"^(?:\w+\.)*(\w*Error): (.*)$", re.MULTILINE)
_WORDS = 60
_HANG = 124  # the exit code of `timeout`


@dataclass(frozen=True)
class Observation:
    """An answer of a tool, as the agent sees it."""

    text: str

    @cached_property
    def exit_code(self) -> int | None:
        """The command's exit code; None when it did not end, or was not run."""
        found = _EXIT.findall(self.text)
        return int(found[-1]) if found else None

    @property
    def hung(self) -> bool:
        """Whether a time limit ended the command."""
        return self.exit_code == _HANG or bool(_TIMED_OUT.search(self.text))

    @property
    def cut(self) -> bool:
        """Whether the middle of the output is missing."""
        return bool(_CUT.search(self.text))

    @property
    def output(self) -> str:
        """What the command printed."""
        ends = [match.start() for match in _EXIT.finditer(self.text)]
        return self.text[: ends[-1]].removesuffix("\n") if ends else self.text

    @property
    def turns_left(self) -> int | None:
        """The number of turns left, where the answer ends in a line that tells."""
        tail = self.text[-400:]
        for pattern in _TURNS:
            if found := pattern.findall(tail):
                return int(found[-1])
        return None

    @property
    def failed(self) -> list[str]:
        """The tests in pytest's summary that failed, each once."""
        return list(dict.fromkeys(_FAILED.findall(self.output)))

    @cached_property
    def errors(self) -> list[tuple[str, str]]:
        """Exceptions as (name, message), in the order of the report, each once."""
        found = _ERROR.findall(self.output) or _SHORT_ERROR.findall(self.output)
        found += [("AssertionError", text) for text in _ASSERTION.findall(self.output)]
        return list(dict.fromkeys((name, message.strip()) for name, message in found))

    @property
    def words(self) -> list[str]:
        """The identifiers in the lines that tell of errors, each once."""
        lines = re.findall(r"^E\s(.*)$", self.output, re.MULTILINE)
        return list(dict.fromkeys(re.findall(r"\b[A-Za-z_]\w{2,}\b", " ".join(lines))))[:_WORDS]

    @property
    def frames(self) -> list[tuple[str, int, str]]:
        """Frames of pytest's short tracebacks: (file, line, function), outermost first."""
        return [(file, int(line), name) for file, line, name in _FRAME.findall(self.output)]


def first(messages: Sequence[Message]) -> Observation:
    """What was said first to the agent: the problem."""
    return _said(messages)


def newest(messages: Sequence[Message]) -> Observation:
    """What was said last to the agent."""
    return _said(reversed(messages))


def _said(messages: Iterable[Message]) -> Observation:
    for message in messages:
        if message.get("role") in ("tool", "user"):
            content = message.get("content")
            return Observation(content if isinstance(content, str) else "")
    return Observation("")
