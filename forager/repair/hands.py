"""The policy's use of the tools: commands, programs and edits, counted in turns."""

import shlex
from collections.abc import Generator, Sequence
from typing import TypeVar

from forager.agent.tool import Call
from forager.programs import program
from forager.repair.observation import ToolAnswer
from forager.repair.source import Passage, search_and_replace
from forager.text import ending

Step = tuple[str, Call]  # a thought, and what is done
T = TypeVar("T")
Acting = Generator[Step, ToolAnswer, T]

MAX_TURNS = 58
_RESERVE = 4  # turns reserved to undo the last edit and to submit
_PYTEST = "python -m pytest -q -o cache_dir=/tmp/pytest-cache"


class OutOfTurns(Exception):
    """Only the turns reserved for cleaning up are left."""


class Hands:
    """Acts, counts the turns, and remembers which passage is edited and which programs crashed."""

    def __init__(self) -> None:
        self._left = MAX_TURNS
        self.closing = False  # whether the last turns may be used
        self._edited: tuple[Passage, tuple[str, ...]] | None = None
        self.crashes: dict[str, str] = {}
        """The programs that do not run in this sandbox, with the last lines that they printed."""

    def act(self, thought: str, call: Call) -> Acting[ToolAnswer]:
        """Make one call; raises OutOfTurns."""
        if self._left <= _RESERVE and not self.closing:
            raise OutOfTurns
        self._left -= 1
        answer = yield thought, call
        if answer.call.turns_left is not None:
            self._left = min(self._left, answer.call.turns_left)
        return answer

    def bash(self, thought: str, command: str) -> Acting[ToolAnswer]:
        """Run a command."""
        return (yield from self.act(thought, Call("bash", {"command": command})))

    def pytest(self, thought: str, options: str, tests: Sequence[str], seconds: int,
               ) -> Acting[ToolAnswer]:  # fmt: skip
        """Run tests for at most `seconds`."""
        words = [f"timeout {seconds} {_PYTEST} {options}", *map(shlex.quote, tests)]
        return (yield from self.bash(thought, " ".join(words)))

    def program(self, thought: str, name: str, arguments: Sequence[str]) -> Acting[ToolAnswer]:
        """Run one of forager's programs in the sandbox."""
        words = " ".join(["timeout 100 python -", *map(shlex.quote, arguments)])
        command = f"{words} <<'EOF'\n{program_text(name)}EOF"
        return (yield from self.run_program(thought, name, command))

    def run_program(self, thought: str, name: str, command: str) -> Acting[ToolAnswer]:
        """Run a command that runs a program, and remember it if it crashes."""
        observation = yield from self.bash(thought, command)
        if observation.exit_code and not observation.hung:
            self.crashes[name] = ending(observation.output)
        return observation

    @property
    def regrets(self) -> str:
        """What to say at the end of the programs that crashed; empty if all ran."""
        return "".join(f" My program `{name}` crashed: {why}" for name, why in self.crashes.items())

    def edit(self, thought: str, passage: Passage, lines: tuple[str, ...]) -> Acting[bool]:
        """Give a passage these lines, whatever was edited before; return whether that worked."""
        if self._edited and self._edited[0] != passage:
            yield from self.restore("That did not help, so I undo it.")
        old = self._edited[1] if self._edited else passage.lines
        if old == lines:
            return True
        for context in (1, 4, 12):
            search, replace = search_and_replace(passage, old, lines, context)
            call = Call("edit", {"path": passage.file, "search": search, "replace": replace})
            answer = yield from self.act(thought, call)
            if not answer.call.error:
                self._edited = None if lines == passage.lines else (passage, lines)
                return True
        return False

    def restore(self, thought: str) -> Acting[None]:
        """Undo the edit."""
        if self._edited:
            passage = self._edited[0]
            done = yield from self.edit(thought, passage, passage.lines)
            if not done:
                self._edited = None


def program_text(name: str) -> str:
    """The text of a program, which a command carries into the sandbox."""
    return program(name).decode()
