"""Attempts that repeat a recorded one, up to a turn from which a model answers anew.

They are ordinary attempts in fresh sandboxes; only the model differs.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from forager.agent.model import Model, Reply
from forager.errors import LimitReached, UsageError
from forager.rollout.settings import FAILURE, MIDDLE, Branch
from forager.trajectories.choice import Choice
from forager.trajectories.marks import Marks
from forager.trajectories.record import Message, ToolCall, Trajectory
from forager.trajectories.show import text_of
from forager.trajectories.steps import steps
from forager.trajectories.store import Run


class Recorded:
    """Repeats the answers of a recorded attempt up to a turn; implements Model.

    From turn `until` on (counted from 1) `then` answers. Without `then` the attempt ends there,
    with the exit reason of the recorded one.
    """

    def __init__(
        self, recorded: Trajectory, until: int | None = None, then: Model | None = None
    ) -> None:
        self._recorded, self._then = recorded, then
        answers = zip(steps(recorded), recorded.prompts(), strict=True)
        self._answers = islice(answers, None if until is None else until - 1)

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        """Return the recorded answer, with its token ids if the prompt is the recorded one too."""
        answer = next(self._answers, None)
        if answer is None:
            if self._then is None:
                raise LimitReached(self._recorded.outcome.exit_reason)
            return self._then.query(messages, tools, calls)
        step, prompt = answer
        call = step.model_call
        reply = Reply(step.message, call.usage, call.finish_reason)
        if list(messages) != self._recorded.messages[: call.message]:
            return reply
        return replace(
            reply,
            prompt_token_ids=prompt,
            completion_token_ids=call.completion_token_ids,
            logprobs=call.logprobs,
        )


@dataclass(frozen=True, slots=True)
class Parent:
    """The attempt that another continues; `turn` is the first that is made anew."""

    name: str
    trajectory: Trajectory
    turn: int


def system_of(recorded: Trajectory) -> str:
    """The system prompt with which an attempt began; empty if it had none."""
    first = recorded.messages[:1]
    return text_of(first[0]) if first and first[0]["role"] == "system" else ""


def check_own(trajectory: Trajectory) -> None:
    """Raise UsageError unless forager's own agent made the attempt."""
    if trajectory.foreign:
        raise UsageError(
            f"{trajectory.id} was made by --agent {trajectory.foreign.command!r}, whose calls only "
            "that agent can repeat; choose an attempt of forager's own agent"
        )


def parent_of(source: Path, trajectory: Trajectory, turn: int) -> Parent:
    """Make an attempt of a run (or file) a parent. Raises UsageError if it has no such turn."""
    check_own(trajectory)
    if not 1 <= turn <= trajectory.turns + 1:
        raise UsageError(
            f"{trajectory.id} has {trajectory.turns} turns; it can be taken over from turn 1 to "
            f"{trajectory.turns + 1}"
        )
    return Parent(f"{source.resolve().name}/{trajectory.id}", trajectory, turn)


class Parents:
    """The attempts that those of a batch continue. Used by many threads."""

    def __init__(self, branch: Branch) -> None:
        self._turn, self._run = branch.turn, Run(Path(branch.run))
        ids = Marks(self._run.path).ids(branch.tags) if branch.tags else None
        self._choice = Choice(resolved=branch.resolved, ids=ids)

    def tasks(self) -> set[str]:
        """The tasks with an attempt that can be continued."""
        with self._run.index() as index:
            return {found.instance_id for found in index.summaries(index.places(self._choice))}

    def of(self, instance_id: str, number: int) -> Parent:
        """The parent of a round's attempts at a task; rounds take the parents in turn."""
        choice = self._choice.model_copy(update={"instance_id": instance_id})
        with self._run.index() as index:
            places = index.places(choice, "attempt")
            if not places:
                raise UsageError(f"{self._run.path} has no attempt at {instance_id} to continue")
            place = places[number % len(places)]
            (trajectory,) = index.trajectories(array("q", [place]))
        return parent_of(self._run.path, trajectory, branching_turn(trajectory, self._turn))


def branching_turn(trajectory: Trajectory, where: str) -> int:
    """The turn that a number (at most the last turn), `middle` or `failure` means.

    `failure` is the turn of the last call that failed: it was refused, could not be parsed, was
    stopped, or exited with a code other than 0. If no call failed it is the last turn.
    """
    last = max(1, trajectory.turns)
    if where == MIDDLE:
        return last // 2 + 1
    if where == FAILURE:
        calls = [step.call for step in steps(trajectory)]
        failed = [number for number, call in enumerate(calls, 1) if call and _failed(call)]
        return failed[-1] if failed else last
    return min(int(where), last)


def _failed(call: ToolCall) -> bool:
    return call.error or call.timed_out or bool(call.exit_code)
