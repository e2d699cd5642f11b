"""Requests of agents in the form of OpenAI's responses."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from forager.agent.wires import response_tools
from forager.agent.wires.chat import content_of, given, objects
from forager.agent.wires.response_tools import CALLS, OUTPUTS
from forager.agent.wires.responses import assistant, kind_of
from forager.trajectories.record import Message
from forager.untrusted import Malformed

_ROLES = {"system": "system", "developer": "system", "user": "user"}


def asked(body: dict[str, Any]) -> dict[str, Any]:
    """Read an agent's request. What another request has stored is unknown here."""
    if body.get("previous_response_id") or body.get("conversation"):
        raise Malformed("previous_response_id is not supported: send the whole input")
    instructions = body.get("instructions")
    found: list[Message] = [{"role": "system", "content": instructions}] if instructions else []
    sent = body.get("input")
    if isinstance(sent, str):
        found.append({"role": "user", "content": sent})
    else:
        found += _messages(objects(sent, "input"))
    offered = response_tools.offers(body).values()
    reasoning = body.get("reasoning")
    settings = {
        "max_tokens": body.get("max_output_tokens"),
        "tool_choice": _asked_choice(body.get("tool_choice")),
        "reasoning_effort": reasoning.get("effort") if isinstance(reasoning, dict) else None,
    }
    return {
        "messages": found,
        "tools": [{"type": "function", "function": offer.function} for offer in offered],
        **given(body, "temperature", "top_p", "parallel_tool_calls"),
        **{name: value for name, value in settings.items() if value},
    }


def _messages(items: list[dict[str, Any]]) -> Iterator[Message]:
    """Yield the messages of items; those that an assistant made in a row are one message."""
    for author, group in groupby(items, _author):
        said = list(group)
        if author == "model":
            yield assistant(said)
        elif author != "nobody":
            yield from map(_given, said)
        pictures = [part for item in said for part in _pictures(item)]
        if pictures:  # of results chat completions take the text only
            yield {"role": "user", "content": content_of(pictures)}


def _author(item: dict[str, Any]) -> str:
    kind = kind_of(item)
    if kind in ("reasoning", *CALLS) or item.get("role") == "assistant":
        return "model"
    if kind in OUTPUTS:
        return "tools"
    return "nobody" if kind == "additional_tools" else "user"


def _pictures(item: dict[str, Any]) -> list[dict[str, Any]]:
    output = item.get("output")
    parts = output if isinstance(output, list) else []
    return [part for part in parts if isinstance(part, dict) and "image_url" in part]


def _given(item: dict[str, Any]) -> Message:
    """A message that the agent, not the model, made."""
    kind, role = kind_of(item), str(item.get("role"))
    if kind in OUTPUTS:
        output = response_tools.output_of(item)
        return {"role": "tool", "tool_call_id": item.get("call_id"), "content": output}
    if kind != "message" or role not in _ROLES:
        raise Malformed(f"an item has the type {kind!r} and the role {role!r}")
    return {"role": _ROLES[role], "content": content_of(item.get("content"))}


def _asked_choice(choice: Any) -> Any:
    """The choice of a tool; a choice among several is left to the model."""
    if not isinstance(choice, dict):
        return choice
    if choice.get("type") == "allowed_tools":
        return choice.get("mode") or "auto"
    if "name" in choice:
        return {"type": "function", "function": {"name": choice["name"]}}
    return "auto"
