"""OpenAI's responses. Reasoning is kept as items, encrypted, and sent back before what it led to.

https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Iterator, Sequence
from typing import Any

from forager.agent.wires.chat import all_text, call, completion, given, objects, text
from forager.trajectories.record import Message
from forager.untrusted import Malformed

_OWN = ("messages", "tools", "max_tokens", "tool_choice", "reasoning_effort")
_ROLES = {"system": "system", "developer": "system", "user": "user"}


def request(body: dict[str, Any]) -> dict[str, Any]:
    """Write a request, after which the server keeps nothing."""
    made = {
        **{name: value for name, value in body.items() if name not in _OWN},
        "input": _items(body["messages"]),
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    if tools := body.get("tools"):
        made["tools"] = [
            {"type": "function", "strict": False, **tool["function"]} for tool in tools
        ]
    if tools and "tool_choice" in body:
        made["tool_choice"] = _choice(body["tool_choice"])
    if body.get("max_tokens"):
        made["max_output_tokens"] = body["max_tokens"]
    if body.get("reasoning_effort"):
        made["reasoning"] = {"effort": body["reasoning_effort"]}
    return made


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """Read an answer."""
    items = objects(body.get("output"), "output")
    message = _assistant(items)
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    cut = body.get("incomplete_details")
    reason = cut.get("reason") if isinstance(cut, dict) else None
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    return completion(
        message,
        {"max_output_tokens": "length"}.get(str(reason), str(reason)) if reason else finish,
        usage.get("input_tokens"),
        usage.get("output_tokens"),
    )


def asked(body: dict[str, Any]) -> dict[str, Any]:
    """Read an agent's request. What another request has stored is unknown here."""
    if body.get("previous_response_id") or body.get("conversation"):
        raise Malformed("previous_response_id is not supported: send the whole input")
    instructions = body.get("instructions")
    found: list[Message] = [{"role": "system", "content": instructions}] if instructions else []
    told = body.get("input")
    if isinstance(told, str):
        found.append({"role": "user", "content": told})
    else:
        found += _messages(objects(told, "input"))
    tools = [tool for tool in objects(body.get("tools") or [], "tools") if _is_function(tool)]
    effort = body.get("reasoning")
    return {
        "messages": found,
        "tools": [{"type": "function", "function": _function(tool)} for tool in tools],
        **given(body, "temperature", "top_p", "parallel_tool_calls"),
        **({"max_tokens": body["max_output_tokens"]} if body.get("max_output_tokens") else {}),
        **({"tool_choice": _asked_choice(body["tool_choice"])} if body.get("tool_choice") else {}),
        **(
            {"reasoning_effort": effort["effort"]}
            if isinstance(effort, dict) and effort.get("effort")
            else {}
        ),
    }


def answered(body: dict[str, Any]) -> dict[str, Any]:
    """Write the answer to an agent."""
    choice, usage = body["choices"][0], body["usage"]
    prompt, made = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    cut = choice["finish_reason"] in ("length", "content_filter")
    reason = "max_output_tokens" if choice["finish_reason"] == "length" else "content_filter"
    id = str(body.get("id") or "0")
    return {
        "id": f"resp_{id}",
        "object": "response",
        "created_at": body.get("created") or 0,
        "model": body.get("model"),
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": reason} if cut else None,
        "error": None,
        "output": _output(choice["message"], id),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": prompt,
            "output_tokens": made,
            "total_tokens": prompt + made,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }


