"""The tools of OpenAI's responses as functions, which are all that chat completions know.

Responses also have tools that take a text instead of arguments (Codex's `apply_patch`), namespaces
of tools, tools that an agent offers later in the conversation, and tools that OpenAI defines and
the agent executes. Tools that OpenAI's servers execute (`web_search`, say) have no function.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forager.agent.wires.chat import call, given, objects, text
from forager.untrusted import Malformed, json_object, json_value

CALLS = ("function_call", "custom_tool_call", "tool_search_call", "local_shell_call")
"""Types of the items in which a model calls a tool."""

OUTPUTS = (
    *("function_call_output", "custom_tool_call_output", "local_shell_call_output"),
    "tool_search_output",
)
"""Types of the items with what a call returned."""

_LATER = ("additional_tools", "tool_search_output")  # items that offer tools
_INPUT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
_COMMAND = {
    "type": "object",
    "properties": {
        "command": {"type": "array", "items": {"type": "string"}},
        "working_directory": {"type": "string"},
        "timeout_ms": {"type": "integer"},
    },
    "required": ["command"],
}
_DEPTH = 3  # of namespaces


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool of an agent."""

    kind: str
    """The type of the items that call it."""
    name: str
    namespace: str
    function: dict[str, Any]


def offers(body: Mapping[str, Any]) -> dict[str, Offer]:
    """The tools of a request, by the names of their functions. Raises Malformed."""
    tools = objects(body.get("tools") or [], "tools")
    items = body.get("input")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and item.get("type") in _LATER:
            tools = [*tools, *objects(item.get("tools") or [], "tools")]
    found = dict[str, Offer]()
    for offer in _offers(tools):
        found.setdefault(offer.function["name"], offer)
    return found


def item_of(made: Mapping[str, Any], offered: Mapping[str, Offer]) -> dict[str, Any]:
    """The item in which an agent reads a call."""
    function = made["function"]
    name, arguments = str(function["name"]), str(function["arguments"])
    offer = offered.get(name) or Offer("function_call", name, "", {})
    space = {"namespace": offer.namespace} if offer.namespace else {}
    item = {"type": offer.kind, "call_id": made["id"], "status": "completed"}
    if offer.kind == "custom_tool_call":
        return {**item, "name": offer.name, **space, "input": _text_input(arguments)}
    if offer.kind == "tool_search_call":
        return {**item, "execution": "client", "arguments": json_object(arguments) or {}}
    if offer.kind == "local_shell_call":
        return {**item, "action": {"type": "exec", "env": {}, **(json_object(arguments) or {})}}
    return {**item, "name": offer.name, **space, "arguments": arguments}


def call_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """The call that an item holds."""
    kind, id = item.get("type"), item.get("call_id") or item.get("id")
    if kind == "custom_tool_call":
        return call(id, _name(item), {"input": item.get("input")})
    if kind == "tool_search_call":
        return call(id, "tool_search", item.get("arguments"))
    if kind == "local_shell_call":
        action = item.get("action")
        known = given(action, *_COMMAND["properties"]) if isinstance(action, dict) else {}
        return call(id, "local_shell", known)
    return call(id, _name(item), item.get("arguments"))


def output_of(item: Mapping[str, Any]) -> str:
    """The text that a call returned, or the names of the tools that a search found."""
    if item.get("type") == "tool_search_output":
        found = _offers(objects(item.get("tools") or [], "tools"))
        return "Tools: " + (", ".join(offer.function["name"] for offer in found) or "none")
    output = item.get("output")
    return output if isinstance(output, str) else text(output)


def events(item: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """The name of a call's events, the field that they fill, and its value; None without events."""
    if item["type"] == "custom_tool_call":
        return "response.custom_tool_call_input", "input", item["input"]
    if item["type"] == "function_call":
        return "response.function_call_arguments", "arguments", item["arguments"]
    return None


def _offers(tools: Sequence[dict[str, Any]], space: str = "", depth: int = 0) -> Iterator[Offer]:
    for tool in tools:
        kind, name = tool.get("type"), str(tool.get("name") or "")
        whole = f"{space}__{name}" if space else name
        if kind == "namespace" and depth < _DEPTH:
            yield from _offers(objects(tool.get("tools") or [], "tools"), whole, depth + 1)
        elif kind == "function":
            function = given(tool, "description", "parameters")
            yield Offer("function_call", name, space, {"name": whole, **function})
        elif kind == "custom":
            function = {"name": whole, "description": _described(tool), "parameters": _INPUT}
            yield Offer("custom_tool_call", name, space, function)
        elif kind == "tool_search" and tool.get("execution") == "client":
            function = {"name": "tool_search", **given(tool, "description", "parameters")}
            yield Offer("tool_search_call", "tool_search", "", function)
        elif kind == "local_shell":
            function = {"name": "local_shell", "description": "Run a command."}
            yield Offer("local_shell_call", kind, "", {**function, "parameters": _COMMAND})


def _name(item: Mapping[str, Any]) -> str:
    return "__".join(str(item[part]) for part in ("namespace", "name") if item.get(part))


def _described(tool: Mapping[str, Any]) -> str:
    """The description of a tool that takes a text, with the grammar of the text."""
    said, form = str(tool.get("description") or ""), tool.get("format")
    if isinstance(form, dict) and form.get("definition"):
        said += f"\n\nThe input follows this {form.get('syntax')} grammar:\n{form['definition']}"
    return said


def _text_input(arguments: str) -> str:
    """The text for a tool; the arguments themselves if the model did not wrap it."""
    try:
        value = json_value(arguments, len(arguments))
    except Malformed:
        return arguments
    words = value.get("input") if isinstance(value, dict) else value
    return words if isinstance(words, str) else arguments
