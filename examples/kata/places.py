"""Places for bugs, the guesses there, and the attempts that these make."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from bugs import Bug

from forager.agent.syntax import SYNTAXES
from forager.agent.tool import Call
from forager.learning.filters.changes import LineEdit
from forager.learning.filters.sed import TrialTemplate, script
from forager.trajectories.budget import with_budget
from forager.trajectories.record import (
    Message,
    ModelCall,
    Outcome,
    Timings,
    ToolCall,
    Trajectory,
    Usage,
)
from tools import TOOLBOX

SYSTEM = "Fix the bug and submit."  # as in bootstrap.toml
TRIALS = TrialTemplate("./try {path} '{script}'")  # likewise


class Place(NamedTuple):
    """Where a bug is said to be, and what the model reads of it."""

    name: str
    """Of the exercise."""
    bug: Bug
    path: str
    test: str
    first: int
    """Lines before the function."""
    left: int
    """Tokens that may be written, at the start."""

    @property
    def statement(self) -> str:
        """As a kata's."""
        made = self.bug
        code = "\n".join(f"{number} {line}" for number, line in enumerate(made.bug, self.first + 1))
        return (
            f"There is a bug in the function `{made.name}` of `{self.path}`:\n\n{code}\n\n"
            f"{made.shown}\n\npython -m pytest {self.test}"
        )

    def command(self, lines: Sequence[str]) -> str:
        """The guess that makes these lines of the function's. Raises Unproven if none does."""
        edit = LineEdit(self.path, self.first, tuple(self.bug.bug), tuple(lines))
        return TRIALS.command(script(edit), self.path, self.test)

    def call(self, turn: int, message: int, command: str, word: str) -> ToolCall:
        """The call of a guess, which says passed, failed or unchanged."""
        return ToolCall(
            message=message,
            tool="bash",
            arguments={"command": command},
            exit_code=int(word != "passed"),
            output_length=len(word),
            turns_left=5 - turn,  # as in an evaluation
            tokens_left=self.left - 60 * turn,
        )


def place(made: Bug, name: str, source: random.Random) -> Place:
    """A place for a bug."""
    first = source.randrange(300)
    module = source.choice(made.modules)  # not of the function's name: it is to be read
    test = f"tests/test_{module}.py::test_{made.name.lstrip('_')}"
    return Place(name, made, f"kata/{module}.py", test, first, 1024 - source.randrange(100, 300))


def attempt(at: Place, guesses: Sequence[tuple[str, str]]) -> Trajectory:
    """The attempt with these guesses, and what each says, and then the right one."""
    right = (at.command(at.bug.fix), "passed")
    messages: list[Message] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": at.statement},
    ]
    calls: list[ToolCall] = []
    for turn, (command, word) in enumerate((*guesses, right)):
        calls.append(at.call(turn, len(messages) + 1, command, word))
        messages += said(calls[-1], word)
    messages.append(SYNTAXES["text"].write("", Call("submit", {}), TOOLBOX))
    calls.append(ToolCall(message=len(messages), tool="submit"))
    return Trajectory(
        id=f"{at.name}.0",
        instance_id=at.name,
        attempt=0,
        kind="exercise",
        repo="python",
        model="mutators",
        syntax="text",
        image="",
        image_digest="",
        started_at="",
        messages=messages,
        model_calls=[
            ModelCall(message=call.message - 1, usage=Usage(), seconds=0) for call in calls
        ],
        tool_calls=calls,
        outcome=Outcome(exit_reason="not run"),
        usage=Usage(),
        timings=Timings(),
        version="",
    )


def said(call: ToolCall, word: str) -> list[Message]:
    """A guess and its answer."""
    told = with_budget(f"{word}\n[exit code {call.exit_code}]", call)
    written = SYNTAXES["text"].write("", Call("bash", call.arguments), TOOLBOX)
    return [written, {"role": "user", "content": told}]
