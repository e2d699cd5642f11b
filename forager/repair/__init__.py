"""The repair policy: an agent without a model, which uses the same tools as a model.

It runs the failing tests, finds the suspicious lines, tries the inverses of known mutations best
first, undoes what does not help, and submits.
"""

from collections.abc import Sequence
from typing import Any

from forager.agent.model import Reply
from forager.agent.syntax import Syntax
from forager.agent.tool import Toolbox
from forager.mutation.candidates import Families
from forager.repair.hands import Acting
from forager.repair.observation import ToolAnswer, problem
from forager.repair.policy import RepairPolicy
from forager.trajectories.record import Message, ToolCall

__all__ = ["RepairModel"]


class RepairModel:
    """Implements Model. One instance drives one attempt.

    `families` are the mutations whose inverses it tries. It takes failing tests that run longer
    than `test_seconds` for hanging ones.
    """

    def __init__(
        self, syntax: Syntax, tools: Toolbox, families: Families, test_seconds: int = 20
    ) -> None:
        self._syntax, self._tools = syntax, tools
        self._repair = RepairPolicy(families, test_seconds)
        self._steps: Acting[None] | None = None

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        """Answer with the next step of the policy.

        Where it takes over an attempt, it begins with the problem and the files as they are then.
        """
        del tools  # they are the toolbox
        if self._steps is None:
            self._steps = self._repair.steps(problem(messages))
            thought, call = next(self._steps)
        else:
            thought, call = self._steps.send(ToolAnswer.to(messages, calls))
        return Reply(self._syntax.write(thought, call, self._tools))
