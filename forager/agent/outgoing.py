"""Messages as they are sent: servers refuse some of what they, or other servers, answered before.

Records keep each answer as the server gave it.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import dropwhile, groupby
from operator import itemgetter
from typing import Any

from forager.agent.wires.chat import REASONING
from forager.trajectories.record import Message
from forager.untrusted import json_object

NO_ANSWER = "(no answer)"
"""Stands for an answer without text and calls, which llama.cpp, Mistral and others refuse."""


def outgoing(message: Message, *, calls: bool, reasoning: bool, empty: bool) -> Message:
    """The message as it is sent: with valid calls, and text or calls.

    Without `calls` the request offers no tools, so a call that the model made all the same has no
    answer and is left out. Without `reasoning` what the model thought stays here. With `empty` an
    empty answer is sent as the server gave it, so that the ids of the next prompt extend those of
    the last.
    """
    if message.get("role") != "assistant":
        return message
    sent = dict(message)
    made = sent.pop("tool_calls", None)
    if made and calls:
        sent["tool_calls"] = [_mended(call) for call in made]
    elif not empty and _is_blank(message):
        sent["content"] = NO_ANSWER
    if not reasoning:
        for name in REASONING:
            sent.pop(name, None)
    return sent


def plain(messages: Sequence[Message]) -> list[Message]:
    """A conversation in the form that the strictest servers take.

    Answers hold their text and their calls alone: no reasoning, no blank text next to calls. Names
    of tools are identifiers, and ids of calls are unique and have nine letters and digits
    (Mistral's rule). The system speaks once, at the beginning, and no user twice in a row, as chat
    templates demand; agents of other makers keep to neither.
    """
    made: list[Message] = []
    waiting: list[tuple[str, str]] = []  # ids of calls without a result, and their new ones
    number = 0
    for message in _alternating(messages):
        if message.get("role") == "tool":
            made.append({**message, "tool_call_id": _taken(waiting, message.get("tool_call_id"))})
        elif message.get("role") != "assistant":
            made.append(message)
        else:
            calls = message.get("tool_calls") or []
            names = [f"call{number + place:05d}" for place in range(len(calls))]
            made.append(_plain_answer(message, names))
            waiting = [(call["id"], name) for call, name in zip(calls, names, strict=True)]
            number += len(calls)
    return made


def _taken(waiting: list[tuple[str, str]], id: object) -> str:
    """Take the new id for a result of the call with this id, or else of the first call."""
    pair = next((pair for pair in waiting if pair[0] == id), waiting[0] if waiting else None)
    if pair is None:
        return "call00000"
    waiting.remove(pair)
    return pair[1]


def _alternating(messages: Sequence[Message]) -> Iterator[Message]:
    """Yield the messages, of which those of system or user in a row are one.

    What the system says after others, a user says.
    """
    rest = list(dropwhile(_is_system, messages))
    first = messages[: len(messages) - len(rest)]
    later = [{**message, "role": "user"} if _is_system(message) else message for message in rest]
    for role, group in groupby([*first, *later], itemgetter("role")):
        said = list(group)
        parts = [part for message in said for part in _parts(message)]
        if role not in ("system", "user") or len(said) == 1:
            yield from said
        elif all(part.get("type") == "text" for part in parts):
            yield {"role": role, "content": "\n\n".join(part["text"] for part in parts)}
        else:
            yield {"role": role, "content": parts}


def _is_system(message: Message) -> bool:
    return message.get("role") == "system"


def _parts(message: Message) -> list[dict[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else [{"type": "text", "text": content or ""}]


def _plain_answer(message: Message, ids: list[str]) -> Message:
    blank = _is_blank(message)
    if not ids:
        return {"role": "assistant", "content": NO_ANSWER if blank else message["content"]}
    calls = [
        {**_mended(call), "id": id, "type": "function"}
        for call, id in zip(message["tool_calls"], ids, strict=True)
    ]
    for call in calls:
        name = re.sub(r"[^a-zA-Z0-9_-]", "_", call["function"]["name"])[:64] or "unknown"
        call["function"] = {**call["function"], "name": name}
    return {
        "role": "assistant",
        "content": None if blank else message["content"],
        "tool_calls": calls,
    }


def _is_blank(message: Message) -> bool:
    return not str(message.get("content") or "").strip()


def _mended(call: dict[str, Any]) -> dict[str, Any]:
    """The call; with empty arguments if its own are not a JSON object.

    Servers parse the arguments of earlier calls for their chat template, and refuse the whole
    conversation otherwise. The answer to the call tells the model of its mistake.
    """
    arguments = call["function"]["arguments"]
    if json_object(arguments) is not None:
        return call
    return {**call, "function": {**call["function"], "arguments": "{}"}}
