"""`submit`: the agent hands in its work."""

from forager.agent.tool import Observation, Tool
from forager.errors import FormatError, Submitted
from forager.sandboxes.sandbox import Sandbox


def submit(sandbox: Sandbox, arguments: dict[str, str], seconds: float) -> Observation:
    """End the attempt; the answer is the working tree as it is now."""
    del sandbox, arguments, seconds
    raise Submitted("the agent called submit")


def read_body(body: str) -> dict[str, str]:
    """No arguments; raises FormatError for any text."""
    if body.strip():
        raise FormatError("submit takes no arguments: leave its body empty.", "malformed_body")
    return {}


def write_body(arguments: dict[str, str]) -> str:
    """The empty body."""
    del arguments
    return ""


SUBMIT = Tool(
    name="submit",
    description=(
        "Hand in your work: the files as they stand now. This ends the session, so call it once, "
        "when you are done."
    ),
    parameters={},
    execute=submit,
    read_body=read_body,
    write_body=write_body,
)
