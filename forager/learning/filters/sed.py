"""Sed: edits of single lines as commands, which are many times shorter to write.

`edit` has its writer repeat the lines that it replaces; `sed -i '12s/<=/</' FILE` says where and
what alone. A small model that has to learn to write learns that first. The record proves what each
edit did, so the commands do the same: nothing is run.
"""

import re
from itertools import count

from forager.agent.tool import Call, Toolbox
from forager.learning.filters.changes import Change, Unproven, change_of
from forager.learning.filters.cut import Kept, call_of, cut, rewritten
from forager.learning.filters.pipeline import Filter, Survey
from forager.trajectories.record import Trajectory
from forager.trajectories.show import text_of
from forager.trajectories.steps import Step, steps

_TOKENS = re.compile(r"\w+|[^\w\s]+|\s+")
_SPECIAL = re.compile(r"[\\/*\[\].^$]")
_SPECIAL_IN_NEW = re.compile(r"[\\/&]")


def sed(survey: Survey, thoughts: bool = False) -> Filter:
    """Write edits as commands; what cannot be written so is dropped.

    Without `thoughts` every message holds its call alone. What is so already is left as it is.
    """
    toolbox = survey.toolbox

    def change(attempt: Trajectory) -> Trajectory | None:
        all = list(steps(attempt))
        try:
            written = [_written(attempt.syntax, step, thoughts, toolbox) for step in all]
        except Unproven:
            return None
        return attempt if written == all else cut(attempt, map(Kept, count(), written), "sed")

    return change


def command(change: Change, path: str) -> str:
    """The command that makes a change of lines. Raises Unproven for any other change."""
    pairs = list(zip(change.old, change.new, strict=False))
    if (
        change.new_file
        or len(change.old) != len(change.new)
        or any("'" in "".join(p) for p in pairs)
    ):
        raise Unproven("it is no change of single lines")
    scripts = [
        _script(number, old, new)
        for number, (old, new) in enumerate(pairs, change.first + 1)
        if old != new
    ]
    return f"sed -i '{';'.join(scripts)}' {path}"


def _script(number: int, old: str, new: str) -> str:
    """What replaces as few words of a line as tell the place."""
    before, after = _TOKENS.findall(old), _TOKENS.findall(new)
    shortest = min(len(before), len(after))
    head = next((n for n in range(shortest) if before[n] != after[n]), shortest)
    shortest -= head
    tail = next((n for n in range(shortest) if before[-1 - n] != after[-1 - n]), shortest)
    for start in range(head, -1, -1):
        found = "".join(before[start : len(before) - tail])
        if found and old.find(found) == len("".join(before[:start])):
            put = "".join(after[start : len(after) - tail])
            return f"{number}s/{_SPECIAL.sub(_quoted, found)}/{_SPECIAL_IN_NEW.sub(_quoted, put)}/"
    raise Unproven("nothing in the line is replaced")


def _quoted(found: re.Match[str]) -> str:
    return f"\\{found[0]}"


def _written(syntax: str, step: Step, thoughts: bool, toolbox: Toolbox) -> Step:
    """The step with its edit as a command."""
    call, text = call_of(step), "\n".join(map(text_of, step.observations))
    change = change_of(call, text)
    if change:
        arguments = {"command": command(change, call.arguments["path"])}
        call = call.model_copy(update={"tool": "bash", "arguments": arguments, "exit_code": 0})
        left = text.rpartition("\n")[2]
        told = [{**one, "content": f"[exit code 0]\n{left}"} for one in step.observations]
        step = step._replace(call=call, observations=told)
    elif thoughts:
        return step
    if call.tool not in toolbox:
        raise Unproven("it is no call")
    made = Call(call.tool, call.arguments)
    message = rewritten(syntax, step.message, made, toolbox, thoughts=thoughts)
    return step._replace(message=message)
