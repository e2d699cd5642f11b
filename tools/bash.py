"""`bash`: a command in the machine's one persistent shell."""

from forager.agent.tool import Observation, Tool
from forager.errors import FormatError
from forager.sandboxes.sandbox import CommandResult, Sandbox

OUTPUT_LIMIT = 32 * 1024
"""Bytes of output that the model sees; the sandbox cuts the middle out of longer output."""


def bash(sandbox: Sandbox, arguments: dict[str, str], seconds: float) -> Observation:
    """Run the command for at most `seconds`."""
    command = _checked(arguments["command"])
    result = sandbox.run(command, timeout=seconds, output_limit=OUTPUT_LIMIT)
    return observed(result, _notes(result, seconds))


def observed(result: CommandResult, notes: list[str]) -> Observation:
    """The output of a command, and notes below it."""
    output = result.output.removesuffix("\n")
    return Observation(
        "\n".join([*([output] if result.output else []), *notes]),
        exit_code=result.exit_code,
        omitted=result.omitted,
        timed_out=result.timed_out,
        output_length=len(output),
    )


def _checked(command: str) -> str:
    if not command.strip():
        raise FormatError("The command is empty. Give bash a command to run.", "empty_argument")
    if "\0" in command:
        raise FormatError(
            "The command holds a NUL character, which bash cannot take.", "nul_character"
        )
    return command


def _notes(result: CommandResult, seconds: float) -> list[str]:
    """The closing lines: how the command ended, and whether the shell is a new one."""
    if result.timed_out:
        notes = [
            f"[timed out after {seconds:g} seconds: the command was stopped, and all jobs in the "
            "background with it]"
        ]
    else:
        notes = [f"[exit code {result.exit_code}]"]
    if result.state_lost:
        notes.append(
            "[the shell was started anew: its variables, functions and background jobs are gone"
            + (f"; it is in {result.directory}]" if result.directory else "]")
        )
    return notes


def read_body(body: str) -> dict[str, str]:
    """The body is the command."""
    return {"command": _checked(body)}


def write_body(arguments: dict[str, str]) -> str:
    """The command is the body."""
    return arguments["command"]


BASH = Tool(
    name="bash",
    description=(
        "Run a command in a bash shell that persists: the directory, variables and functions "
        "carry over to the next call. Answers with stdout and stderr together and the exit code. "
        "There is no terminal and stdin is empty, so do not start interactive programs. A command "
        "that takes too long is stopped; the middle of very long output is left out."
    ),
    parameters={"command": "The command; it may have several lines."},
    execute=bash,
    read_body=read_body,
    write_body=write_body,
    text_usage="COMMAND, one or more lines",
)
