"""The conversations that an agent of another maker had with its model, as one list of messages.

Such an agent sends a whole conversation with each request. Most requests extend the last one, by
what the model answered and what its tools returned. Some do not: agents ask short questions aside,
start sub-agents, and shorten a long history. Each of these begins a conversation of its own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from forager.agent.model import Reply
from forager.agent.wires.chat import text
from forager.trajectories.record import Message, ModelCall, ToolCall
from forager.untrusted import Malformed, json_object, json_value


@dataclass
class Conversation:
    """One conversation. Indices in calls count from its own first message."""

    tools: list[dict[str, Any]]
    messages: list[Message] = field(default_factory=list)
    model_calls: list[ModelCall] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    keys: list["_Key"] = field(default_factory=list)
    unheard: Reply | None = None
    """The last answer, if the agent did not get it."""

    def say(self, message: Message, heard: Message | None = None) -> None:
        """Add a message, of which the agent knows as much as `heard` says."""
        self.keys.append(_key(heard or message))
        self.messages.append(message)

    def hear(self, messages: Sequence[Message], seconds: float) -> None:
        """Add what an agent sends after an answer; its tools took so many seconds together."""
        results = [message for message in messages if message["role"] == "tool"]
        made = {call["id"]: call for call in self._last_calls()}
        for message in messages:
            called = made.get(str(message.get("tool_call_id")))
            if message["role"] == "tool" and called:
                share = round(seconds / len(results), 4)
                self.tool_calls.append(_tool_call(called, len(self.messages), share))
            self.say(message)

    def _last_calls(self) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = self.messages[-1].get("tool_calls") or []
        return calls if self.messages else []


class Conversations:
    """All conversations of an attempt, in the order in which they began."""

    def __init__(self) -> None:
        self.all: list[Conversation] = []
        self.characters = 0
        """Of all messages that are kept."""

    def continued(
        self, messages: Sequence[Message], tools: list[dict[str, Any]], seconds: float
    ) -> Conversation:
        """The conversation that a request continues, or a new one; it has the new messages.

        Earlier answers of the model stay as the model gave them: agents send them back without
        parts that the server needs, such as reasoning.
        """
        keys = list(map(_key, messages))
        repeated = [(_repeated(talk.keys, keys), talk) for talk in self.all]
        before, found = max(
            ((place, talk) for place, talk in repeated if place is not None),
            key=lambda begun: (len(begun[1].keys), begun[1].keys == keys[: begun[0]]),
            default=(0, None),
        )
        if found is None:
            found = Conversation(tools)
            self.all.append(found)
        found.unheard = None
        found.tools = [*found.tools, *(tool for tool in tools if tool not in found.tools)]
        self.characters += sum(len(key.exact) for key in keys[before:])
        if before:
            found.hear(messages[before:], seconds)
        else:
            for message in messages:
                found.say(message)
        return found

    def unheard(self, messages: Sequence[Message]) -> Reply | None:
        """The answer that an agent did not get, and asks for again."""
        keys = list(map(_key, messages))
        lost = (talk for talk in self.all if talk.unheard)
        again = (talk.unheard for talk in lost if _repeated(talk.keys[:-1], keys) == len(keys))
        return next(again, None)

    def _in_order(self) -> list[Conversation]:
        """Those of several calls first: they are the work, and the others are questions aside."""
        return sorted(self.all, key=lambda talk: len(talk.model_calls) <= 1)

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tools of the first conversation."""
        ordered = self._in_order()
        return ordered[0].tools if ordered else []

    @property
    def messages(self) -> list[Message]:
        """The messages of all conversations, one after the other."""
        return [message for talk in self._in_order() for message in talk.messages]

    @property
    def model_calls(self) -> list[ModelCall]:
        """The requests, with indices in `messages`."""
        found, at = list[ModelCall](), 0
        for talk in self._in_order():
            for call in talk.model_calls:
                found.append(call.model_copy(update={"opens": at, "message": at + call.message}))
            at += len(talk.messages)
        return found

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The calls of tools, with indices in `messages`."""
        found, at = list[ToolCall](), 0
        for talk in self._in_order():
            found += [
                call.model_copy(update={"message": at + call.message}) for call in talk.tool_calls
            ]
            at += len(talk.messages)
        return found


_NOTHING = json.dumps(["assistant", "", [], []])  # what an empty answer has in common with others


class _Key(NamedTuple):
    """What two copies of a message have in common, though agents change what they send back."""

    exact: str
    """Roles, texts without white space, and calls."""
    calls: str
    """Names and ids of the calls; empty without calls. Claude Code completes their arguments."""

    def is_like(self, other: "_Key") -> bool:
        """Whether these are copies of one message."""
        return self.exact == other.exact or bool(self.calls and self.calls == other.calls)


def _key(message: Message) -> _Key:
    calls = message.get("tool_calls") or ()
    content = message.get("content")
    words = "".join(text(content).split()) if isinstance(content, (str, list)) else ""
    pictures = [
        part
        for part in (content if isinstance(content, list) else ())
        if isinstance(part, dict) and "text" not in part
    ]
    made = [[call["function"]["name"], _value(call["function"]["arguments"])] for call in calls]
    named = [[call["function"]["name"], call["id"]] for call in calls]
    return _Key(
        json.dumps([message["role"], words, pictures, made], sort_keys=True),
        json.dumps(named) if named else "",
    )


def _repeated(begun: Sequence[_Key], asked: Sequence[_Key]) -> int | None:
    """How many of these messages repeat a conversation; None if it goes another way.

    Agents leave out answers that say nothing, but a question alone does not go on from such.
    """
    place = 0
    for key in begun:
        if place < len(asked) and key.is_like(asked[place]):
            place += 1
        elif key.exact != _NOTHING:
            return None
    ended = place == len(asked) and begun[-1:] != asked[-1:]
    return None if ended else place


def _value(arguments: str) -> Any:
    """The arguments of a call; the text itself if it is not JSON."""
    try:
        return json_value(arguments, len(arguments))
    except Malformed:
        return arguments


def _tool_call(call: dict[str, Any], message: int, seconds: float) -> ToolCall:
    """The record of a call that the agent executed; only the agent knows its exit code."""
    function = call["function"]
    given = json_object(function["arguments"])
    if given is None:
        given = {"arguments": function["arguments"]}
    return ToolCall(
        message=message,
        tool=function["name"],
        arguments={
            str(name): word if isinstance(word, str) else json.dumps(word)
            for name, word in given.items()
        },
        seconds=seconds,
    )
