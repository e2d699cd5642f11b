"""A model behind an OpenAI-compatible endpoint: requests out, replies in, as plain JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Annotated, Any, TypeVar

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from forager.agent.endpoint import ChatEndpoint, ContextOverflow
from forager.agent.faults import GarbledReply
from forager.agent.model import Reply
from forager.agent.traffic import RateLimiter
from forager.errors import LimitReached, ModelRefusal
from forager.records import writable
from forager.trajectories.record import Message, Sampling, ToolCall, Usage
from forager.untrusted import Malformed, json_value

REASONING = ("reasoning_content", "reasoning", "reasoning_details")
"""The fields in which servers put what the model thought before it answered."""

T = TypeVar("T")
_COUNT = TypeAdapter(Annotated[int, Field(ge=0, lt=1 << 53)])
_IDS = TypeAdapter(list[Annotated[int, Field(ge=0, lt=1 << 31)]])
# A drawn token has a finite log-probability. Servers whose JSON has no infinity give null instead;
# training would take a number in its place for the probability of the token.
_LOGPROBS = TypeAdapter(list[FiniteFloat])
_DEEPEST = 100  # levels of a message; records are read to 200


@dataclass(frozen=True, slots=True)
class ChatModel:
    """Asks the model `name` at an endpoint; implements Model.

    `limiter`, if there is one, is asked before each request.
    `token_ids` asks vLLM for the exact ids and log-probabilities of prompt and answer.

    Messages keep the reasoning that the server gave, and send it back unchanged: models that think
    between tool calls (DeepSeek, Kimi, GLM, gpt-oss, Qwen) are trained to see it, their chat
    templates drop what they do not want, and the ids of a prompt without it would not extend those
    of the last prompt. `send_reasoning=False` is for servers that refuse the field.
    """

    name: str
    endpoint: ChatEndpoint = field(default_factory=ChatEndpoint)
    sampling: Sampling = field(default_factory=Sampling)
    token_ids: bool = False
    send_reasoning: bool = True
    limiter: RateLimiter | None = None

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        """Answer the conversation; the messages say all that `calls` does.

        Raises LimitReached("token_limit") if the conversation no longer fits the model's context,
        ModelRefusal if even the first prompt does not fit, and ModelError if no answer comes.
        """
        del calls
        try:
            reply, waited = self.endpoint.complete(
                self._body(messages, tools), _reply, self.limiter
            )
        except ContextOverflow as error:
            if any(message.get("role") == "assistant" for message in messages):
                raise LimitReached("token_limit") from error
            raise ModelRefusal(
                f"the first prompt does not fit the context of {self.name}: {error}; serve it with "
                "a longer context, or lower max_tokens"
            ) from error
        return replace(reply, waited=waited)

    def _body(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> dict[str, Any]:
        settings = self.sampling.model_dump(exclude={"extra_body"}, exclude_none=True)
        body: dict[str, Any] = {
            "model": self.name,
            "messages": [self._outgoing(message) for message in messages],
            **settings,
        }
        if tools:
            body["tools"] = list(tools)
        if self.token_ids:
            body |= {"return_token_ids": True, "logprobs": True}
        return body | self.sampling.extra_body

    def _outgoing(self, message: Message) -> Message:
        """The message as it is sent."""
        if message.get("role") != "assistant":
            return message
        calls = message.get("tool_calls") or []
        broken = [call for call in calls if not _is_object(call["function"]["arguments"])]
        if not broken and self.send_reasoning:
            return message
        sent = dict(message)
        if broken:
            sent["tool_calls"] = [_mended(call) if call in broken else call for call in calls]
        if not self.send_reasoning:
            for name in REASONING:
                sent.pop(name, None)
        return sent


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(json_value(arguments, len(arguments)), dict)
    except Malformed:
        return False


def _mended(call: dict[str, Any]) -> dict[str, Any]:
    """A call with empty arguments, for one whose arguments are not a JSON object.

    Servers parse the arguments of earlier calls for their chat template, and refuse the whole
    conversation otherwise. The answer to the call tells the model of its mistake.
    """
    return {**call, "function": {**call["function"], "arguments": "{}"}}


def _reply(answer: dict[str, Any]) -> Reply:
    """What an answer says. Raises GarbledReply where a record could not hold it."""
    choice = answer["choices"][0]
    prompt = answer.get("prompt_token_ids") or choice.get("prompt_token_ids")
    return Reply(
        message=_message(choice["message"]),
        usage=_usage(answer.get("usage")),
        finish_reason=_sound(str(choice.get("finish_reason") or "stop")),
        prompt_token_ids=_maybe(_IDS, prompt, "prompt_token_ids"),
        completion_token_ids=_maybe(_IDS, choice.get("token_ids"), "token_ids"),
        logprobs=_logprobs(choice.get("logprobs")),
    )


def _message(given: dict[str, Any]) -> Message:
    """The fields of the server's message that can be sent back."""
    message: Message = {"role": "assistant", "content": _text(given.get("content"))}
    message |= {name: given[name] for name in REASONING if given.get(name)}
    calls = given.get("tool_calls")
    if isinstance(calls, list) and calls:
        message["tool_calls"] = [_call(call, number) for number, call in enumerate(calls)]
    sound: Message = _sound(message)
    return sound


def _text(content: object) -> str:
    """The text of a content, which some servers give in parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    return str(content) if content else ""


def _call(given: object, number: int) -> dict[str, Any]:
    """A tool call with all its fields; those that the server left out are empty."""
    call: Mapping[str, Any] = given if isinstance(given, dict) else {}
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = function.get("arguments")
    if not isinstance(arguments, str):  # some servers give the object itself
        arguments = _as_text(arguments or {})
    return {
        "id": str(call.get("id") or f"call_{number}"),
        "type": "function",
        "function": {"name": str(function.get("name") or ""), "arguments": arguments or "{}"},
    }


def _as_text(arguments: object) -> str:
    """The arguments as JSON; broken JSON if they have too many levels."""
    try:
        return json.dumps(arguments)
    except RecursionError:
        return "[…]"


def _sound(value: Any, depth: int = 0) -> Any:
    """The value as a record can hold it: servers send JSON that cannot be written again.

    Half characters (lone surrogates) are replaced, and NaN and infinities become null. Raises
    GarbledReply for more levels than can be read again.
    """
    if depth > _DEEPEST:
        raise GarbledReply(f"a message of more than {_DEEPEST} levels")
    if isinstance(value, str):
        return writable(value)
    if isinstance(value, dict):
        return {_sound(name): _sound(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_sound(item, depth + 1) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _usage(given: object) -> Usage:
    counts = given if isinstance(given, dict) else {}
    names = ("prompt_tokens", "completion_tokens")
    return Usage(**{name: _maybe(_COUNT, counts.get(name), name) or 0 for name in names})


def _logprobs(given: object) -> list[float] | None:
    """The log-probability of each token of the answer."""
    content = given.get("content") if isinstance(given, dict) else None
    if not content or not isinstance(content, list):
        return None
    found = [token.get("logprob") if isinstance(token, dict) else None for token in content]
    return _maybe(_LOGPROBS, found, "logprobs")


def _maybe(kind: TypeAdapter[T], given: object, name: str) -> T | None:
    """What the server gave under this name, or None. Raises GarbledReply for another type."""
    try:
        return None if given is None else kind.validate_python(given)
    except ValidationError as error:
        raise GarbledReply(f"{name}: {error.errors()[0]['msg']}") from error
