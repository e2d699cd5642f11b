"""Handmade attempts for tests of displays and counts."""

import json
from typing import Any

from forager.agent.syntax import SYNTAXES
from forager.environments.repository.task import RepositoryTask
from forager.environments.task import Labels
from forager.records import Record
from forager.trajectories.earlier_calls import upgraded
from forager.trajectories.record import (
    ModelCall,
    Outcome,
    Timings,
    ToolCall,
    Trajectory,
    Usage,
)
from tools import TOOLBOX

PATCH = """\
diff --git a/pkg/core.py b/pkg/core.py
--- a/pkg/core.py
+++ b/pkg/core.py
@@ -1,3 +1,3 @@
 def last(items):
-    return items[0]
+    return items[-1]
"""
TRACEBACK = """\
Traceback (most recent call last):
  File "/testbed/pkg/core.py", line 2, in last
    return items[0]
IndexError: list index out of range [/foo] [bold]
\x1b[31mred\x1b[0m \x07 bell \x9b2J end"""

Step = tuple[str, str, dict[str, str], str]  # thought, tool, arguments, observation
STEPS: list[Step] = [
    ("Let me run the tests.", "bash", {"command": "cd /testbed && pytest -q | tail -3"}, TRACEBACK),
    ("Look.", "bash", {"command": "cat pkg/core.py"}, "def last(items):\n    return items[0]\n"),
    (
        "The index is wrong.",
        "edit",
        {
            "path": "pkg/core.py",
            "search": "def last(items):\n    return items[0]",
            "replace": "def last(items):\n    return items[-1]",
        },
        "Edited pkg/core.py: 2 lines now.\n1\tdef last(items):\n2\t    return items[-1]",
    ),
    (
        "",
        "create",
        {"path": "try.py", "content": "from pkg.core import last\nassert last([1, 2]) == 2\n"},
        "Created try.py: 2 lines.",
    ),
    ("", "bash", {"command": "seq 100"}, "\n".join(map(str, range(1, 101)))),
]


class Settings(Record):
    """The settings of a run, for tests of the run directory."""

    model: str = "repair"
    attempts: int = 1
    workers: int = 2


def make_task(name: str = "pkg-1", **fields: Any) -> RepositoryTask:
    """Return the task that `make_attempt` attempts."""
    return RepositoryTask(
        **{
            "instance_id": name,
            "repo": "someone/pkg",
            "kind": "mutate-fix",
            "problem_statement": "Some tests fail.",
            "patch": PATCH,
            "FAIL_TO_PASS": ["tests/test_core.py::test_last"],
            "PASS_TO_PASS": ["tests/test_core.py::test_first"],
            **fields,
        }
    )


def make_attempt(
    name: str = "pkg-1",
    attempt: int = 0,
    *,
    syntax: str = "functions",
    steps: list[Step] = STEPS,
    resolved: bool = True,
    exit_reason: str = "submitted",
    family: str | None = "operators",
    seconds: float = 12.5,
    suspect: list[str] | None = None,
) -> Trajectory:
    """Return an attempt that ends with `submit`, which has no observation.

    With reasons in `suspect` it passes its tests, but is not resolved.
    """
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You repair code.\nLine 2.\nLine 3.\nLine 4."},
        {"role": "user", "content": "Some tests fail: [bold]not markup[/bold] [/foo]"},
    ]
    model_calls, tool_calls = [], []
    for thought, tool, arguments, observation in [*steps, ("Done.", "submit", {}, "")]:
        usage = Usage(prompt_tokens=1000, completion_tokens=50)
        model_calls.append(ModelCall(message=len(messages), usage=usage, seconds=0.5))
        messages.append(_answer(syntax, thought, tool, arguments))
        tool_calls.append(
            ToolCall(message=len(messages), tool=tool, arguments=arguments, exit_code=0)
        )
        if tool != "submit":
            messages.append({"role": "user", "content": observation})
    status = "passed" if resolved else "failed"
    made = Trajectory(
        schema_version=1,
        id=f"{name}.{attempt}",
        instance_id=name,
        attempt=attempt,
        kind="mutate-fix" if family else "issue-fix",
        repo="someone/pkg",
        labels=_labels(family),
        model="repair",
        syntax=syntax,
        image="forager/pkg:1",
        image_digest="sha256:0",
        started_at="2026-11-23T10:00:00Z",
        tools=SYNTAXES[syntax].definitions(TOOLBOX),
        messages=messages,
        model_calls=model_calls,
        tool_calls=tool_calls,
        outcome=Outcome(
            exit_reason=exit_reason,
            answer=PATCH if resolved else "",
            resolved=resolved and not suspect,
            reward=1 if resolved and not suspect else -1,
            similarity=1.0 if resolved else 0.0,
            tests={
                "tests/test_core.py::test_last": status,
                "tests/test_core.py::test_first": "passed",
            },
            suspect=suspect or [],
        ),
        usage=Usage(prompt_tokens=6000, completion_tokens=300),
        timings=Timings(total=seconds, model=3.0),
        version="0.1.0",
    )
    return upgraded(made)  # the facts of its calls are those that their answers tell


def _labels(family: str | None) -> Labels:
    if family is None:
        return Labels(family="issue-fix", repository="someone/pkg")
    return Labels(
        family=family,
        operator="negative_index",
        repository="someone/pkg",
        functions=["someone/pkg:pkg/core.py:last"],
        location="pkg/core.py:2",
    )


def _answer(syntax: str, thought: str, tool: str, arguments: dict[str, str]) -> dict[str, Any]:
    if syntax == "text":
        body = "\n".join(arguments.values())
        return {"role": "assistant", "content": f"{thought}\n\n<tool: {tool}>\n{body}\n</tool>"}
    function = {"name": tool, "arguments": json.dumps(arguments)}
    call = {"id": "call_0", "type": "function", "function": function}
    return {"role": "assistant", "content": thought, "tool_calls": [call]}
