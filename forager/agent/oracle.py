"""The oracle: an agent that knows the reference patch and applies it step by step.

It shows models what a correct attempt looks like (the expert of DAgger, arXiv 1011.0686), and that
a task can be solved with the tools as they are.
"""

import shlex
from collections.abc import Generator, Sequence
from typing import Any

from unidiff.errors import UnidiffParseError
from unidiff.patch import Hunk, PatchedFile

from forager.agent.model import Reply
from forager.agent.syntax import Syntax
from forager.agent.tool import Call, Toolbox
from forager.environments.repository.patches import by_file, parsed
from forager.environments.repository.task import RepositoryTask
from forager.errors import TaskError
from forager.trajectories.record import Message, ToolCall

_TESTS = 10  # failing tests that are run, at most


class OracleModel:
    """Implements Model. One instance drives one attempt at its task.

    Changed lines become calls of `edit`; git applies what `edit` cannot.
    """

    def __init__(self, task: RepositoryTask, syntax: Syntax, tools: Toolbox) -> None:
        self._syntax, self._tools = syntax, tools
        self._steps = _steps(task)
        self._begun = False

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        """Answer with the next step."""
        del messages, tools  # the task and the toolbox are known
        made = calls[-1] if self._begun else None
        self._begun = True
        return Reply(self._syntax.write(*self._steps.send(made), self._tools))


_Steps = Generator[tuple[str, Call], ToolCall | None, None]  # thoughts and calls; how each went


def _steps(task: RepositoryTask) -> _Steps:
    """The whole attempt; at the end it submits, as often as it is asked.

    Raises TaskError if the task's patch is not a diff.
    """
    try:
        files, texts = parsed(task.patch), by_file(task.patch)
    except UnidiffParseError as error:
        raise TaskError(f"{task.instance_id}: its patch is not a diff: {error}") from error
    if len(files) != len(texts):  # some patches have no lines of git
        texts = list(map(str, files))
    for file, text in zip(files, texts, strict=True):
        if _is_edit(file):
            for hunk in reversed(file):  # so that the numbers of those before stay right
                yield from _edit(file, hunk)
        else:
            yield "I apply the change of this file.", _applied(text)
    if task.FAIL_TO_PASS and not task.test_patch and not task.setup.command:
        names = " ".join(map(shlex.quote, task.FAIL_TO_PASS[:_TESTS]))
        yield "I run the failing tests.", Call("bash", {"command": f"python -m pytest -q {names}"})
    while True:
        yield "That is all.", Call("submit", {})


def _is_edit(file: PatchedFile) -> bool:
    """Whether only whole lines of the file change: not its name, mode or endings."""
    plain = file.is_modified_file and not file.is_rename and not file.is_binary_file
    text = str(file)
    return plain and "\\ No newline" not in text and "\r" not in text and "old mode" not in text


def _edit(file: PatchedFile, hunk: Hunk) -> _Steps:
    """An edit; if its lines occur more than once, git applies the hunk by line number."""
    search = "".join(str(line.value) for line in hunk if not line.is_added)
    replace = "".join(str(line.value) for line in hunk if not line.is_removed)
    arguments = {"path": file.path, "search": search, "replace": replace}
    made = yield "I change what is wrong.", Call("edit", arguments)
    if made is None or made.error:
        head = f"--- {file.source_file}\n+++ {file.target_file}\n"
        yield "I apply this change by its place.", _applied(f"{head}{hunk}")


def _applied(patch: str) -> Call:
    return Call("bash", {"command": f"git apply - <<'EOF'\n{patch}EOF"})
