"""Agents of other makers: they work in the sandbox, and forager answers and keeps their requests."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from test_chat import Script, completion, function, serving

from forager.cli.main import main
from forager.environments.repository.task import RepositoryTask
from forager.records import write_records
from forager.trajectories.record import Trajectory
from forager.trajectories.steps import steps
from forager.trajectories.store import Run

FIX = "sed -i 's/return min(value, high)/return min(max(value, low), high)/' kata/core.py"
FORMS = ("chat", "responses", "messages")


def calling(command: str) -> Any:
    """An answer that calls the agent's tool."""
    arguments = json.dumps({"command": command})
    call = function("sh", arguments, id=f"call_{len(command)}")
    return completion({"content": "Let me see.", "tool_calls": [call]})


WORK = [calling("pwd; id -un"), calling(FIX), completion({"content": "It is done."})]


def attempt(
    path: Path, server: Script, task: RepositoryTask, agent: str, *options: str
) -> tuple[list[Trajectory], Any]:
    """Run an agent at a task; return the attempts and the result."""
    write_records(path / "tasks.jsonl", [task])
    files = Path(__file__).parent
    words = [*("run", str(path / "tasks.jsonl"), "-o", str(path / "run"), "-m", "m", "-w", "1")]
    words += ["--url", server.url, "--agent", agent.replace("AGENT", f"{files}/foreign_agent.py")]
    server.seen = []
    made = CliRunner().invoke(main, [*words, "--agent-files", str(files), *options])
    return list(Run(path / "run").trajectories()), made


@pytest.mark.engine
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sandbox", ["docker", "bubblewrap"])
def test_an_agent_is_graded_and_recorded(
    tmp_path: Path, kata_task: RepositoryTask, form: str, sandbox: str
) -> None:
    """In each form: its patch resolves the task, and messages, calls and usage are those it had."""
    if sandbox == "bubblewrap" and form != "chat":
        pytest.skip("one form shows that the directories are there")
    with serving() as server:
        server.answers = WORK
        found, result = attempt(
            tmp_path, server, kata_task, f"python3 AGENT {form}", "--sandbox", sandbox
        )
    assert not result.exit_code, result.output
    (made,) = found
    assert (made.outcome.verdict, made.outcome.exit_reason) == ("resolved", "submitted")
    assert made.foreign and (made.foreign.exit_code, made.foreign.log) == (0, "the agent is done\n")
    assert [call.tool for call in made.tool_calls] == ["sh", "sh"]
    assert made.tool_calls[1].arguments == {"command": FIX}
    taken = list(steps(made))
    assert taken[0].observations[0]["content"] == "/testbed\nagent\n"
    assert taken[2].message["content"] == "It is done."
    assert made.usage.prompt_tokens == sum(call.usage.prompt_tokens for call in made.model_calls)
    assert [tool["function"]["name"] for tool in made.tools] == ["sh"]
    assert server.seen[1]["messages"] == [*made.messages[: made.model_calls[1].message]]
    assert server.seen[0]["messages"][-1]["content"] == kata_task.problem_statement
