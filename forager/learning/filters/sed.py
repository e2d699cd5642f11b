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
from forager.trajectories.record import ToolCall, Trajectory
from forager.trajectories.show import text_of
from forager.trajectories.steps import Step, steps

_TOKENS = re.compile(r"\w+|[^\w\s]+|\s+")
_SPECIAL = re.compile(r"[\\/*\[\].^$]")
_PYTEST = re.compile(  # with options that change nothing in what is said when tests pass
    r"(timeout \d+ )?python -m pytest"
    r"(?P<options>( (-q|-x|-p no:cacheprovider|--tb=\w+|--maxfail=\d+))*)"
    r"(?P<tests>( (?!-)[^\s;|&<>()$`]+)+)"
)
_REPLACED = r"\d+s/(?:[^/\\'\n]|\\[^'\n])+/(?:[^/\\'\n]|\\[^'\n])*/"
_TRIAL = re.compile(  # what it edits is one file, whoever wrote it: `s` without flags is harmless
    r"git checkout -q (?P<path>[\w./-]+); "
    rf"sed -i '{_REPLACED}(?:;{_REPLACED})*' (?P=path); "
    r"python -m pytest -q -rN --tb=no( (?!-)[^\s;|&<>()$`]+)+"
)
_SPECIAL_IN_NEW = re.compile(r"[\\/&]")


def sed(survey: Survey, thoughts: bool = False, tests: bool = False) -> Filter:
    """Write edits as commands; what cannot be written so is dropped.

    Without `thoughts` every message holds its call alone. With `tests` a file's first edit and the
    run of tests right behind it, which passed, become one command (see `trial`). What is so already
    is left as it is.
    """
    toolbox = survey.toolbox

    def change(attempt: Trajectory) -> Trajectory | None:
        all = list(map(Kept, count(), steps(attempt)))
        try:
            joined = _joined(attempt.syntax, all, toolbox) if tests else all
            written = [
                Kept(number, _written(attempt.syntax, step, thoughts, toolbox))
                for number, step in joined
            ]
        except Unproven:
            return None
        return attempt if written == all else cut(attempt, written, "sed")

    return change


def trial(edit: str, path: str, tests: str) -> str:
    """The command that puts a file back as it was committed, edits it, and runs tests.

    One that fails can be followed by another of the same form. It exits as the tests do.
    """
    return f"git checkout -q {path}; {edit}; python -m pytest -q -rN --tb=no {tests}"


def tried(call: ToolCall) -> str:
    """The path of the file that a call tried an edit of, as `trial` does; empty of any other."""
    found = _TRIAL.fullmatch(call.arguments.get("command", "")) if call.tool == "bash" else None
    return found["path"] if found else ""


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


def _joined(syntax: str, all: list[Kept], toolbox: Toolbox) -> list[Kept]:
    """The steps, each first edit of a file and the run of tests right behind it as one."""
    made: list[Kept] = []
    edited: set[str] = set()
    edit = path = ""  # of the step before
    for number, step in all:
        if edit and path not in edited and (tests := _tests(call_of(step))):
            made.pop()
            step = _with_call(syntax, step, trial(edit, path, tests), toolbox, thoughts=True)
        made.append(Kept(number, step))
        edited.add(path)
        edit, path = _edit(step)
    return made


def _edit(step: Step) -> tuple[str, str]:
    """The command that does what an edit did, and the path; both empty of any other step."""
    call = call_of(step)
    change = change_of(call, "\n".join(map(text_of, step.observations)))
    return (
        (command(change, path), path) if change and (path := call.arguments["path"]) else ("", "")
    )


def _tests(call: ToolCall) -> str:
    """The tests that a call ran, which all passed; empty where it did or said more than that."""
    ran = _PYTEST.fullmatch(call.arguments.get("command", "").strip())
    plain = ran and call.exit_code == 0 and "-q" in ran["options"].split()
    return ran["tests"].strip() if ran and plain else ""


def _with_call(syntax: str, step: Step, done: str, toolbox: Toolbox, *, thoughts: bool) -> Step:
    """The step with another command."""
    call = call_of(step).model_copy(
        update={"tool": "bash", "arguments": {"command": done}, "exit_code": 0}
    )
    message = rewritten(
        syntax, step.message, Call("bash", call.arguments), toolbox, thoughts=thoughts
    )
    return step._replace(call=call, message=message)


def _written(syntax: str, step: Step, thoughts: bool, toolbox: Toolbox) -> Step:
    """The step with its edit as a command."""
    call, (edit, _) = call_of(step), _edit(step)
    if edit:
        left = [text_of(one).rpartition("\n")[2] for one in step.observations]
        told = [
            {**one, "content": f"[exit code 0]\n{line}"}
            for one, line in zip(step.observations, left, strict=True)
        ]
        return _with_call(syntax, step, edit, toolbox, thoughts=thoughts)._replace(
            observations=told
        )
    if thoughts:
        return step
    if call.tool not in toolbox:
        raise Unproven("it is no call")
    made = Call(call.tool, call.arguments)
    message = rewritten(syntax, step.message, made, toolbox, thoughts=False)
    return step._replace(message=message)
