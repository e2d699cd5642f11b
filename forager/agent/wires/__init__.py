"""How models are asked: OpenAI's chat completions and responses, Anthropic's messages.

Within forager every request and answer has the form of chat completions. A `Wire` translates them
where forager asks a server, and where an agent of another maker asks forager.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from forager.agent.wires import asked_messages, asked_responses, chat, messages, responses

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wire:
    """One form. All functions take and return JSON objects, and change none of them.

    `request` and `answer` serve forager as the client: they write a request, and read its answer.
    `asked` and `answered` serve it as the server: they read a request, and write its answer, which
    `events` writes as a stream. What cannot be read raises Malformed.
    """

    path: str
    """Below the base URL."""
    request: Callable[[Body], Body]
    answer: Callable[[Body], Body]
    asked: Callable[[Body], Body]
    answered: Callable[[Body, Body], Body]
    """Takes the answer, and the request as the agent wrote it."""
    events: Callable[[Body], Iterator[tuple[str, Body]]]
    """Yields names and contents; chat completions have no names."""
    error: Callable[[str, str], Body]
    """An error of a type, with its message."""
    count: str = ""
    """The path below `path` at which agents ask how many tokens a request has, if there is one."""
    settings: frozenset[str] = frozenset(chat.MORE)
    """The fields with further settings that servers of this form take."""


WIRES = {
    "chat": Wire(
        "/chat/completions",
        chat.same,
        chat.same,
        chat.asked,
        chat.answered,
        chat.events,
        chat.error,
    ),
    "responses": Wire(
        "/responses",
        responses.request,
        responses.answer,
        asked_responses.asked,
        responses.answered,
        responses.events,
        chat.error,
        "/input_tokens",
        frozenset({"tool_choice", "parallel_tool_calls", "reasoning_effort"}),
    ),
    "messages": Wire(
        "/messages",
        messages.request,
        messages.answer,
        asked_messages.asked,
        messages.answered,
        messages.events,
        messages.error,
        "/count_tokens",
        frozenset({"tool_choice", "parallel_tool_calls", "top_k", "thinking"}),
    ),
}
"""By the name that `--api` takes."""


def stream(wire: Wire, answer: Body, asked: Body) -> str:
    """The answer as server-sent events; chat completions end with the usage if it was asked for."""
    options = asked.get("stream_options")
    with_usage = isinstance(options, dict) and options.get("include_usage") is True
    lines = []
    for name, event in wire.events(answer):
        if with_usage or event.get("choices") != []:
            lines.append(f"event: {name}\n" * bool(name) + f"data: {json.dumps(event)}\n\n")
    return "".join(lines) + ("data: [DONE]\n\n" if wire is WIRES["chat"] else "")
