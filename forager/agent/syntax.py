"""The two ways in which a model writes a call: OpenAI function calling, and CWM's text.

CWM's text syntax (its released SWE environment):
    <tool: NAME>
    BODY
    </tool>
exactly one call a turn. Tags stand alone on their lines, and the last closing tag closes, so that
files which hold such text can be edited.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Protocol

from forager.agent.tool import Call, Tool, Toolbox
from forager.errors import FormatError
from forager.trajectories.record import Message
from forager.untrusted import Malformed, json_value


class Syntax(Protocol):
    """Reads and writes calls."""

    name: str

    def instructions(self, tools: Toolbox) -> str:
        """What the system prompt says about how to call a tool."""
        ...

    def definitions(self, tools: Toolbox) -> list[dict[str, Any]]:
        """The `tools` of the request; empty if calls are text."""
        ...

    def read(self, message: Message, tools: Toolbox) -> Call:
        """The call in an assistant message; raises FormatError with what to do instead."""
        ...

    def write(self, thought: str, call: Call, tools: Toolbox) -> Message:
        """An assistant message that makes this call."""
        ...

    def answers(self, message: Message, text: str) -> list[Message]:
        """The messages that bring an observation (or error) back to the model."""
        ...


class FunctionCalling:
    """OpenAI function calling."""

    name = "functions"

    def instructions(self, tools: Toolbox) -> str:
        """The rule alone: the definitions go with the request."""
        return f"Call exactly one tool in each turn: {', '.join(tools)}."

    def definitions(self, tools: Toolbox) -> list[dict[str, Any]]:
        """OpenAI tool definitions."""
        return [tool.definition() for tool in tools.values()]

    def read(self, message: Message, tools: Toolbox) -> Call:
        """The one function call of the message."""
        calls = message.get("tool_calls") or []
        if len(calls) != 1:
            found = f"{len(calls)} calls, none was made" if calls else "no tool call"
            raise FormatError(
                f"Your message holds {found}: each turn takes exactly one. "
                f"Call one of: {', '.join(tools)}.",
                "several_calls" if calls else "no_call",
            )
        function = calls[0].get("function") or {}
        tool = _tool(str(function.get("name") or ""), tools)
        usage = f"{tool.name} takes a JSON object with: {', '.join(tool.parameters) or 'nothing'}."
        try:
            return Call(tool.name, _arguments(function.get("arguments") or "{}", tool))
        except FormatError as error:
            raise FormatError(f"{error} {usage}", error.reason) from error

    def write(self, thought: str, call: Call, tools: Toolbox) -> Message:
        """An assistant message with one tool call."""
        del tools
        return {
            "role": "assistant",
            "content": thought,
            "tool_calls": [
                {
                    "id": "call_0",
                    "type": "function",
                    "function": {"name": call.tool, "arguments": json.dumps(call.arguments)},
                }
            ],
        }

    def answers(self, message: Message, text: str) -> list[Message]:
        """One `tool` message per call, or a `user` message if there was no call."""
        calls = message.get("tool_calls") or []
        if not calls:
            return [{"role": "user", "content": text}]
        return [
            {"role": "tool", "tool_call_id": call.get("id") or "", "content": text}
            for call in calls
        ]


def _tool(name: str, tools: Toolbox) -> Tool:
    tool = tools.get(name.strip())
    if tool is None:
        raise FormatError(
            f"There is no tool {name.strip()!r}. The tools are: {', '.join(tools)}.", "unknown_tool"
        )
    return tool


def _arguments(text: str, tool: Tool) -> dict[str, str]:
    """The arguments of a function call, each of the tool's parameters a string."""
    try:
        arguments = json_value(text, len(text))
    except Malformed as error:
        raise FormatError(f"The arguments are not valid JSON ({error}).", "invalid_json") from error
    if not isinstance(arguments, dict):
        raise FormatError("The arguments are not a JSON object.", "invalid_json")
    wrong = [f"{name!r} is missing" for name in tool.parameters if name not in arguments]
    wrong += [f"{name!r} is unknown" for name in arguments if name not in tool.parameters]
    wrong += [
        f"{name!r} is not a string"
        for name, value in arguments.items()
        if not isinstance(value, str)
    ]
    if wrong:
        raise FormatError(f"Wrong arguments: {', '.join(wrong)}.", "wrong_arguments")
    return arguments


_OPENING = re.compile(r"^<tool:([^>\n]*)>[ \t\r]*$", re.MULTILINE)
_CLOSING = re.compile(r"^</tool>[ \t\r]*$", re.MULTILINE)
_HOW = "Write\n<tool: NAME>\nBODY\n</tool>\nwith each tag alone on its line."


class TextCalls:
    """CWM's `<tool: NAME>` … `</tool>`."""

    name = "text"

    def instructions(self, tools: Toolbox) -> str:
        """How to write a call, and each tool's body."""
        parts = [
            "Make exactly one tool call in each turn, at the end of your message, written as\n"
            "<tool: NAME>\nBODY\n</tool>\nwith each tag alone on its line. The tools:"
        ]
        parts += [
            f"{tool.name}: {tool.description}\n<tool: {tool.name}>\n{tool.text_usage}\n</tool>"
            for tool in tools.values()
        ]
        return "\n\n".join(parts)

    def definitions(self, tools: Toolbox) -> list[dict[str, Any]]:
        """An empty list: calls are text."""
        del tools
        return []

    def read(self, message: Message, tools: Toolbox) -> Call:
        """The call at the end of the message.

        It reaches from the first opening tag to the last closing tag, so the body may hold either.
        A body in which an opening tag follows a closing one looks like two calls, and is refused.
        """
        text = str(message.get("content") or "")
        opening = _OPENING.search(text)
        if opening is None:
            tagged = "a tag <tool: …> that is not alone on its line" if "<tool:" in text else ""
            reason = "misplaced_tag" if tagged else "no_call"
            raise FormatError(f"Your message holds {tagged or 'no tool call'}. {_HOW}", reason)
        closings = list(_CLOSING.finditer(text, opening.end()))
        if not closings:
            raise FormatError(f"The call is not closed. {_HOW}", "unclosed_call")
        if _OPENING.search(text, closings[0].end()):
            raise FormatError(
                f"Your message holds several calls, none was made: each turn takes one. {_HOW}",
                "several_calls",
            )
        if text[closings[-1].end() :].strip():
            raise FormatError(
                f"There is text after the call: end your message with it. {_HOW}", "text_after_call"
            )
        tool = _tool(opening.group(1), tools)
        body = text[opening.end() : closings[-1].start()]
        return Call(tool.name, tool.read_body(body.removeprefix("\n").removesuffix("\n")))

    def write(self, thought: str, call: Call, tools: Toolbox) -> Message:
        """An assistant message that ends with the call."""
        body = tools[call.tool].write_body(call.arguments)
        text = f"<tool: {call.tool}>\n{body}\n</tool>"
        return {"role": "assistant", "content": f"{thought}\n\n{text}" if thought else text}

    def answers(self, message: Message, text: str) -> list[Message]:
        """One `user` message."""
        del message
        return [{"role": "user", "content": text}]


SYNTAXES: dict[str, Syntax] = {"functions": FunctionCalling(), "text": TextCalls()}


def assistant(syntax: Syntax, tools: Toolbox, steps: Sequence[Call]) -> list[Message]:
    """The assistant messages that make these calls, for scripts and tests."""
    return [syntax.write("", step, tools) for step in steps]
