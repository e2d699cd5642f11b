"""An agent of another maker at work in the sandbox, and a record of what its model was asked.

The agent is a command. It runs as the sandbox's user, without a network, with the sandbox's limits:
nothing of it runs on this machine. A program next to it takes the requests that it makes to its
model, in any of the forms of `wires`, and this process answers them with the model of the run, over
the shell of the sandbox. Keys and addresses stay here.

What an agent sends is untrusted. It can spend the turns, tokens and time of its attempt, no more.
"""

import json
import re
import secrets
import shlex
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from forager.agent.conversations import Conversation, Conversations
from forager.agent.faults import only_foreseen
from forager.agent.loop import called
from forager.agent.model import Model, Reply, tuned
from forager.agent.wires import WIRES, Body, Wire, stream
from forager.errors import (
    AgentError,
    AttemptEnd,
    LimitReached,
    PromptRefused,
    SandboxError,
    UsageError,
)
from forager.programs import program
from forager.sandboxes.sandbox import Sandbox
from forager.text import ending
from forager.trajectories.budget import budget_after
from forager.trajectories.record import (
    AttemptLimits,
    ForeignAgent,
    Message,
    ModelCall,
    Sampling,
    ToolCall,
)
from forager.untrusted import Malformed, Report, json_value, record

SUBMITTED, FAILED = "submitted", "agent_failed"
"""Exit reasons: the command ended with the exit code 0, or with another."""

_NOT_FOUND = (126, 127)  # bash: not executable, not found
_LONGEST = 16 << 20  # characters of a request
_KEPT = 64 << 20  # characters of all messages of an attempt
_WAIT = 10.0  # seconds of one wait for a request
_REFUSALS = 3  # in a row, after which an agent does not shorten its conversation
_LOG_BYTES = 16_384
_EVENTS = 4096  # characters
_FORMS = re.compile(r"(?:/v1)?(/chat/completions|/responses|/messages)")
_BY_PATH = {wire.path: wire for wire in WIRES.values()}
_LIMITS = {"token_limit": "context_length_exceeded", "content_filter": "content_filter"}
_SAMPLING = ("temperature", "top_p", "max_tokens", "seed", "stop")


class _Event(Report):
    """What the gateway says: a request, nothing yet, or the agent's end."""

    kind: str
    number: int = 0
    path: str = ""
    code: int | None = None


_EVENT = TypeAdapter(_Event)


