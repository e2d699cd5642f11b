"""An agent of another maker at work in the sandbox, and a record of what its model was asked.

The agent is a command. It runs as the sandbox's user, without a network, with the sandbox's limits:
nothing of it runs on this machine. A program next to it takes the requests that it makes to its
model, in any of the forms of `wires`, and this process answers them with the model of the run, over
the shell of the sandbox. Keys and addresses stay here.

What an agent sends is untrusted. It can spend the turns, tokens and time of its attempt, no more.
"""

import re
import time
from datetime import UTC, datetime
from typing import Any

from forager.agent.conversations import Conversation, Conversations
from forager.agent.faults import only_foreseen
from forager.agent.foreign_model import ForeignModel
from forager.agent.gateway import Gateway, GatewayEvent
from forager.agent.loop import called
from forager.agent.model import Model, Reply
from forager.agent.wires import WIRES, Body, Wire, stream
from forager.errors import AgentError, AttemptEnd, LimitReached, PromptRefused, UsageError
from forager.sandboxes.sandbox import Sandbox
from forager.text import ending
from forager.trajectories.budget import budget_after
from forager.trajectories.record import (
    AttemptLimits,
    ForeignAgent,
    Message,
    ModelCall,
    ToolCall,
)
from forager.untrusted import Malformed

SUBMITTED, FAILED = "submitted", "agent_failed"
"""Exit reasons: the command ended with the exit code 0, or with another or an unknown one."""

_NOT_FOUND = (126, 127)  # bash: not executable, not found
_KEPT = 64 << 20  # characters of all messages of an attempt
_REFUSALS = 3  # in a row, after which an agent does not shorten its conversation
_BY_PATH = {wire.path: wire for wire in WIRES.values()}
_FORMS = re.compile(rf"(?:/v1)?({'|'.join(_BY_PATH)})(/\w+)?")
_LIMITS = {"token_limit": "context_length_exceeded", "content_filter": "content_filter"}


