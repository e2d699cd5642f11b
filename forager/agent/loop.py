"""The agent's loop: run → step → query → act (after mini-swe-agent's `agents/default.py`)."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn, Protocol

from forager.agent.faults import only_foreseen
from forager.agent.model import Model, Reply
from forager.agent.syntax import Syntax
from forager.agent.tool import Call, Observation, Toolbox, executed, malformed
from forager.errors import Answered, AttemptEnd, FormatError, LimitReached, Submitted
from forager.records import writable
from forager.sandboxes.sandbox import Sandbox
from forager.trajectories.budget import budget_after, with_budget
from forager.trajectories.record import (
    AttemptLimits,
    ForeignAgent,
    Message,
    ModelCall,
    ToolCall,
)

_ARGUMENTS = 1 << 20  # characters of the arguments of a call
_CUT_OFF = {"length", "max_tokens", "max_output_tokens", "model_length"}  # finish reasons
_REFUSAL = 4000  # characters of the answer to a malformed call, which may repeat its text

SYSTEM = """You are a software engineer at work in a Python repository in /testbed, in a container \
without a network. The tools are your only way to act; nobody answers questions. Look at the code, \
find the cause, change the code (not the tests), run the tests, and call `submit` when they pass.

{instructions}"""


class Acting(Protocol):
    """An agent at work: what an attempt records of it, while it runs and at its end."""

    @property
    def messages(self) -> list[Message]:
        """What was said so far."""
        ...

    @property
    def model_calls(self) -> list[ModelCall]:
        """The requests to the model."""
        ...

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The calls of tools."""
        ...

    @property
    def refusal(self) -> str:
        """What a server said that refused to continue."""
        ...

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """The tools that go with each request, in OpenAI's form."""
        ...

    @property
    def foreign(self) -> ForeignAgent | None:
        """The command of another maker, and how it ended; None for forager's own agent."""
        ...

    def run(self, problem_statement: str) -> str:
        """Work on the problem until the end of the attempt; return the exit reason."""
        ...


@dataclass
class Agent:
    """One attempt: drives a model through a sandbox, and records what happens in its lists."""

    model: Model
    sandbox: Sandbox
    tools: Toolbox
    syntax: Syntax
    limits: AttemptLimits
    system: str = SYSTEM
    review: Callable[[], str] = lambda: ""
    """Says why a submission is refused; empty if the attempt may end."""
    messages: list[Message] = field(default_factory=list)
    model_calls: list[ModelCall] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    refusal: str = ""
    """What a server said that refused to continue."""
    _format_errors: int = 0
    _deadline: float = 0.0

    def run(self, problem_statement: str) -> str:
        """Work on the problem until the end of the attempt; return the exit reason.

        Raises ModelError, and SandboxError or Unforeseen for what the agent may have caused.
        """
        self._deadline = time.monotonic() + self.limits.seconds
        self.messages += first_messages(self.system, problem_statement, self.syntax, self.tools)
        try:
            while True:
                self.step()
        except AttemptEnd as end:
            self.refusal = end.refusal
            return end.reason

    def step(self) -> None:
        """One turn: ask the model, execute its call, bring the observation back.

        Without tools the model's first message ends the attempt, and with tools that cannot end it
        the first message without a call.
        """
        self.check_limits()
        reply = self.query()
        if not self.tools:
            _end_with_a_message(_cut_off(reply))
        with only_foreseen():
            self._answer(reply.message, _cut_off(reply))

    def _answer(self, message: Message, cut: str) -> None:
        """Answer a message of the model; `cut` says that it is not whole."""
        try:
            call = _bounded(self.syntax.read(message, self.tools))
            started = time.monotonic()
            observation = self.act(call)
        except FormatError as error:
            if error.reason == "no_call" and "submit" not in self.tools:
                _end_with_a_message(cut)
            self._format_errors += 1
            self._tell(message, f"{cut}{str(error)[:_REFUSAL]}", malformed(error))
            if self._format_errors >= self.limits.format_errors:
                raise LimitReached("format_errors") from error
            return
        self._format_errors = 0
        made = executed(call, observation, time.monotonic() - started)
        text = f"{observation.text}\n[{cut.strip()}]" if cut else observation.text
        self._tell(message, text, made)

    def check_limits(self) -> None:
        """Raise LimitReached when turns, tokens or time are used up."""
        budget = budget_after(self.limits, self.model_calls)
        if budget.turns_left <= 0:
            raise LimitReached("turn_limit")
        if budget.tokens_left <= 0:
            raise LimitReached("token_limit")
        if time.monotonic() >= self._deadline:
            raise LimitReached("time_limit")

    def query(self) -> Reply:
        """Ask the model and keep its answer; time spent waiting extends the deadline."""
        started = time.monotonic()
        reply = self.model.query(self.messages, self.definitions, self.tool_calls)
        self._deadline += reply.waited
        self.messages.append(reply.message)
        made = called(reply, len(self.messages) - 1, time.monotonic() - started)
        self.model_calls.append(made)
        return reply

    def act(self, call: Call) -> Observation:
        """Execute a call; a command may take no longer than the time left to the attempt."""
        left = max(1.0, self._deadline - time.monotonic())
        tool = self.tools[call.tool]
        if tool.calls is not None and self._count(tool.name) >= tool.calls:
            text = f"All {tool.calls} calls of {tool.name} are used up. Go on without it."
            return Observation(text, exit_code=None, error=True, reason="used_up")
        seconds = min(self.limits.command_seconds, left, tool.seconds or left)
        try:
            return tool.execute(self.sandbox, call.arguments, seconds)
        except Submitted:
            return self._reviewed(call)
        except FormatError:
            raise
        except Exception:
            arguments = {"arguments": call.arguments, "error": True, "reason": "broke"}
            self._keep(ToolCall(message=0, tool=call.tool, **arguments))
            raise

    def _count(self, tool: str) -> int:
        return sum(call.tool == tool and not call.error for call in self.tool_calls)

    def _reviewed(self, call: Call) -> Observation:
        """The answer to a submission that is refused. Raises Submitted if it is accepted."""
        try:
            if refusal := self.review():
                return Observation(refusal, exit_code=1, error=True, reason="refused")
        except AttemptEnd:
            self._keep(ToolCall(message=0, tool=call.tool))
            raise
        self._keep(ToolCall(message=0, tool=call.tool))
        raise Submitted("the submission is accepted")

    def _tell(self, answered: Message, text: str, call: ToolCall) -> None:
        """Bring an observation to the model, with the budget that is left."""
        kept = self._keep(call)
        self.messages += self.syntax.answers(answered, writable(with_budget(text, kept)))

    def _keep(self, call: ToolCall) -> ToolCall:
        """Record a call with the index of its observation, which comes next, and the budget."""
        budget = budget_after(self.limits, self.model_calls)
        place = {"message": len(self.messages), **budget._asdict()}
        self.tool_calls.append(call.model_copy(update=place))
        return self.tool_calls[-1]

    @property
    def foreign(self) -> None:
        """None: this is forager's own agent."""

    @cached_property
    def definitions(self) -> list[dict[str, Any]]:
        """The tools that go with each request, in OpenAI's form."""
        return self.syntax.definitions(self.tools)


