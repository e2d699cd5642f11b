"""An attempt in steps: the task, each turn, the outcome; and how to find steps."""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

from forager.environments.task import Task
from forager.replay.repository import RepositoryState, is_edit, results_of, states
from forager.trajectories.budget import budget_after
from forager.trajectories.live import RUNNING
from forager.trajectories.record import Trajectory
from forager.trajectories.show import Turn, turns


class StepBudget(NamedTuple):
    """The budget spent up to a turn, and the budget left after it.

    `seconds` counts the time of the model and the tools; starting and grading do not count.
    """

    turns: int
    tokens: int
    seconds: float
    spent_tokens: int
    spent_seconds: float


class Recording:
    """The steps of an attempt: 0 is the task, 1 to `last` - 1 the turns, `last` the outcome.

    A running attempt has no outcome yet, and its last call may not have ended.
    """

    def __init__(self, trajectory: Trajectory, task: Task | None = None) -> None:
        self.trajectory, self.task = trajectory, task
        self.turns = turns(trajectory)
        self.last = len(self.turns) + 1
        self.running = trajectory.outcome.exit_reason == RUNNING
        self.end = self.last - self.running  # what there is to see last

    @cached_property
    def _states(self) -> list[RepositoryState]:
        return list(states(self.trajectory, self.turns, self.task))

    def under_way(self, step: int) -> bool:
        """Whether the call of a step has not ended yet."""
        turn = self.turn(step)
        return self.running and step == self.end and turn is not None and turn.call is None

    def turn(self, step: int) -> Turn | None:
        """The turn of a step; None of the task and of the outcome."""
        return self.turns[step - 1] if 0 < step < self.last else None

    def state(self, step: int) -> RepositoryState:
        """The repository after a step, as far as the record shows."""
        return self._states[step]

    def left(self, step: int) -> StepBudget:
        """The budget spent and left after a step."""
        limits, done = self.trajectory.limits, self.turns[: min(step, self.last - 1)]
        left = budget_after(limits, [turn.model_call for turn in done])
        usages = [turn.model_call.usage for turn in done]
        seconds = sum(turn.model_call.seconds + (turn.call.seconds if turn.call else 0.0)
                      for turn in done)  # fmt: skip
        return StepBudget(
            left.turns_left,
            left.tokens_left,
            max(0.0, limits.seconds - seconds),
            sum(usage.prompt_tokens + usage.completion_tokens for usage in usages),
            seconds,
        )

    def next(self, wanted: Callable[[Turn], bool], step: int, by: int = 1) -> int | None:
        """The next step whose turn fulfils the condition; with `by` -1 the previous one."""
        end = self.last if by > 0 else 0
        return next((place for place in range(step + by, end, by) if self._is(wanted, place)), None)

    def matching(self, word: str, step: int, by: int = 1) -> int | None:
        """The next step in which a text occurs, wrapping around; with `by` -1 the previous one."""
        count = self.last + 1
        around = ((step + by * distance) % count for distance in range(1, count + 1))
        return next((place for place in around if word.lower() in self.text(place).lower()), None)

    def text(self, step: int) -> str:
        """All text of a step."""
        turn = self.turn(step)
        if turn is not None:
            arguments = turn.call.arguments.values() if turn.call else ()
            return "\n".join([turn.thought, *arguments, turn.observation])
        if step == 0:
            return str(self.trajectory.messages[: self._first_answer])
        return self.trajectory.outcome.model_dump_json()

    @property
    def _first_answer(self) -> int:
        return self.turns[0].model_call.message if self.turns else len(self.trajectory.messages)

    def _is(self, wanted: Callable[[Turn], bool], step: int) -> bool:
        turn = self.turn(step)
        return turn is not None and wanted(turn)


def failed(turn: Turn) -> bool:
    """Whether something went wrong: a call that cannot be read, an error, tests that fail."""
    call = turn.call
    if call is None:
        return True
    tests = results_of(turn)
    wrong = call.error or call.timed_out or bool(call.exit_code) or not call.tool
    return wrong or bool(tests and tests.failed)


def edited(turn: Turn) -> bool:
    """Whether a tool has changed a file."""
    return is_edit(turn.call)


def passed(turn: Turn) -> bool:
    """Whether tests were run, and all of them passed."""
    tests = results_of(turn)
    return bool(tests and tests.passed and not tests.failed)
