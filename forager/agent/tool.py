"""The seam of the tools: what the agent can do, and what it is told afterwards."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from forager.sandboxes.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Observation:
    """What a tool answers. `error` says that the call was refused and nothing was done."""

    text: str
    exit_code: int | None = 0
    omitted: int = 0
    timed_out: bool = False
    error: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, whichever syntax it was written in."""

    tool: str
    arguments: dict[str, str]


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


Toolbox = dict[str, Tool]
