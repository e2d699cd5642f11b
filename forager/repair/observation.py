"""A tool's answer: the facts of its call, and what pytest printed about tests and exceptions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from forager.trajectories.record import Message, ToolCall
from forager.trajectories.show import text_of

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
class ToolAnswer:
    """The answer to a call: what the command printed (empty for other tools), and the record."""

    output: str
    call: ToolCall

    @classmethod
    def to(cls, messages: Sequence[Message], calls: Sequence[ToolCall]) -> "ToolAnswer":
        """The answer to the last call."""
        call = calls[-1]
        return cls(text_of(messages[call.message])[: call.output_length or 0], call)

    @property
    def exit_code(self) -> int | None:
        """The command's exit code; None if it did not run or did not end."""
        return self.call.exit_code

    @property
    def hung(self) -> bool:
        """Whether a time limit ended the command."""
        return self.exit_code == _HANG or self.call.timed_out

    @property
    def cut(self) -> bool:
        """Whether the middle of the output is missing."""
        return self.call.omitted > 0

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
        """The identifiers in the lines that pytest marks with `E`, each once, at most 60."""
        lines = re.findall(r"^E\s(.*)$", self.output, re.MULTILINE)
        return list(dict.fromkeys(re.findall(r"\b[A-Za-z_]\w{2,}\b", " ".join(lines))))[:_WORDS]

    @property
    def frames(self) -> list[tuple[str, int, str]]:
        """Frames of pytest's short tracebacks: (file, line, function), outermost first."""
        return [(file, int(line), name) for file, line, name in _FRAME.findall(self.output)]


def problem(messages: Sequence[Message]) -> str:
    """The problem statement: what the user said first."""
    return next((text_of(message) for message in messages if message.get("role") == "user"), "")
