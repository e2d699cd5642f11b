"""The seam of the tools: what an agent can call, and what a call answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from forager.errors import FormatError
from forager.sandboxes.sandbox import Sandbox
from forager.trajectories.record import FileChange, ToolCall


@dataclass(frozen=True, slots=True)
class Observation:
    """What a tool answers: the text that the model reads, and the same as facts.

    `error` says that the tool refused the call and did nothing, and `reason` why, in one word. A
    tool that runs a command sets `output_length`, the number of characters at the start of `text`
    that the command printed. A tool that changes lines of a file sets `change`.
    """

    text: str
    exit_code: int | None = 0
    omitted: int = 0
    timed_out: bool = False
    error: bool = False
    reason: str = ""
    output_length: int | None = None
    change: FileChange | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, whichever syntax it was written in."""

    tool: str
    arguments: dict[str, str]


def executed(call: Call, observation: Observation, seconds: float = 0.0) -> ToolCall:
    """The record of a call and its facts; the loop adds the index of the message and the budget."""
    return ToolCall(
        message=0,
        tool=call.tool,
        arguments=call.arguments,
        exit_code=observation.exit_code,
        seconds=round(seconds, 4),
        omitted=observation.omitted,
        timed_out=observation.timed_out,
        error=observation.error,
        reason=observation.reason,
        output_length=observation.output_length,
        change=observation.change,
    )


def malformed(error: FormatError) -> ToolCall:
    """The record of a call that could not be read."""
    return ToolCall(message=0, tool="", error=True, reason=error.reason)


@dataclass(frozen=True, slots=True)
class Tool:
    """One thing an agent can do.

    `execute` takes the sandbox, the arguments and the seconds a command may take. It raises
    FormatError for arguments that make no sense, SandboxError when the machine is gone, and
    Submitted to end the attempt. `read_body` and `write_body` turn the body of a
    `<tool: NAME>` call into arguments and back (CWM's text syntax).
    """

    name: str
    description: str
    parameters: dict[str, str]  # argument name → what it is; all are required strings
    execute: Callable[[Sandbox, dict[str, str], float], Observation]
    read_body: Callable[[str], dict[str, str]]
    write_body: Callable[[dict[str, str]], str]
    text_usage: str = ""  # how the body of a text call looks
    seconds: float | None = None
    """The most that a call may take, if that is less than the attempt allows."""
    calls: int | None = None
    """The most calls in an attempt."""
    on_request: bool = False
    """Whether only tasks that name the tool have it."""

    def definition(self) -> dict[str, Any]:
        """The tool as an OpenAI function definition."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": {
                    "type": "object",
                    "properties": {
                        name: {"type": "string", "description": text}
                        for name, text in self.parameters.items()
                    },
                    "required": list(self.parameters),
                    "additionalProperties": False,
                },
            },
        }


def one_argument(
    name: str,
    description: str,
    parameter: dict[str, str],
    execute: Callable[[Sandbox, dict[str, str], float], Observation],
    *,
    seconds: float | None = None,
    calls: int | None = None,
    on_request: bool = False,
) -> Tool:
    """A tool of one parameter (name → what it is), which is the body of a text call."""
    ((argument, _),) = parameter.items()

    def read_body(body: str) -> dict[str, str]:
        if not body.strip():
            raise FormatError(f"Give {name} its {argument}.", "empty_argument")
        return {argument: body.strip()}

    def write_body(arguments: dict[str, str]) -> str:
        return arguments[argument]

    usage = argument.upper()
    bounds = (seconds, calls, on_request)
    return Tool(name, description, parameter, execute, read_body, write_body, usage, *bounds)


Toolbox = dict[str, Tool]
