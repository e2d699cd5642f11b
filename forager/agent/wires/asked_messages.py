"""Requests of agents in the form of Anthropic's messages.

Claude Code puts messages of the system between the others, and changes its tools on the way: some
wait (`defer_loading`) until a search names them, others come and go by blocks of a message.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from forager.agent.wires.chat import content_of, given, joined, objects, stops
from forager.agent.wires.messages import CHOICES, assistant
from forager.trajectories.record import Message
from forager.untrusted import Malformed

_TOOL_CHANGES = ("tool_addition", "tool_removal")


def asked(body: dict[str, Any]) -> dict[str, Any]:
    """Read an agent's request."""
    system = joined(body.get("system"))
    found: list[Message] = [{"role": "system", "content": system}] if system else []
    messages = objects(body.get("messages"), "messages")
    for message in messages:
        found += _read(message)
    tools = _offered(objects(body.get("tools") or [], "tools"), messages)
    return {
        "messages": found,
        "tools": [_function(tool) for tool in tools if "input_schema" in tool],
        **given(body, "temperature", "top_p", "max_tokens", "top_k", "thinking"),
        **stops(body.get("stop_sequences")),
        **_asked_choice(body.get("tool_choice")),
    }


def _asked_choice(choice: object) -> dict[str, Any]:
    if not isinstance(choice, dict):
        return {}
    if choice.get("type") == "tool":
        return {"tool_choice": {"type": "function", "function": {"name": choice.get("name")}}}
    names = {there: here for here, there in CHOICES.items()}
    return {"tool_choice": names.get(str(choice.get("type")), "auto")}


def _offered(
    tools: Sequence[dict[str, Any]], messages: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The tools that the model may call after these messages."""
    known = {str(tool.get("name")): tool for tool in tools}
    offered = {name: tool for name, tool in known.items() if not tool.get("defer_loading")}
    for change, tool in _changes(messages):
        name = str(tool.get("tool_name") or tool.get("name"))
        if change == "tool_removal":
            offered.pop(name, None)
        elif "input_schema" in tool:
            offered[name] = tool
        elif name in known:
            offered[name] = known[name]
    return list(offered.values())


def _changes(messages: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the changes of the tools, each with the tool or a reference to it."""
    for message in messages:
        for block in _blocks(message):
            if block.get("type") == "tool_result":
                yield from (("tool_reference", found) for found in _blocks(block, "tool_reference"))
            elif block.get("type") in _TOOL_CHANGES and isinstance(block.get("tool"), dict):
                tool = block["tool"]
                definition = tool.get("definition")
                yield block["type"], definition if isinstance(definition, dict) else tool


def _blocks(holder: dict[str, Any], kind: str = "") -> list[dict[str, Any]]:
    """The blocks of a message or a result, or those of one kind."""
    content = holder.get("content")
    blocks = content if isinstance(content, list) else []
    sound = [block for block in blocks if isinstance(block, dict)]
    return [block for block in sound if not kind or block.get("type") == kind]


def _read(message: dict[str, Any]) -> list[Message]:
    """A message of an agent: results of tools become messages of their own."""
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant", "system"):
        raise Malformed(f"a message has the role {role!r}")
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    blocks = objects(content, "content")
    if role == "assistant":
        return [assistant(blocks)]
    results = [block for block in blocks if block.get("type") == "tool_result"]
    found: list[Message] = [
        {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": _output(block)}
        for block in results
    ]
    rest = [block for block in blocks if block.get("type") not in ("tool_result", *_TOOL_CHANGES)]
    for result in results:  # of which chat completions take the text only
        rest += _blocks(result, "image")
    return [*found, {"role": role, "content": content_of(rest)}] if rest else found


def _output(result: dict[str, Any]) -> str:
    """The text of a result, with the names of the tools that a search loaded."""
    found = [f"{tool.get('tool_name')} is loaded." for tool in _blocks(result, "tool_reference")]
    words = "\n".join([*filter(None, [joined(result.get("content"))]), *found])
    return f"Error: {words}" if result.get("is_error") else words


def _function(tool: dict[str, Any]) -> dict[str, Any]:
    function = {**given(tool, "name", "description"), "parameters": tool["input_schema"]}
    return {"type": "function", "function": function}
