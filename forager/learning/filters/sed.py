"""Sed: rewrites edits of single lines as commands, which are many times shorter.

`edit` repeats the lines that it replaces; `sed -i '12s/<=/</' FILE` says only where and what. A
small model learns that first. The record proves what each edit did, so the commands are known to do
the same, and nothing has to run.
"""

import re
from itertools import count
from pathlib import PurePosixPath

from forager.agent.tool import Call, Toolbox
from forager.errors import UsageError
from forager.learning.filters.changes import LineEdit, Unproven, change_of
from forager.learning.filters.cut import KeptStep, answered, call_of, cut, rewritten
from forager.learning.filters.pipeline import Filter, Survey
from forager.learning.filters.stand_in import StandInSandbox
from forager.trajectories.record import ToolCall, Trajectory
from forager.trajectories.steps import Step, steps

# Blanks stay with words and with operators between them, as a tokenizer's pieces have them: a model
# copies what it replaces from the statement, in the same tokens.
_TOKENS = re.compile(r" [^\w\s]+ | ?[^\W\d]\w*|\w+|[^\w\s]+|\s+")
_SPECIAL = re.compile(r"[\\/*\[\].^$]")
_PYTEST = re.compile(  # with options that do not change what pytest prints when tests pass
    r"(timeout \d+ )?python -m pytest"
    r"(?P<options>( (-q|-x|-p no:cacheprovider|-o cache_dir=\S+|--tb=\w+|--maxfail=\d+))*)"
    r"(?P<tests>( (?!-)[^\s;|&<>()$`]+)+)"
)
_REPLACED = r"\d+s/(?:[^/\\'\n]|\\[^'\n])+/(?:[^/\\'\n]|\\[^'\n])*/"
_PARTS = {  # of a trial; any script that fits edits one file: `s` without flags is harmless
    "{script}": rf"{_REPLACED}(?:;{_REPLACED})*",
    "{path}": r"[\w./-]+",
    "{stem}": r"[\w-]+",
    "{tests}": r"(?!-)[^\s;|&<>()$`]+(?: (?!-)[^\s;|&<>()$`]+)*",
}
_PART = re.compile("(" + "|".join(map(re.escape, _PARTS)) + ")")
TRIAL = "git checkout -q {path}; sed -i '{script}' {path}; python -m pytest -q -rN --tb=no {tests}"
_SPECIAL_IN_NEW = re.compile(r"[\\/&]")


class TrialTemplate:
    """Commands that restore a file as committed, edit it by a sed script, and run tests.

    A failed trial can be followed by another. Each exits with the code of the tests. A repository
    may have a shorter command than the usual template; its parts are {script}, {path} or {stem}
    (the name of the file without directory and suffix), and {tests}. Raises UsageError if the
    template lacks the script or the file.
    """

    def __init__(self, template: str = TRIAL) -> None:
        if "{script}" not in template or not ("{path}" in template or "{stem}" in template):
            raise UsageError(f"a trial has {{script}}, and {{path}} or {{stem}}; not {template!r}")
        self._template = template
        self._form = re.compile(self._pattern())

    def _pattern(self) -> str:
        named: set[str] = set()
        made = ""
        for text in _PART.split(self._template):
            name = text.strip("{}")
            if text not in _PARTS:
                made += re.escape(text)
            else:
                made += f"(?P={name})" if name in named else f"(?P<{name}>{_PARTS[text]})"
                named.add(name)
        return made

    def command(self, script: str, path: str, tests: str) -> str:
        """The trial of a script at a file."""
        stem = PurePosixPath(path).stem
        parts = {"{script}": script, "{path}": path, "{stem}": stem, "{tests}": tests}
        return _PART.sub(lambda found: parts[found[0]], self._template)

    def file(self, call: ToolCall) -> str:
        """The path or stem of the file that a call's trial edits; empty for any other call."""
        done = call.arguments.get("command", "") if call.tool == "bash" else ""
        named = found.groupdict() if (found := self._form.fullmatch(done)) else {}
        return named.get("path") or named.get("stem") or ""


def sed(
    survey: Survey, thoughts: bool = False, tests: bool = False, trial: str = TRIAL, said: str = ""
) -> Filter:
    """Write edits as commands, and drop attempts in which one cannot be written so.

    Without `thoughts` every message holds its call alone. With `tests` a file's first edit and the
    passing run of tests right after it become one command: a `trial` (see `TrialTemplate`). Its
    answer is that of the run of tests, or `said` where the repository has its own command, which
    prints that when tests pass. An attempt that is written so already stays as it is.
    """
    toolbox, trials = survey.toolbox, TrialTemplate(trial)

    def change(attempt: Trajectory) -> Trajectory | None:
        all = list(map(KeptStep, count(), steps(attempt)))
        try:
            joined = _joined(attempt.syntax, all, toolbox, trials, said) if tests else all
            written = [
                KeptStep(number, _written(attempt.syntax, step, thoughts, toolbox))
                for number, step in joined
            ]
        except Unproven:
            return None
        return attempt if written == all else cut(attempt, written, "sed")

    return change


def script(change: LineEdit) -> str:
    """The sed script of an edit of single lines. Raises Unproven for any other edit."""
    pairs = list(zip(change.old, change.new, strict=False))
    if (
        change.new_file
        or len(change.old) != len(change.new)
        or any("'" in "".join(p) for p in pairs)
    ):
        raise Unproven("it does not change single lines")
    return ";".join(
        _script(number, old, new)
        for number, (old, new) in enumerate(pairs, change.first + 1)
        if old != new
    )


def _script(number: int, old: str, new: str) -> str:
    """A command that replaces as few words of a line as identify the place."""
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


def _joined(
    syntax: str, all: list[KeptStep], toolbox: Toolbox, trials: TrialTemplate, said: str
) -> list[KeptStep]:
    """The steps, with each file's first edit and the run of tests right after it joined."""
    made: list[KeptStep] = []
    edited: set[str] = set()
    edit = path = ""  # of the step before
    for number, step in all:
        if edit and path not in edited and (tests := _tests(call_of(step))):
            made.pop()
            done = trials.command(edit, path, tests)
            step = _with_call(syntax, step, done, toolbox, thoughts=True)
            step = _answered(step, said, toolbox) if said else step
        made.append(KeptStep(number, step))
        edited.add(path)
        edit, path = _edit(step)
    return made


def _edit(step: Step) -> tuple[str, str]:
    """The script that does what the step's edit did, and the path; empty for other steps."""
    call = call_of(step)
    change = change_of(call)
    return (script(change), call.change.path) if change and call.change else ("", "")


def _answered(step: Step, said: str, toolbox: Toolbox) -> Step:
    """The step with the answer of its command, which succeeds and prints `said`."""
    made = call_of(step)
    seen = toolbox["bash"].execute(StandInSandbox(output=said), made.arguments, 1.0)
    return answered(step, Call(made.tool, made.arguments), seen, made.seconds)


def _tests(call: ToolCall) -> str:
    """The tests that a call ran, if all passed; empty if the command did or printed more."""
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
    call, (edit, path) = call_of(step), _edit(step)
    if edit:
        done = f"sed -i '{edit}' {path}"
        return _answered(_with_call(syntax, step, done, toolbox, thoughts=thoughts), "", toolbox)
    if thoughts:
        return step
    if call.tool not in toolbox:
        raise Unproven("the call could not be read")
    made = Call(call.tool, call.arguments)
    message = rewritten(syntax, step.message, made, toolbox, thoughts=False)
    return step._replace(message=message)
