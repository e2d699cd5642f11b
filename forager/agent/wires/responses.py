"""OpenAI's responses. Reasoning is kept as items, encrypted, and sent back before what it led to.

https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from forager.agent.wires import response_tools
from forager.agent.wires.chat import completion, objects, text
from forager.agent.wires.response_tools import CALLS, Offer
from forager.trajectories.record import Message

_OWN = ("messages", "tools", "max_tokens", "tool_choice", "reasoning_effort")


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
    message = assistant(items)
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


def answered(body: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Write the answer to an agent's request."""
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
        "output": _output(choice["message"], id, response_tools.offers(asked)),
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
        elif filled := response_tools.events(item):
            name, field, words = filled
            yield event(f"{name}.delta", **place, delta=words)
            yield event(f"{name}.done", **place, **{field: words})
        yield event("response.output_item.done", output_index=index, item=item)
    end = "response.completed" if answer["status"] == "completed" else "response.incomplete"
    yield event(end, response=answer)


def _items(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """A conversation as items: a message of the assistant with its reasoning and its calls."""
    items: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "tool":
            output = text(message.get("content"))
            id = message.get("tool_call_id")
            items.append({"type": "function_call_output", "call_id": id, "output": output})
        elif message["role"] == "assistant":
            items += _made(message)
        else:
            items.append({"role": message["role"], "content": _content(message.get("content"))})
    return items


def _content(content: object) -> str | list[dict[str, Any]]:
    """The content of a message: a text, or parts."""
    if not isinstance(content, list):
        return text(content)
    return [
        {"type": "input_image", "image_url": part["image_url"].get("url")}
        if part.get("type") == "image_url"
        else {"type": "input_text", "text": text([part])}
        for part in content
    ]


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


def _output(message: Message, id: str, offered: Mapping[str, Offer]) -> list[dict[str, Any]]:
    """The items of an answer to an agent."""
    items = _reasoning(message)
    words, calls = text(message.get("content")), message.get("tool_calls") or ()
    if words or not calls:
        part = {"type": "output_text", "text": words, "annotations": []}
        answer = {"role": "assistant", "content": [part], "status": "completed"}
        items.append({"id": f"msg_{id}", "type": "message", **answer})
    for place, made in enumerate(calls):
        items.append({"id": f"fc_{id}_{place}", **response_tools.item_of(made, offered)})
    return items


def assistant(items: list[dict[str, Any]]) -> Message:
    """The message of consecutive items of an assistant."""
    words = [text(item.get("content")) for item in items if kind_of(item) == "message"]
    message: Message = {"role": "assistant", "content": "".join(words)}
    reasoning = [item for item in items if kind_of(item) == "reasoning"]
    if reasoning:
        parts = [item.get("content") or item.get("summary") for item in reasoning]
        thoughts = "\n".join(filter(None, map(text, parts)))
        message |= {"reasoning_content": thoughts} if thoughts else {}
        message["reasoning_details"] = reasoning
    calls = [response_tools.call_of(item) for item in items if kind_of(item) in CALLS]
    return message | ({"tool_calls": calls} if calls else {})


def kind_of(item: dict[str, Any]) -> str:
    """The type of an item; messages need not say it."""
    return str(item.get("type") or "message")


def _choice(choice: Any) -> Any:
    """The choice of a tool, without the level that chat completions have in between."""
    if isinstance(choice, dict):
        return {"type": "function", "name": (choice.get("function") or {}).get("name")}
    return choice
