"""Anthropic's messages. Thinking is kept whole, with its signature, and sent back as it came.

https://docs.anthropic.com/en/api/messages
"""

import json
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from forager.agent.wires.chat import call, completion, given, joined, objects, text
from forager.trajectories.record import Message
from forager.untrusted import json_object

VERSION = "2023-06-01"
_MAX_TOKENS = 16_384  # the field is required
_THINKING = ("thinking", "redacted_thinking")
_FINISH = {"tool_use": "tool_calls", "max_tokens": "length", "refusal": "content_filter"}
_STOP = {"tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}
_CACHED = {"cache_control": {"type": "ephemeral"}}
_OWN = ("messages", "tools", "stop", "max_tokens", "tool_choice", "parallel_tool_calls")
CHOICES = {"auto": "auto", "none": "none", "required": "any"}
"""The names of choices of a tool in chat completions, and in messages."""


def request(body: dict[str, Any]) -> dict[str, Any]:
    """Write a request. What precedes the last message is marked to be cached."""
    said: list[Message] = body["messages"]
    system = [joined(message.get("content")) for message in takewhile(_is_system, said)]
    turns = _turns(said[len(system) :])
    made = {
        **{name: value for name, value in body.items() if name not in _OWN},
        "max_tokens": body.get("max_tokens") or _MAX_TOKENS,
        "messages": _with_mark(turns),
    }
    if any(system):
        made["system"] = [{"type": "text", "text": "\n\n".join(filter(None, system)), **_CACHED}]
    if tools := body.get("tools"):
        made["tools"] = [_tool(tool["function"]) for tool in tools]
    if tools and "tool_choice" in body:
        made["tool_choice"] = _choice(body["tool_choice"])
    if body.get("stop"):
        made["stop_sequences"] = body["stop"]
    return made


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """Read an answer."""
    message = assistant(objects(body.get("content"), "content"))
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    cached = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    counts = [usage.get(name) or 0 for name in cached]
    prompt = sum(count for count in counts if isinstance(count, int))
    reason = str(body.get("stop_reason") or "end_turn")
    finish = _FINISH.get(reason, "stop" if reason in ("end_turn", "stop_sequence") else reason)
    return completion(message, finish, prompt, usage.get("output_tokens"))


def answered(body: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Write the answer to an agent's request."""
    del asked
    choice, usage = body["choices"][0], body["usage"]
    return {
        "id": str(body.get("id") or "msg_0"),
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": _blocks(choice["message"]) or [{"type": "text", "text": ""}],
        "stop_reason": _STOP.get(choice["finish_reason"], "end_turn"),
        "stop_sequence": None,
        "usage": {
            "input_tokens": usage.get("prompt_tokens") or 0,
            "output_tokens": usage.get("completion_tokens") or 0,
        },
    }


def events(answer: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the events of an answer, each block in one delta."""
    start = {**answer, "content": [], "stop_reason": None}
    yield "message_start", {"type": "message_start", "message": start}
    for index, block in enumerate(answer["content"]):
        empty, deltas = _deltas(block)
        begun = {"type": "content_block_start", "index": index, "content_block": empty}
        yield "content_block_start", begun
        for delta in deltas:
            step = {"type": "content_block_delta", "index": index, "delta": delta}
            yield "content_block_delta", step
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    delta = {name: answer[name] for name in ("stop_reason", "stop_sequence")}
    yield "message_delta", {"type": "message_delta", "delta": delta, "usage": answer["usage"]}
    yield "message_stop", {"type": "message_stop"}


def error(kind: str, message: str) -> dict[str, Any]:
    """An error. Agents know a conversation that is too long by Anthropic's words."""
    if kind == "context_length_exceeded":
        kind, message = "invalid_request_error", f"prompt is too long: {message}"
    return {"type": "error", "error": {"type": kind, "message": message}}


def _is_system(message: Message) -> bool:
    return bool(message["role"] == "system")


def _turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The conversation in turns of user and assistant; results of tools are the user's."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = _result(message) if message["role"] == "tool" else _blocks(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


def _with_mark(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The turns, of which the last block says: cache up to here."""
    if turns and turns[-1]["content"][-1]["type"] not in _THINKING:
        turns[-1]["content"][-1] = {**turns[-1]["content"][-1], **_CACHED}
    return turns


def _blocks(message: Message) -> list[dict[str, Any]]:
    """Thinking, text and calls of a message."""
    details = message.get("reasoning_details")
    found = [
        block
        for block in (details if isinstance(details, list) else ())
        if isinstance(block, dict) and block.get("type") in _THINKING
    ]
    content = message.get("content")
    for part in content if isinstance(content, list) else [{"type": "text", "text": text(content)}]:
        found += _block(part)
    for made in message.get("tool_calls") or ():
        function = made["function"]
        given = {
            "id": made["id"],
            "name": function["name"],
            "input": json_object(function["arguments"]) or {},
        }
        found.append({"type": "tool_use", **given})
    return found


def _block(part: dict[str, Any]) -> list[dict[str, Any]]:
    """A text that is not blank, or a picture."""
    if part.get("type") == "image_url":
        url = str(part["image_url"].get("url"))
        form, _, data = url.partition(";base64,")
        known = {"type": "base64", "media_type": form[len("data:") :], "data": data}
        return [{"type": "image", "source": known if data else {"type": "url", "url": url}}]
    return [{"type": "text", "text": part["text"]}] if part.get("text", "").strip() else []


def _result(message: Message) -> list[dict[str, Any]]:
    words = text(message.get("content"))
    id = message.get("tool_call_id")
    return [{"type": "tool_result", "tool_use_id": id, "content": words or "(no output)"}]


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    return {**given(function, "name", "description"), "input_schema": schema}


def _choice(choice: Any) -> dict[str, Any]:
    if isinstance(choice, dict):
        return {"type": "tool", "name": (choice.get("function") or {}).get("name")}
    return {"type": CHOICES.get(str(choice), "auto")}


def assistant(blocks: list[dict[str, Any]]) -> Message:
    """The message of an assistant's blocks."""
    message: Message = {
        "role": "assistant",
        "content": text([block for block in blocks if block.get("type") == "text"]),
    }
    thinking = [block for block in blocks if block.get("type") in _THINKING]
    if thinking:
        words = [block.get("thinking") for block in thinking]
        thoughts = "\n".join(word for word in words if isinstance(word, str))
        message |= {"reasoning_content": thoughts} if thoughts else {}
        message["reasoning_details"] = thinking
    calls = [block for block in blocks if block.get("type") == "tool_use"]
    if calls:
        made = [call(block.get("id"), block.get("name"), block.get("input")) for block in calls]
        message["tool_calls"] = made
    return message


def _deltas(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as a stream has it: empty at first, and what follows."""
    kind = block["type"]
    if kind == "text":
        return {**block, "text": ""}, [{"type": "text_delta", "text": block["text"]}]
    if kind == "tool_use":
        words = json.dumps(block["input"])
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": words}]
    if kind == "thinking":
        thoughts = {"type": "thinking_delta", "thinking": block.get("thinking") or ""}
        signed = {"type": "signature_delta", "signature": block.get("signature") or ""}
        return {"type": kind, "thinking": "", "signature": ""}, [thoughts, signed]
    return block, []