def called(reply: Reply, message: int, seconds: float) -> ModelCall:
    """The record of a request; `message` is the index of its answer, `seconds` all that it took."""
    return ModelCall(
        message=message,
        usage=reply.usage,
        seconds=round(seconds - reply.waited, 4),
        waited=round(reply.waited, 4),
        finish_reason=reply.finish_reason,
        prompt_token_ids=reply.prompt_token_ids,
        completion_token_ids=reply.completion_token_ids,
        logprobs=reply.logprobs,
        policy_version=reply.policy_version,
    )


def first_messages(
    system: str, problem_statement: str, syntax: Syntax, tools: Toolbox
) -> list[Message]:
    """The messages before the first turn; `{instructions}` in `system` says how to write calls."""
    instructions = syntax.instructions(tools) if tools else ""
    text = system.replace("{instructions}", instructions)
    problem: Message = {"role": "user", "content": problem_statement}
    return [{"role": "system", "content": text}, problem] if text else [problem]


def _cut_off(reply: Reply) -> str:
    """What the model reads of an answer that was cut off; empty for a whole one."""
    reason = reply.finish_reason.lower()
    if reason == "content_filter":
        return "A filter of the server cut your message off. "
    if not _is_cut(reply):
        return ""
    tokens = reply.usage.completion_tokens
    size = f" after {tokens:,} tokens" if tokens else ""
    return f"Your message was cut off{size}, at the limit of its length: write less in each turn. "


def _end_with_a_message(cut: str) -> NoReturn:
    """Raise the end of an attempt whose answer is a message; one that was cut off is none."""
    raise LimitReached("token_limit") if cut else Answered("the model answered")


def _is_cut(reply: Reply) -> bool:
    """Whether a message ended at the limit of its length."""
    return reply.finish_reason.lower() in _CUT_OFF


def _bounded(call: Call) -> Call:
    """The call. Raises FormatError if its arguments are too long."""
    length = sum(map(len, call.arguments.values()))
    if length > _ARGUMENTS:
        raise FormatError(
            f"The arguments have {length:,} characters; {_ARGUMENTS:,} are allowed.", "too_long"
        )
    return call
