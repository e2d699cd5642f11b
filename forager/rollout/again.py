"""An attempt made again: its recorded answers in a fresh container, from a turn on new ones.

Running again and taking over are ordinary attempts: what differs is who answers.
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
from forager.trajectories.steps import steps
from forager.trajectories.store import Run


class Recorded:
    """Answers as the model of an attempt did, up to a turn; implements Model.

    From turn `until` on (numbered from 1) `then` answers; without it the attempt ends there, with
    the reason of the recorded one.
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
        """Answer with what is recorded; the ids of its tokens only where the prompt is the same."""
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
    """The attempt that another goes on from; `turn` is the first one that is not taken over."""

    name: str
    trajectory: Trajectory
    turn: int


def parent_of(source: Path, trajectory: Trajectory, turn: int) -> Parent:
    """An attempt of a run (or file) as a parent. Raises UsageError where it has no such turn."""
    if not 1 <= turn <= trajectory.turns + 1:
        raise UsageError(
            f"{trajectory.id} has {trajectory.turns} turns; it can be taken over from turn 1 to "
            f"{trajectory.turns + 1}"
        )
    return Parent(f"{source.resolve().name}/{trajectory.id}", trajectory, turn)


class Parents:
    """The attempts that those of a batch go on from. Used by many threads."""

    def __init__(self, branch: Branch) -> None:
        self._turn, self._run = branch.turn, Run(Path(branch.run))
        ids = Marks(self._run.path).ids(branch.tags) if branch.tags else None
        self._choice = Choice(resolved=branch.resolved, ids=ids)

    def tasks(self) -> set[str]:
        """The tasks at which there is an attempt to go on from."""
        with self._run.index() as index:
            return {one.instance_id for one in index.summaries(index.places(self._choice))}

    def of(self, instance_id: str, number: int) -> Parent:
        """The parent of the attempts of a round at a task: one after the other, and round again."""
        choice = self._choice.model_copy(update={"instance_id": instance_id})
        with self._run.index() as index:
            places = index.places(choice, "attempt")
            if not places:
                raise UsageError(f"no attempt at {instance_id} to go on from in {self._run.path}")
            place = places[number % len(places)]
            (trajectory,) = index.trajectories(array("q", [place]))
        return parent_of(self._run.path, trajectory, branching_turn(trajectory, self._turn))


def branching_turn(trajectory: Trajectory, where: str) -> int:
    """The turn that is meant: a number (the last turn, where it is larger), `middle`, `failure`.

    `failure` is the last call that failed: it was refused, could not be read, was stopped or
    exited with another code than 0. Without one it is the last turn.
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
