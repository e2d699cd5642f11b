"""The tool `python`: programs of a model that solves problems of mathematics."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from forager.agent.model import ScriptedModel
from forager.agent.syntax import SYNTAXES
from forager.agent.tool import Call
from forager.environments.answer.mathematics import MATH, MathTask
from forager.errors import UsageError
from forager.rollout.attempt import make_attempt
from forager.rollout.settings import RunSettings
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.sandboxes.sandbox import Limits, Sandbox
from forager.trajectories.record import AttemptLimits, Message, Trajectory
from tasks.importing import ImportRequest, task_of
from tasks.mathematics import gsm8k
from tasks.questions import QUESTIONS
from tasks.suite import BenchmarkSuite
from tools import TOOLBOX, load_toolbox
from tools.python import CALLS, SECONDS

TOOLS, LIMITS = load_toolbox(), Limits()
ANSWER: Message = {"role": "assistant", "content": r"It is $\boxed{4}$."}


def asks(code: str, syntax: str) -> Message:
    """A message that calls the tool."""
    return SYNTAXES[syntax].write("Compute.", Call("python", {"code": code}), TOOLS)


def attempted(messages: list[Message], place: Path, syntax: str = "functions") -> Trajectory:
    """An attempt at a problem that allows Python."""
    task = MathTask(
        instance_id="sum", kind=MATH, problem_statement="2 + 2?", solution="4", python=True
    )

    def sandboxes(
        image: str, *, limits: Limits = LIMITS, environment: Mapping[str, str] = {}
    ) -> Sandbox:
        return LocalSandbox(place)

    settings = RunSettings(models=["scripted"], syntax=syntax)
    return make_attempt(task, 0, settings, ScriptedModel(messages), TOOLS, sandboxes)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_first_message_without_a_call_is_the_answer(tmp_path: Path, syntax: str) -> None:
    """What the program prints comes back; another message ends the attempt."""
    made = attempted([asks("print(2 + 2)", syntax), ANSWER], tmp_path, syntax)
    assert made.outcome.resolved and made.outcome.exit_reason == "answered"
    assert made.outcome.answer == "4"
    (call,) = made.tool_calls
    assert (call.tool, call.exit_code) == ("python", 0)
    assert str(made.messages[call.message]["content"]).startswith("4\n")
    offered = [tool["function"]["name"] for tool in made.tools]
    assert offered == (["python"] if syntax == "functions" else [])


def test_a_program_that_fails_says_so(tmp_path: Path) -> None:
    """Tracebacks and exit codes are answers, and each call is a fresh interpreter."""
    codes = ["x = 1", "print(x)", ""]
    made = attempted([*(asks(code, "functions") for code in codes), ANSWER], tmp_path)
    told = [str(made.messages[call.message]["content"]) for call in made.tool_calls]
    assert told[0].startswith("[nothing was printed]")
    assert "NameError" in told[1] and "[exit code 1]" in told[1]
    assert made.tool_calls[1].exit_code == 1
    assert "Give" not in told[1] and made.outcome.resolved


def test_calls_are_counted(tmp_path: Path) -> None:
    """After the last one the model reads that it must go on without it."""
    calls = [asks("print(1)", "functions")] * (CALLS + 1)
    made = attempted([*calls, ANSWER], tmp_path)
    assert [call.error for call in made.tool_calls] == [False] * CALLS + [True]
    assert made.tool_calls[-1].reason == "used_up"
    assert made.outcome.resolved


def test_a_call_has_little_time(tmp_path: Path) -> None:
    """The tool's limit holds even if the attempt's commands may take longer."""
    tool = TOOLS["python"]
    assert tool.seconds == SECONDS < AttemptLimits().command_seconds
    with LocalSandbox(tmp_path) as sandbox:
        code = {"code": "print('a', flush=True)\nwhile True:\n    pass"}
        observation = tool.execute(sandbox, code, 0.5)
    assert observation.timed_out
    assert observation.text.startswith("a\n")
    assert observation.text.endswith("\n[stopped after 0.5 seconds]")


def test_other_tasks_do_not_have_it() -> None:
    """An agent at work on a repository has CWM's four tools, and those of other packages."""
    assert "python" not in TOOLBOX and TOOLS["python"].on_request


def test_problems_of_mathematics_can_allow_it() -> None:
    """Rows get the image to compute in; other formats have no use for it."""
    row = {"question": "2 + 2?", "answer": "#### 4"}
    wanted = ImportRequest(QUESTIONS["gsm8k"], image="base", python=True)
    task = task_of(row, wanted)
    assert isinstance(task, MathTask)
    assert (task.python, task.image) == (True, "base")
    assert not gsm8k(row).python
    assert BenchmarkSuite(name="a", format="gsm8k", python=True).runs
    with pytest.raises(ValueError, match="cruxeval-o cannot allow it"):
        BenchmarkSuite(name="a", format="cruxeval-o", python=True)


def test_repositories_ignore_it(kata_task: object) -> None:
    """An attempt at a repository is not offered the tool."""
    from forager.environments.task import Task
    from forager.rollout.attempt import beginning_of

    assert isinstance(kata_task, Task)
    _, tools = beginning_of(kata_task, RunSettings(models=["m"]), TOOLS)
    assert "python" not in tools
    with pytest.raises(UsageError, match="needs the tool"):
        beginning_of(
            MathTask(instance_id="m", problem_statement="?", solution="1", python=True),
            RunSettings(models=["m"]),
            TOOLBOX,
        )
