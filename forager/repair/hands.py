"""What the policy does with the tools: commands and edits, within the turns that there are."""

import shlex
from collections.abc import Generator, Sequence
from importlib import resources
from typing import TypeVar

from forager.agent.tool import Call
from forager.repair.observation import Observation
from forager.repair.source import Passage, search_and_replace

Step = tuple[str, Call]  # a thought, and what is done
T = TypeVar("T")
Acting = Generator[Step, Observation, T]

MAX_TURNS = 58
_RESERVE = 4  # turns kept to undo the last edit and to submit
_PYTEST = "python -m pytest -q -p no:cacheprovider"


class OutOfTurns(Exception):
    """There are no more turns than those kept to clean up."""


class Hands:
    """Acts, counts the turns, and remembers which passage has been edited."""

    def __init__(self) -> None:
        self._left = MAX_TURNS
        self.closing = False  # whether the last turns may be used
        self._edited: tuple[Passage, tuple[str, ...]] | None = None

    def act(self, thought: str, call: Call) -> Acting[Observation]:
        """Make one call; raises OutOfTurns."""
        if self._left <= _RESERVE and not self.closing:
            raise OutOfTurns
        self._left -= 1
        observation = yield thought, call
        if observation.turns_left is not None:
            self._left = min(self._left, observation.turns_left)
        return observation

    def bash(self, thought: str, command: str) -> Acting[Observation]:
        """Run a command."""
        return (yield from self.act(thought, Call("bash", {"command": command})))

    def pytest(self, thought: str, options: str, tests: Sequence[str], seconds: int,
               ) -> Acting[Observation]:  # fmt: skip
        """Run tests, for at most so many seconds."""
        words = [f"timeout {seconds} {_PYTEST} {options}", *map(shlex.quote, tests)]
        return (yield from self.bash(thought, " ".join(words)))

    def program(self, thought: str, name: str, arguments: Sequence[str]) -> Acting[Observation]:
        """Run one of the programs of this package over there."""
        words = " ".join(["timeout 100 python -", *map(shlex.quote, arguments)])
        return (yield from self.bash(thought, f"{words} <<'EOF'\n{program_text(name)}EOF"))

    def edit(self, thought: str, passage: Passage, lines: tuple[str, ...]) -> Acting[bool]:
        """Make a passage read so, whatever was edited before; return whether it does now."""
        if self._edited and self._edited[0] != passage:
            yield from self.restore("That did not help, so I undo it.")
        old = self._edited[1] if self._edited else passage.lines
        if old == lines:
            return True
        for context in (1, 4, 12):
            search, replace = search_and_replace(passage, old, lines, context)
            call = Call("edit", {"path": passage.file, "search": search, "replace": replace})
            observation = yield from self.act(thought, call)
            if observation.text.startswith("Edited"):
                self._edited = None if lines == passage.lines else (passage, lines)
                return True
        return False

    def restore(self, thought: str) -> Acting[None]:
        """Undo what is edited."""
        if self._edited:
            passage = self._edited[0]
            done = yield from self.edit(thought, passage, passage.lines)
            if not done:
                self._edited = None


def program_text(name: str) -> str:
    """The text of a program that runs in the sandbox."""
    return resources.files("forager.programs").joinpath(f"{name}_program.py").read_text("utf-8")
