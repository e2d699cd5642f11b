"""OpenAI's chat completions: the form that forager uses itself.

https://platform.openai.com/docs/api-reference/chat
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from forager.trajectories.record import Message
from forager.untrusted import Malformed

REASONING = ("reasoning_content", "reasoning", "reasoning_details")
"""The fields in which servers put what the model thought before it answered."""

_SAMPLING = ("temperature", "top_p", "seed", "max_tokens")
MORE = (
    *("tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort"),
    *("chat_template_kwargs", "frequency_penalty", "presence_penalty", "top_k"),
)
_ROLES = {"system": "system", "developer": "system", "user": "user", "tool": "tool"}


def same(body: dict[str, Any]) -> dict[str, Any]:
    """The body itself."""
    return body


def asked(body: dict[str, Any]) -> dict[str, Any]:
    """The request of an agent, with the fields that forager passes on."""
    found: dict[str, Any] = {
        "messages": [_message(message) for message in objects(body.get("messages"), "messages")],
        "tools": objects(body.get("tools") or [], "tools"),
        **given(body, *_SAMPLING, *MORE),
        **stops(body.get("stop")),
    }
    if "max_completion_tokens" in body:
        found["max_tokens"] = body["max_completion_tokens"]
    return found


def answered(body: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """The answer to an agent's request, as it is."""
    del asked
    return body


def events(answer: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the chunks of an answer: the whole message, then its end and the usage."""
    choice = answer["choices"][0]
    head: dict[str, Any] = {
        name: answer[name] for name in ("id", "created", "model") if name in answer
    }
    chunk = {**head, "object": "chat.completion.chunk"}
    delta = dict(choice["message"])
    if calls := delta.get("tool_calls"):
        delta["tool_calls"] = [{"index": place, **call} for place, call in enumerate(calls)]
    yield "", {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    end: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
    yield "", {**chunk, "choices": [end]}
    yield "", {**chunk, "choices": [], "usage": answer["usage"]}


def error(kind: str, message: str) -> dict[str, Any]:
    """An error, with its kind as the code too: agents look for `context_length_exceeded` there."""
    return {"error": {"message": message, "type": kind, "param": None, "code": kind}}


def objects(value: object, name: str) -> list[dict[str, Any]]:
    """The value as a list of JSON objects. Raises Malformed."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Malformed(f"{name!r} is not a list of objects")
    return value


def given(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The fields that are there and not null."""
    return {name: body[name] for name in names if body.get(name) is not None}


def stops(value: object) -> dict[str, Any]:
    """The texts that end a completion, as a field; nothing if there are none."""
    return {"stop": value if isinstance(value, list) else [value]} if value else {}


def text(content: object) -> str:
    """The text of a content, which may come in parts of several types."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def call(id: object, name: object, arguments: object) -> dict[str, Any]:
    """A tool call."""
    words = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    function = {"name": str(name or ""), "arguments": words or "{}"}
    return {"id": str(id or ""), "type": "function", "function": function}


def completion(
    message: Message, finish: str, prompt_tokens: object, completion_tokens: object
) -> dict[str, Any]:
    """An answer."""
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def _message(message: dict[str, Any]) -> Message:
    """A message of an agent, with the fields that servers know."""
    role = str(message.get("role"))
    if role == "assistant":
        said = message.get("content")
        made: Message = {"role": role, "content": None if said is None else text(said)}
        made |= given(message, *REASONING)
        if calls := message.get("tool_calls"):
            made["tool_calls"] = _calls(objects(calls, "tool_calls"))
        return made
    if role not in _ROLES:
        raise Malformed(f"a message has the role {role!r}")
    made = {"role": _ROLES[role], "content": content_of(message.get("content"))}
    return made | given(message, "tool_call_id", "name")


def content_of(content: object) -> str | list[dict[str, Any]]:
    """The content of a message that an agent wrote: a text, or parts if there are pictures."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    parts = [_part(part) for part in content if isinstance(part, dict)]
    if all(part["type"] == "text" for part in parts):
        return joined(parts)
    return parts


def joined(content: object) -> str:
    """The text of a content whose parts an agent wrote: each begins a line."""
    if isinstance(content, list):
        parts = [text([part]) for part in content]
        return "\n".join(part for part in parts if part)
    return text(content)


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """A part in the form of chat completions; a word for kinds that servers seldom take."""
    if isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    source, url = part.get("source"), part.get("image_url")
    if isinstance(source, dict) and part.get("type") == "image":
        data = f"data:{source.get('media_type')};base64,{source.get('data')}"
        url = source.get("url") or data
    if isinstance(url, str):
        url = {"url": url}
    if isinstance(url, dict):
        return {"type": "image_url", "image_url": url}
    return {"type": "text", "text": f"[left out: {part.get('type')}]"}


def _calls(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    functions = [made.get("function") for made in calls]
    sound = [function if isinstance(function, dict) else {} for function in functions]
    return [
        call(made.get("id"), function.get("name"), function.get("arguments"))
        for made, function in zip(calls, sound, strict=True)
    ]