class CommandAgent:
    """One attempt by a command, which starts in the shell's directory; implements Acting."""

    def __init__(
        self, command: str, model: Model, name: str, sandbox: Sandbox, limits: AttemptLimits
    ) -> None:
        self._command, self._model, self._name = command, model, name
        self._sandbox, self._limits = sandbox, limits
        self._conversations = Conversations()
        self._place = f"/tmp/agent-{secrets.token_hex(8)}"
        self._deadline = self._answered_at = 0.0
        self._refused = 0
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
            self._start(problem_statement)
        try:
            code = self._served()
        except AttemptEnd as end:
            self.refusal = end.refusal
            self.foreign = ForeignAgent(command=self._command, log=self._log())
            return end.reason
        return self._over(code)

    def _start(self, problem_statement: str) -> None:
        """Start the gateway, and the agent as its child."""
        setup = {
            "command": self._command,
            "model": self._name,
            "prompt": problem_statement,
        }
        made = self._sandbox.run(f"mkdir -m 700 {self._place}")
        if made.exit_code:
            raise SandboxError(f"cannot make a directory: {made.output.strip()}")
        write = self._sandbox.write
        write(f"{self._place}/gateway.py", program("gateway"))
        write(f"{self._place}/prompt.txt", problem_statement.encode("utf-8", "replace"))
        write(f"{self._place}/setup.json", json.dumps(setup).encode())
        self._sandbox.run(
            f"( {self._gateway('serve', self._place)} >{self._place}/gateway.log 2>&1 & ); "
            f"for i in {{1..200}}; do [ -S {self._place}/control ] && break; sleep 0.05; done"
        )

    def _gateway(self, *words: str) -> str:
        return f"python3 -I -S {self._place}/gateway.py {shlex.join(words)}"

    def _served(self) -> int | None:
        """Answer requests until the agent has ended; return its exit code."""
        answered = 0
        while True:
            self._check_time()
            event = self._next(answered)
            if event is None or event.kind == "ended":
                return event.code if event else None
            answered = event.number if event.kind == "request" else 0
            if answered:
                self._answer(event)

    def _next(self, answered: int) -> _Event | None:
        """The next event; None if the gateway is gone."""
        seconds = max(0.1, min(_WAIT, self._deadline - time.monotonic()))
        command = self._gateway("next", self._place, str(answered), f"{seconds:.1f}")
        with only_foreseen():
            result = self._sandbox.run(command, timeout=seconds + 60, output_limit=2 * _EVENTS)
            try:
                return record(_EVENT, result.output.strip(), _EVENTS)
            except Malformed:
                return None

    def _answer(self, event: _Event) -> None:
        """Answer a request. Raises LimitReached and ModelError."""
        known = _FORMS.fullmatch(event.path)
        if known is None:
            self._send(event, 404, WIRES["chat"].error("not_found", f"there is no {event.path}"))
            return
        wire = _BY_PATH[known[1]]
        with only_foreseen():
            try:
                body, asked = self._request(event, wire)
            except (OSError, Malformed) as error:
                self._send(event, 400, wire.error("invalid_request_error", str(error)))
                return
        try:
            answer = wire.answered(self._completion(asked, body))
        except LimitReached as end:
            self._refuse(event, wire, end)
            return
        except PromptRefused as error:
            if not self._answered_at:
                raise
            self._refuse(event, wire, LimitReached("token_limit", str(error)))
            return
        self._refused = 0
        self._send(event, 200, stream(wire, answer) if body.get("stream") is True else answer)

    def _request(self, event: _Event, wire: Wire) -> tuple[Body, Body]:
        """A request as the agent wrote it, and in the form of chat completions.

        Raises Malformed, and OSError if it is gone.
        """
        data = self._sandbox.read(f"{self._place}/{event.number}.request")
        try:
            body = json_value(data.decode(), _LONGEST)
        except UnicodeDecodeError as error:
            raise Malformed(str(error)) from error
        if not isinstance(body, dict):
            raise Malformed("the request is not a JSON object")
        return body, wire.asked(body)

    def _refuse(self, event: _Event, wire: Wire, end: LimitReached) -> None:
        """Tell the agent that the conversation is too long; it may shorten it, and go on.

        Raises the end of an attempt whose limits are reached, or that asks on and on.
        """
        self._refused += 1
        if end.reason not in _LIMITS or not end.refusal or self._refused >= _REFUSALS:
            raise end
        self._send(event, 400, wire.error(_LIMITS[end.reason], end.refusal))

    def _completion(self, asked: Body, body: Body) -> Body:
        """Ask the model, and keep question and answer; the answer as a chat completion."""
        self._check_limits()
        now = time.monotonic()
        seconds = now - self._answered_at if self._answered_at else 0.0
        conversation = self._conversations.continued(asked["messages"], asked["tools"], seconds)
        if self._conversations.characters > _KEPT:
            raise LimitReached("token_limit")
        reply = self._asked(conversation, asked)
        conversation.say(reply.message)
        call = called(reply, len(conversation.messages) - 1, time.monotonic() - now)
        conversation.model_calls.append(call)
        self._answered_at = time.monotonic()
        return {
            "id": f"forager-{len(self.model_calls)}",
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

    def _asked(self, conversation: Conversation, asked: Body) -> Reply:
        """The model's answer; time spent waiting extends the deadline."""
        rest = {name: asked[name] for name in asked if name not in ("messages", "tools")}
        own = {name: rest.pop(name) for name in _SAMPLING if name in rest}
        try:
            wanted = Sampling(**own, extra_body=rest)
        except ValueError:  # the agent's own values make no sense: the run's hold
            wanted = Sampling()
        model = tuned(self._model, wanted)
        reply = model.query(conversation.messages, asked["tools"], conversation.tool_calls)
        self._deadline += reply.waited
        return reply

    def _check_limits(self) -> None:
        budget = budget_after(self._limits, self.model_calls)
        if budget.turns_left <= 0:
            raise LimitReached("turn_limit")
        if budget.tokens_left <= 0:
            raise LimitReached("token_limit")

    def _check_time(self) -> None:
        if time.monotonic() >= self._deadline:
            raise LimitReached("time_limit")

    def _send(self, event: _Event, status: int, content: Body | str) -> None:
        """Leave an answer where the gateway finds it."""
        streamed = isinstance(content, str)
        form = "text/event-stream" if streamed else "application/json"
        text = content if isinstance(content, str) else json.dumps(content)
        data = f"{status} {form}\n{text}".encode("utf-8", "replace")
        with suppress(OSError):  # the agent has removed the directory: it gets no answer
            self._sandbox.write(f"{self._place}/{event.number}.answer", data)

    def _over(self, code: int | None) -> str:
        """The exit reason of a command that has ended.

        Raises AgentError if it asked nothing, and UsageError if there is no such command.
        """
        log = self._log()
        self.foreign = ForeignAgent(command=self._command, exit_code=code, log=log)
        if code and not self._conversations.all:
            said = f"the agent ended with exit code {code} before its first request: {ending(log)}"
            if code in _NOT_FOUND:
                raise UsageError(
                    f"{said}; give its files by --agent-files, and its path to --agent"
                )
            raise AgentError(said)
        return FAILED if code else SUBMITTED

    def _log(self) -> str:
        """The end of what the agent printed."""
        command = f"tail -c {_LOG_BYTES} {self._place}/log"
        return self._sandbox.run(command, output_limit=4 * _LOG_BYTES).output
