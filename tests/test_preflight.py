"""What a run asks before its first attempt: a useless endpoint ends it at once, with one line."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from attempts import make_task
from click.testing import CliRunner, Result
from test_answers import question
from test_chat import Answer, Script, completion, failure, function, serving

from forager.agent.model import ScriptedModel
from forager.agent.syntax import FunctionCalling, assistant
from forager.agent.tool import Call, Observation, Toolbox
from forager.cli.main import main
from forager.environments.repository.task import RepositoryTask
from forager.environments.task import Task
from forager.records import write_records
from forager.rollout.batch import run_batch
from forager.rollout.preflight import check_tool_call
from forager.rollout.settings import RunSettings
from forager.trajectories.store import Run
from tools import TOOLBOX

CALL = completion({"tool_calls": [function("bash", '{"command": "ls"}', id="1")]})
PROSE = completion({"content": "I would look at the code first."})
LEAK = completion({"content": '<tool_call>\n{"name": "bash", "arguments": {}}\n</tool_call>'})
NO_TOOLS = failure(400, '"auto" tool choice requires --enable-auto-tool-choice')


@pytest.fixture
def server() -> Iterator[Script]:
    """A scripted server."""
    with serving() as script:
        yield script


def run(directory: Path, url: str, task: Task | None = None, *options: str) -> tuple[Result, float]:
    """Run `forager run` with a model of the server; return the result and the seconds it took."""
    tasks = directory / "tasks.jsonl"
    write_records(tasks, [task or make_task("a")])
    words = ["run", str(tasks), "-o", str(directory / "run"), "-m", "m", "--url", url, *options]
    began = time.monotonic()
    result = CliRunner(env={"OPENAI_API_KEY": None, "MYKEY": "wrong-key"}).invoke(main, words)
    return result, time.monotonic() - began


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([PROSE, PROSE], ["answers in prose", "--tool-call-parser", "--syntax text"]),
        ([LEAK], ["as text (<tool_call>)", "--tool-call-parser", "--syntax text"]),
        ([NO_TOOLS, PROSE], ['refuses tool calls ("auto"', "--tool-call-parser"]),
        ([failure(401, "bad key")], ["answers 401: bad key; set MYKEY to a key"]),
        ([Answer(b"<html>", content_type="text/html")], ["not the OpenAI interface"]),
    ],
)
def test_a_useless_endpoint_ends_the_run_at_once(
    tmp_path: Path, server: Script, answers: list[Answer], told: list[str]
) -> None:
    """One line names the remedy; it takes less than ten seconds, and nothing is attempted."""
    server.answers, server.seen = answers, []
    result, seconds = run(tmp_path, server.url, None, "--key-env", "MYKEY")
    assert result.exit_code == 1
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("forager: "))
    assert all(words in line for words in told), line
    assert len(server.seen) == len(answers) and seconds < 10
    assert not list(Run(tmp_path / "run").lost())


@pytest.mark.parametrize("task", [make_task("a"), question()], ids=["tools", "no tools"])
def test_a_dead_server_is_said_at_once(tmp_path: Path, task: Task) -> None:
    """The first error comes in less than ten seconds, not after the retries of an attempt."""
    result, seconds = run(tmp_path, "http://127.0.0.1:9/v1", task)
    assert (result.exit_code, seconds < 10) == (1, True)
    assert "does not answer" in result.stderr and "is the server up" in result.stderr


def test_a_key_that_is_not_set_is_said(tmp_path: Path, server: Script) -> None:
    """OPENAI_API_KEY does not stand in for the variable of --key-env."""
    server.models, listed = failure(401, "no key"), server.models
    result, _ = run(tmp_path, server.url, None, "--key-env", "NOWHERE")
    server.models = listed
    assert "set NOWHERE (it is not set) to a key that it takes" in result.stderr


def test_tasks_without_tools_need_no_tool_call(tmp_path: Path, server: Script) -> None:
    """Only their own requests are made; a finished run asks nothing, not even for the list."""
    server.answers, server.seen = [completion({"content": "[ANSWER][3, 3][/ANSWER]"})], []
    assert run(tmp_path, server.url, question())[0].exit_code == 0
    assert len(server.seen) == 1
    assert run(tmp_path, "http://127.0.0.1:9/v1", question())[0].exit_code == 0


def test_one_answer_in_prose_is_forgiven(server: Script) -> None:
    """The model reads that it made no call, as in an attempt, and makes one; faults are noted."""
    model, messages = server.model(), [{"role": "user", "content": "go"}]
    for answers, noted in (([PROSE, CALL], ""), ([failure(503, "busy")], "answers 503: busy")):
        server.answers, server.seen, notes = answers, [], list[str]()
        check_tool_call(model, messages, TOOLBOX, FunctionCalling(), notes.append)
        assert noted in "".join(notes)
        if not noted:
            assert "holds no tool call" in server.seen[1]["messages"][-1]["content"]


@pytest.mark.engine
def test_a_broken_tool_appears_at_once_with_its_traceback(
    tmp_path: Path, kata_task: RepositoryTask
) -> None:
    """The attempt has failed, since without the call nothing breaks; its author reads why."""

    def execute(*_: object) -> Observation:
        raise NameError("name 'pth' is not defined")

    toolbox: Toolbox = {**TOOLBOX, "bash": replace(TOOLBOX["bash"], execute=execute)}
    calls = assistant(FunctionCalling(), TOOLBOX, [Call("bash", {"command": "ls"})])
    settings, notes = RunSettings(models=["m"]), list[str]()
    with Run.write(tmp_path / "run", settings, [kata_task]) as store:
        run_batch(
            store,
            [kata_task],
            settings,
            model=lambda *_: ScriptedModel(calls),
            toolbox=toolbox,
            on_progress=lambda *_, **__: None,
            on_note=notes.append,
        )
    assert "error in a tool: NameError: name 'pth' is not defined" in notes[0]
    assert "Traceback" in notes[1] and "in execute" in notes[1]
    assert len(notes) == 3 and "failed: the agent broke its sandbox" in notes[2]
