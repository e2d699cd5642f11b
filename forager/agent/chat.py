"""A model behind an OpenAI-compatible endpoint: requests out, replies in, as plain JSON."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Annotated, Any, TypeVar

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from forager.agent.endpoint import ChatEndpoint, Completed, RequestRefused
from forager.agent.faults import GarbledReply
from forager.agent.model import Reply
from forager.agent.outgoing import outgoing, plain
from forager.agent.traffic import TRAFFIC, RateLimiter
from forager.agent.wires import WIRES
from forager.agent.wires.chat import REASONING
from forager.errors import ForagerError, LimitReached, ModelError, PromptRefused
from forager.records import writable
from forager.trajectories.record import Message, Sampling, ToolCall, Usage

T = TypeVar("T")
_COUNT = TypeAdapter(Annotated[int, Field(ge=0, lt=1 << 53)])
_IDS = TypeAdapter(list[Annotated[int, Field(ge=0, lt=1 << 31)]])
# A drawn token has a finite log-probability. Servers whose JSON has no infinity give null instead;
# training would take a number in its place for the probability of the token.
_LOGPROBS = TypeAdapter(list[FiniteFloat])
_SHORT: Message = {"role": "user", "content": "Say yes."}
_SHORT_TRIES = 3
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

        Raises LimitReached if the server refuses this conversation and takes others, mostly because
        it no longer fits the model's context; PromptRefused if it is the first of an attempt and
        may fit no context; and ModelError if no answer comes.
        """
        del calls
        body = self._body(messages, tools)
        began = time.monotonic()
        try:
            done = self._complete(body)
        except RequestRefused as refused:
            done = self._otherwise(body, refused, began)
        TRAFFIC.accept(done.url, _settings(body))
        return replace(done.value, waited=done.waited)

    def tuned(self, sampling: Sampling) -> "ChatModel":
        """The same model, which samples so where its own settings leave a choice.

        Settings that servers of this form do not know are left out.
        """
        wire = WIRES.get(self.endpoint.api, WIRES["chat"])
        taken = {name: sampling.extra_body[name] for name in wire.settings & {*sampling.extra_body}}
        seed = sampling.seed if wire is WIRES["chat"] else None
        fitting = sampling.model_copy(update={"extra_body": taken, "seed": seed})
        return replace(self, sampling=self.sampling.over(fitting))

    def _complete(self, body: dict[str, Any]) -> Completed[Reply]:
        return self.endpoint.complete(body, self._read, self.limiter)

    def _read(self, answer: dict[str, Any]) -> Reply:
        """What an answer says; ids and log-probabilities only if they were asked for."""
        reply = _reply(answer)
        return _with_tokens(reply, answer) if self.token_ids else reply

    def _otherwise(
        self, body: dict[str, Any], refused: RequestRefused, began: float
    ) -> Completed[Reply]:
        """The answer in another way. Raises LimitReached or ModelError if there is none."""
        for other in self._other_ways(body, refused):
            lost = time.monotonic() - began
            try:
                done = self._complete(other)
                return done._replace(waited=lost + done.waited)
            except RequestRefused as again:
                refused = again
        raise self._meaning(body, refused) from refused

    def _other_ways(
        self, body: dict[str, Any], refused: RequestRefused
    ) -> Iterator[dict[str, Any]]:
        """Yield requests to try: the same if a fault may have passed, and one in plain form."""
        if not refused.at_once:
            if not (_is_later(body) and self._takes_others(body, refused.url)):
                raise refused.lost from refused
            yield body
        messages = plain(body["messages"])
        if not refused.overflow and messages != body["messages"]:
            yield body | {"messages": messages}

    def _meaning(self, body: dict[str, Any], refused: RequestRefused) -> ForagerError:
        """What a refusal means: the end of this attempt, or a fault of the run.

        Words say little: each server has its own for a conversation that is too long. So the
        endpoint is asked whether it takes others under the same settings. If it does, it refuses
        this conversation. A first prompt is refused for its settings, too, such as `max_tokens`;
        what other attempts were allowed tells the difference.
        """
        later = _is_later(body)
        if later and refused.overflow:
            return LimitReached("token_limit")
        known = later or TRAFFIC.accepts(refused.url, _settings(body))
        if known and self._takes_others(body, refused.url):
            reason = "content_filter" if refused.filtered else "token_limit"
            return LimitReached(reason, refused.said)
        if later:
            return refused.lost
        if refused.overflow:
            return PromptRefused(
                f"the first prompt does not fit the context of {self.name}: {refused.said}; serve "
                "it with a longer context, or lower max_tokens"
            )
        return PromptRefused(str(refused.lost))

    def _takes_others(self, body: dict[str, Any], url: str) -> bool:
        """Whether the endpoint takes a short conversation under the same settings."""
        tries = min(self.endpoint.tries, _SHORT_TRIES)
        endpoint = replace(self.endpoint, url=url, others=(), tries=tries)
        try:
            endpoint.complete(body | {"messages": [_SHORT]}, _reply, self.limiter)
        except (ModelError, RequestRefused):
            return False
        return True

    def _body(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> dict[str, Any]:
        settings = self.sampling.model_dump(exclude={"extra_body"}, exclude_none=True)
        body: dict[str, Any] = {
            "model": self.name,
            "messages": [
                outgoing(
                    message,
                    calls=bool(tools),
                    reasoning=self.send_reasoning,
                    empty=self.token_ids,
                )
                for message in messages
            ],
            **settings,
        }
        if tools:
            body["tools"] = list(tools)
        if self.token_ids:
            body |= {"return_token_ids": True, "logprobs": True}
        return body | self.sampling.extra_body


def _is_later(body: Mapping[str, Any]) -> bool:
    return any(message.get("role") == "assistant" for message in body["messages"])


def _settings(body: Mapping[str, Any]) -> str:
    """All of a request but its conversation and its seed, as text."""
    given = {name: value for name, value in body.items() if name not in ("messages", "seed")}
    return json.dumps(given, sort_keys=True)


def _reply(answer: dict[str, Any]) -> Reply:
    """What an answer says. Raises GarbledReply where a record could not hold it."""
    choice = answer["choices"][0]
    return Reply(
        message=_message(choice["message"]),
        usage=_usage(answer.get("usage")),
        finish_reason=_sound(str(choice.get("finish_reason") or "stop")),
    )


def _with_tokens(reply: Reply, answer: dict[str, Any]) -> Reply:
    """The reply with the exact tokens. Raises GarbledReply for others than vLLM's fields."""
    choice = answer["choices"][0]
    prompt = answer.get("prompt_token_ids") or choice.get("prompt_token_ids")
    return replace(
        reply,
        prompt_token_ids=_maybe(_IDS, prompt, "prompt_token_ids"),
        completion_token_ids=_maybe(_IDS, choice.get("token_ids"), "token_ids"),
        logprobs=_logprobs(choice.get("logprobs")),
    )


def _message(given: dict[str, Any]) -> Message:
    """The fields of the server's message that can be sent back."""
    message: Message = {"role": "assistant"}
    if "content" in given:
        message["content"] = _text(given["content"])
    message |= {name: given[name] for name in REASONING if given.get(name)}
    calls = given.get("tool_calls")
    if isinstance(calls, list) and calls:
        message["tool_calls"] = [_call(call, number) for number, call in enumerate(calls)]
    sound: Message = _sound(message)
    return sound


def _text(content: object) -> str | None:
    """The text of a content, which some servers give in parts; None stays None.

    Servers without text next to a call give null, and some refuse an empty text instead.
    """
    if content is None:
        return None
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