def events(answer: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the events of an answer, each text and each call in one delta."""
    number = 0

    def event(name: str, **fields: Any) -> tuple[str, dict[str, Any]]:
        nonlocal number
        number += 1
        return name, {"type": name, "sequence_number": number - 1, **fields}

    begun = {**answer, "status": "in_progress", "output": [], "usage": None}
    yield event("response.created", response=begun)
    for index, item in enumerate(answer["output"]):
        place = {"item_id": item["id"], "output_index": index}
        empty: dict[str, Any] = {"content": []} if item["type"] == "message" else {}
        yield event(
            "response.output_item.added",
            output_index=index,
            item={**item, **empty, "status": "in_progress"},
        )
        if item["type"] == "message":
            part = item["content"][0]
            at = {**place, "content_index": 0}
            yield event("response.content_part.added", **at, part={**part, "text": ""})
            yield event("response.output_text.delta", **at, delta=part["text"], logprobs=[])
            yield event("response.output_text.done", **at, text=part["text"], logprobs=[])
            yield event("response.content_part.done", **at, part=part)
        elif item["type"] == "function_call":
            words = item["arguments"]
            yield event("response.function_call_arguments.delta", **place, delta=words)
            yield event("response.function_call_arguments.done", **place, arguments=words)
        yield event("response.output_item.done", output_index=index, item=item)
    end = "response.completed" if answer["status"] == "completed" else "response.incomplete"
    yield event(end, response=answer)


def _items(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """A conversation as items: a message of the assistant with its reasoning and its calls."""
    items: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "tool":
            told = {"call_id": message.get("tool_call_id"), "output": text(message.get("content"))}
            items.append({"type": "function_call_output", **told})
        elif message["role"] == "assistant":
            items += _made(message)
        else:
            items.append({"role": message["role"], "content": text(message.get("content"))})
    return items


def _made(message: Message) -> list[dict[str, Any]]:
    """What an assistant made: reasoning, which must precede what it led to, text and calls."""
    items = _reasoning(message)
    if words := text(message.get("content")):
        items.append({"role": "assistant", "content": words})
    for made in message.get("tool_calls") or ():
        items.append({"type": "function_call", "call_id": made["id"], **made["function"]})
    return items


def _reasoning(message: Message) -> list[dict[str, Any]]:
    details = message.get("reasoning_details")
    return [
        item
        for item in (details if isinstance(details, list) else ())
        if isinstance(item, dict) and item.get("type") == "reasoning"
    ]


def _output(message: Message, id: str) -> list[dict[str, Any]]:
    """The items of an answer to an agent."""
    items = _reasoning(message)
    words, calls = text(message.get("content")), message.get("tool_calls") or ()
    if words or not calls:
        part = {"type": "output_text", "text": words, "annotations": []}
        told = {"role": "assistant", "content": [part], "status": "completed"}
        items.append({"id": f"msg_{id}", "type": "message", **told})
    for place, made in enumerate(calls):
        told = {"call_id": made["id"], **made["function"], "status": "completed"}
        items.append({"id": f"fc_{id}_{place}", "type": "function_call", **told})
    return items


def _assistant(items: list[dict[str, Any]]) -> Message:
    """The message of consecutive items of an assistant."""
    words = [text(item.get("content")) for item in items if _kind(item) == "message"]
    message: Message = {"role": "assistant", "content": "".join(words)}
    reasoning = [item for item in items if _kind(item) == "reasoning"]
    if reasoning:
        parts = [item.get("content") or item.get("summary") for item in reasoning]
        told = "\n".join(filter(None, map(text, parts)))
        message |= {"reasoning_content": told} if told else {}
        message["reasoning_details"] = reasoning
    calls = [item for item in items if _kind(item) == "function_call"]
    if calls:
        message["tool_calls"] = [
            call(item.get("call_id"), item.get("name"), item.get("arguments")) for item in calls
        ]
    return message


def _messages(items: list[dict[str, Any]]) -> list[Message]:
    """The messages of an agent's items; those that an assistant made in a row are one message."""
    found: list[Message] = []
    made: list[dict[str, Any]] = []
    for item in items:
        if _kind(item) in ("reasoning", "function_call") or item.get("role") == "assistant":
            made.append(item)
            continue
        if made:
            found.append(_assistant(made))
            made = []
        found.append(_given(item))
    return [*found, _assistant(made)] if made else found


def _given(item: dict[str, Any]) -> Message:
    """A message that the agent, not the model, made."""
    if _kind(item) == "function_call_output":
        output = item.get("output")
        told = output if isinstance(output, str) else text(output)
        return {"role": "tool", "tool_call_id": item.get("call_id"), "content": told}
    if item.get("role") not in _ROLES:
        raise Malformed(f"an item has the type {_kind(item)!r} and the role {item.get('role')!r}")
    content = item.get("content")
    words = all_text(content) if isinstance(content, list) else content
    told = text(content) if words is None else words
    return {"role": _ROLES[str(item["role"])], "content": told}


def _kind(item: dict[str, Any]) -> str:
    return str(item.get("type") or "message")


def _is_function(tool: dict[str, Any]) -> bool:
    return tool.get("type") == "function"


def _function(tool: dict[str, Any]) -> dict[str, Any]:
    return given(tool, "name", "description", "parameters")


def _choice(choice: Any) -> Any:
    """The choice of a tool, without the level that chat completions have in between."""
    if isinstance(choice, dict):
        return {"type": "function", "name": (choice.get("function") or {}).get("name")}
    return choice


def _asked_choice(choice: Any) -> Any:
    if isinstance(choice, dict):
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice
