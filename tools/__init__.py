"""What an agent can do: bash, edit, create, submit; and python, where a task has it."""

from forager.agent.tool import Tool, Toolbox
from forager.errors import UsageError
from forager.plugins import plugins
from tools.bash import BASH
from tools.create import CREATE
from tools.edit import EDIT
from tools.python import PYTHON
from tools.submit import SUBMIT

TOOLBOX: Toolbox = {tool.name: tool for tool in (BASH, EDIT, CREATE, SUBMIT)}
"""CWM's four tools, by name."""

ENTRY_POINTS = "forager.tools"


def load_toolbox() -> Toolbox:
    """CWM's four tools, `python` for tasks that name it, and those that other packages add.

    An entry point of `forager.tools` names a Tool. Raises UsageError if it does not load, is not a
    Tool, or has the name of another tool.
    """
    toolbox = {**TOOLBOX, PYTHON.name: PYTHON}
    for _, origin, tool in plugins(ENTRY_POINTS):
        if not isinstance(tool, Tool):
            raise UsageError(f"{origin} is a {type(tool).__name__}, not a forager.agent.tool.Tool")
        if tool.name in toolbox:
            raise UsageError(f"{origin} takes the name {tool.name!r} of another tool")
        toolbox[tool.name] = tool
    return toolbox
