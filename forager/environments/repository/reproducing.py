"""Programs that say whether a fault is there, written by a model: their form, and running them.

A program prints `Issue reproduced` or `Issue resolved`, as in CWM's release and in Agentless
(arXiv 2407.01489). In each run other words, which nobody can guess, stand in their place: a patch
that prints the known ones says nothing. A patch that reads the running program can still find them,
so a program may rank answers and never decides a grade.
"""

import ast
import secrets
import shlex
from typing import Literal

from forager.environments.repository.programs import within
from forager.environments.repository.task import TestSetup
from forager.environments.repository.testing import acting_as
from forager.sandboxes.sandbox import Sandbox

REPRODUCED, RESOLVED = "Issue reproduced", "Issue resolved"
SECONDS = 120.0
"""Time limit of a program (CWM's)."""
LONGEST = 64 << 10  # characters
_OUTPUT = 64 << 10  # bytes

Said = Literal["reproduced", "resolved", ""]


def problem_of(text: str) -> str:
    """Why a text cannot be such a program; empty if it can."""
    if len(text) > LONGEST:
        return f"the program has more than {LONGEST:,} characters"
    if code_of(text) is None:
        return "the program is not Python"
    missing = next((words for words in (REPRODUCED, RESOLVED) if words not in text), "")
    return f"the program never prints {missing!r}" if missing else ""


def code_of(text: str) -> str | None:
    """What a program does, without comments and layout; None if it is not Python.

    Programs of the same code are votes for one another.
    """
    try:
        return ast.dump(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def said_by(sandbox: Sandbox, setup: TestSetup, text: str, user: str = "") -> Said:
    """Run a program in the repository as this user; what it said, if it said one thing only.

    It must have its words as they stand in its text. Raises SandboxError if the sandbox is gone.
    """
    path = f"/tmp/forager-{secrets.token_hex(8)}.py"
    reproduced, resolved = secrets.token_hex(16), secrets.token_hex(16)
    secret = text.replace(REPRODUCED, reproduced).replace(RESOLVED, resolved)
    sandbox.write(path, secret.encode("utf-8", "replace"))
    command = f"{within(setup)} {acting_as(user)}{shlex.quote(setup.python)} {path} </dev/null 2>&1"
    result = sandbox.run(command, timeout=SECONDS, output_limit=_OUTPUT)
    sandbox.run(f"rm -f {path}")
    if result.timed_out:
        return ""
    found = [words in result.output for words in (reproduced, resolved)]
    if found == [True, False]:
        return "reproduced"
    return "resolved" if found == [False, True] else ""