class CommandAgent:
    """One attempt by a command, which starts in the shell's directory; implements Acting."""

    def __init__(
        self, command: str, model: Model, name: str, sandbox: Sandbox, limits: AttemptLimits
    ) -> None:
        self._command, self._model, self._name = command, ForeignModel(model, name), name
        self._gateway, self._limits = Gateway(sandbox), limits
        self._conversations = Conversations()
        self._deadline = self._answered_at = 0.0
        self._refused: list[LimitReached] = []  # since the last answer
        self._last_reply: tuple[Conversation, Reply] | None = None
        self.refusal = ""
        self.foreign = ForeignAgent(command=command)

    @property
    def messages(self) -> list[Message]:
        """The messages of all conversations."""
        return self._conversations.messages

    @property
    def model_calls(self) -> list[ModelCall]:
        """The requests to the model."""
        return self._conversations.model_calls

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The calls that the agent reports to its model."""
        return self._conversations.tool_calls

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """The tools that the agent offers its model."""
        return self._conversations.tools

    def run(self, problem_statement: str) -> str:
        """Work on the problem until the end of the attempt; return the exit reason.

        Raises ModelError, AgentError and UsageError for a command that does not start, and
        SandboxError or Unforeseen for what the agent may have caused.
        """
        self._deadline = time.monotonic() + self._limits.seconds
        with only_foreseen():
            self._gateway.start(self._command, self._name, problem_statement)
        try:
            code = self._served()
        except AttemptEnd as end:
            self.refusal = end.refusal
            self.foreign = ForeignAgent(command=self._command, log=self._gateway.log())
            return end.reason
        return self._over(code)

    def _served(self) -> int | None:
        """Answer requests until the agent has ended; return its exit code."""
        answered = 0
        while True:
            self._check_time()
            event = self._gateway.next(answered, self._deadline - time.monotonic())
            if event is None or event.kind == "ended":
                return event.code if event else None
            if event.lost and self._last_reply:
                conversation, reply = self._last_reply
                conversation.unheard = reply
            answered = event.number if event.kind == "request" else 0
            if answered:
                self._answer(event)

    def _answer(self, event: GatewayEvent) -> None:
        """Answer a request. Raises LimitReached and ModelError."""
        self._last_reply = None
        known = _FORMS.fullmatch(event.path)
        wire = _BY_PATH[known[1]] if known else WIRES["chat"]
        if known is None or (known[2] and known[2] != wire.count):
            there_is_none = wire.error("not_found_error", f"there is no {event.path}")
            self._gateway.answer(event, 404, there_is_none)
            return
        with only_foreseen():
            try:
                body = self._gateway.body(event)
                asked = wire.asked(body)
            except (OSError, Malformed) as error:
                refusal = wire.error("invalid_request_error", str(error))
                self._gateway.answer(event, 400, refusal)
                return
        if known[2]:
            tokens = {"input_tokens": self._model.tokens(asked)}
            self._gateway.answer(event, 200, {"object": "response.input_tokens", **tokens})
        else:
            self._reply_to(event, wire, asked, body)

    def _reply_to(self, event: GatewayEvent, wire: Wire, asked: Body, body: Body) -> None:
        """Answer a question to the model. Raises LimitReached and ModelError."""
        try:
            answer = self._completion(wire, asked, body, event.number)
        except LimitReached as end:
            self._refuse(event, wire, end)
            return
        except PromptRefused as error:
            if not self._answered_at:
                raise
            self._refuse(event, wire, LimitReached("token_limit", str(error)))
            return
        self._refused.clear()
        streamed = body.get("stream") is True
        self._gateway.answer(event, 200, stream(wire, answer, body) if streamed else answer)

    def _refuse(self, event: GatewayEvent, wire: Wire, end: LimitReached) -> None:
        """Answer that the conversation is too long; the agent may shorten it, and go on.

        Raises the end of an attempt whose limits are reached, or that asks on and on.
        """
        self._refused.append(end)
        if end.reason not in _LIMITS or not end.refusal or len(self._refused) >= _REFUSALS:
            raise end
        self._gateway.answer(event, 400, wire.error(_LIMITS[end.reason], end.refusal))

    def _completion(self, wire: Wire, asked: Body, body: Body, number: int) -> Body:
        """The answer for the agent, which is the last one if nobody has heard it."""
        if unheard := self._conversations.unheard(asked["messages"]):
            return wire.answered(self._chat_answer(unheard, body, number), body)
        self._check_limits()
        now = time.monotonic()
        seconds = now - self._answered_at if self._answered_at else 0.0
        conversation = self._conversations.continued(asked["messages"], asked["tools"], seconds)
        if self._conversations.characters > _KEPT:
            raise LimitReached("token_limit")
        reply = self._model.ask(conversation, asked)
        self._deadline += reply.waited
        answer = wire.answered(self._chat_answer(reply, body, number), body)
        conversation.say(reply.message, wire.answer(answer)["choices"][0]["message"])
        call = called(reply, len(conversation.messages) - 1, time.monotonic() - now)
        conversation.model_calls.append(call)
        self._last_reply = conversation, reply
        self._answered_at = time.monotonic()
        return answer

    def _chat_answer(self, reply: Reply, body: Body, number: int) -> Body:
        """An answer as a chat completion."""
        return {
            "id": f"forager-{number}",  # agents join answers of the same id
            "object": "chat.completion",
            "created": int(datetime.now(UTC).timestamp()),
            "model": str(body.get("model") or self._name),
            "choices": [
                {"index": 0, "message": reply.message, "finish_reason": reply.finish_reason}
            ],
            "usage": {
                **reply.usage.model_dump(),
                "total_tokens": reply.usage.prompt_tokens + reply.usage.completion_tokens,
            },
        }

    def _check_limits(self) -> None:
        budget = budget_after(self._limits, self.model_calls)
        if budget.turns_left <= 0:
            raise LimitReached("turn_limit")
        if budget.tokens_left <= 0:
            raise LimitReached("token_limit")

    def _check_time(self) -> None:
        if time.monotonic() >= self._deadline:
            raise LimitReached("time_limit")

    def _over(self, code: int | None) -> str:
        """The exit reason of a command that has ended.

        The code is None if the agent took the program next to it with it. Raises AgentError if it
        failed before it asked anything, and UsageError if there is no such command.
        """
        log = self._gateway.log()
        self.foreign = ForeignAgent(command=self._command, exit_code=code, log=log)
        if code != 0 and not self._conversations.all:
            if code is None:
                own = ending(self._gateway.own_log())
                raise AgentError(
                    f"the gateway in the sandbox ended before the first request: {own}"
                )
            said = f"the agent ended with exit code {code} before its first request: {ending(log)}"
            if code in _NOT_FOUND:
                raise UsageError(
                    f"{said}; give its files by --agent-files, and its path to --agent"
                )
            raise AgentError(said)
        if self._refused:  # Codex gives up when its conversation is too long
            self.refusal = self._refused[-1].refusal
            return self._refused[-1].reason
        return SUBMITTED if code == 0 else FAILED
