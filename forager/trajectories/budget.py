"""What an attempt has left to spend, and the line that tells the model so."""

from collections.abc import Sequence
from typing import NamedTuple

from forager.trajectories.record import AttemptLimits, ModelCall, ToolCall, Usage


class BudgetLeft(NamedTuple):
    """Turns and tokens left; the names are those of the fields of ToolCall."""

    turns_left: int
    tokens_left: int


def budget_after(limits: AttemptLimits, calls: Sequence[ModelCall]) -> BudgetLeft:
    """What is left after these model calls.

    Tokens are those that the context still holds, by the server's count of the last call.
    """
    usage = calls[-1].usage if calls else Usage()
    tokens = limits.tokens - usage.prompt_tokens - usage.completion_tokens
    return BudgetLeft(limits.turns - len(calls), max(0, tokens))


def with_budget(text: str, call: ToolCall) -> str:
    """The observation as the model reads it: the tool's answer, then the budget."""
    return f"{text.rstrip()}\n{_line(call)}"


def with_other_budget(observation: str, told: ToolCall, call: ToolCall) -> str:
    """The observation with the budget of `call` where it ends with that of `told`."""
    answer = observation.removesuffix(f"\n{_line(told)}")
    return observation if answer == observation else with_budget(answer, call)


def _line(call: ToolCall) -> str:
    return f"[{call.turns_left} turns and {call.tokens_left} tokens left]"
