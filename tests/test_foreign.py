"""Agents of other makers: they work in the sandbox, and forager answers their requests."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attempts import make_task
from click.testing import CliRunner
from test_chat import Script, completion, failure, function, serving

from forager.agent.conversations import Conversations
from forager.agent.foreign import CommandAgent
from forager.cli.main import main
from forager.environments.repository.task import RepositoryTask
from forager.errors import AgentError
from forager.records import write_records
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.trajectories.record import AttemptLimits, Message, Trajectory
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
    if "--agent-files" not in options:
        words += ["--agent-files", str(files)]
    made = CliRunner().invoke(main, [*words, *options])
    return list(Run(path / "run").trajectories()), made


@pytest.mark.engine
@pytest.mark.parametrize("sandbox", ["docker", "bubblewrap"])
def test_an_agent_is_graded_and_recorded(
    tmp_path: Path, kata_task: RepositoryTask, sandbox: str
) -> None:
    """Its patch resolves the task; messages, calls and usage are those that it had."""
    with serving() as server:
        server.answers = WORK
        found, result = attempt(
            tmp_path, server, kata_task, "python3 AGENT chat", "--sandbox", sandbox
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


@contextmanager
def at_work(place: Path, server: Script, command: str) -> Iterator[CommandAgent]:
    """An agent in a directory of this machine, with a model of the server."""
    sandbox = LocalSandbox(place)
    try:
        yield CommandAgent(command, server.model(), "m", sandbox, AttemptLimits())
    finally:
        sandbox.close()


@pytest.mark.parametrize("form", FORMS)
def test_an_agent_asks_in_each_form(tmp_path: Path, form: str) -> None:
    """What it was answered comes back with its next request, and is kept once."""
    command = f"{sys.executable} {Path(__file__).parent}/foreign_agent.py {form}"
    with serving() as server, at_work(tmp_path, server, command) as agent:
        server.answers = [calling("echo one >file; cat file"), calling("echo two"), WORK[2]]
        assert agent.run("Do it.") == "submitted"
    assert agent.foreign.log == "the agent is done\n"
    told = [message["content"] for message in agent.messages if message["role"] == "tool"]
    assert told == ["one\n", "two\n"]
    assert [call.opens for call in agent.model_calls] == [0, 0, 0]
    assert [call.arguments["command"] for call in agent.tool_calls][1] == "echo two"
    assert server.seen[2]["messages"] == agent.messages[:-1]


ASIDE = """import json, os, sys, urllib.request
def ask(*words):
    said = [{"role": "user", "content": word} for word in words]
    data = json.dumps({"model": "m", "messages": said}).encode()
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data)) as reply:
            return json.load(reply)["choices"][0]["message"]
    except urllib.error.HTTPError as error:
        print(error.code, json.load(error)["error"]["code"], flush=True)
"""


def script(path: Path, text: str) -> str:
    """The command of an agent that asks as the text says."""
    (path / "agent").mkdir()
    (path / "agent/agent.py").write_text(ASIDE + text)
    path.chmod(0o755)
    return f"python3 {path}/agent/agent.py"


@pytest.mark.engine
def test_limits_end_the_agent(tmp_path: Path, kata_task: RepositoryTask) -> None:
    """After the last turn the agent is ended, with all its processes, and its patch is graded."""
    command = script(tmp_path, f'os.system("{FIX}")\nwhile ask("again"): pass')
    with serving() as server:
        server.answers = [completion()]
        files = str(tmp_path / "agent")
        (made,), _ = attempt(
            tmp_path, server, kata_task, command, "--max-turns", "3", "--agent-files", files
        )
    assert (made.outcome.exit_reason, made.outcome.resolved, made.turns) == ("turn_limit", True, 3)
    assert made.foreign and made.foreign.exit_code is None
    assert [call.opens for call in made.model_calls] == [0, 2, 4], "three conversations"


def test_a_refusal_reaches_the_agent(tmp_path: Path) -> None:
    """It may shorten its conversation, and is ended at the third refusal in a row."""
    command = script(tmp_path, 'ask("one")\nfor _ in range(9): ask("one", "long")')
    full = failure(400, "the prompt is too long", code="context_length_exceeded")
    with serving() as server, at_work(tmp_path, server, command) as agent:
        server.answers = [completion(), full]
        assert agent.run("Do it.") == "token_limit"
    assert "too long" in agent.refusal
    assert agent.foreign.log == "400 context_length_exceeded\n" * 2


def test_an_agent_that_does_not_run_loses_its_attempt(tmp_path: Path) -> None:
    """It asked nothing, so nothing is known of the model; its last words say why."""
    told = "code 3 before its first request: no module"
    with (
        serving() as server,
        at_work(tmp_path, server, "echo no module; exit 3") as agent,
        pytest.raises(AgentError, match=told),
    ):
        agent.run("Do it.")


@pytest.mark.parametrize(
    "sent",
    [
        *(b"[]", b"{", b'{"messages": 3}', b'{"messages": [{"role": 1}]}'),
        b'{"messages": [{"role": []}], "input": [{"role": {}}]}',
    ],
)
def test_nonsense_is_answered_and_harms_nothing(tmp_path: Path, sent: bytes) -> None:
    """A request that cannot be read is refused with a reason; the agent goes on."""
    text = f"""
for path in ("/chat/completions", "/responses", "/messages", "/nowhere"):
    request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + path, {sent!r})
    try:
        urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        print(error.code, end=" ", flush=True)
"""
    with serving() as server, at_work(tmp_path, server, script(tmp_path, text)) as agent:
        agent.run("Do it.")
    assert agent.foreign.log == "400 400 400 404 "


@pytest.mark.engine
def test_a_command_that_is_not_there_ends_the_run(
    tmp_path: Path, kata_task: RepositoryTask
) -> None:
    """One line says what to give; no attempt is made again and again."""
    with serving() as server:
        made, result = attempt(tmp_path, server, kata_task, "nowhere/mini")
    assert (made, result.exit_code) == ([], 2)
    assert "exit code 127 before its first request: " in result.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-m", "repair", "--agent", "x"], "with --agent name a model that a server offers"),
        (["--url", "http://x", "-m", "m", "--agent-files", "/"], "--agent-files needs --agent"),
        (
            ["--url", "http://x", "-m", "m", "--agent", "x", "--agent-files", "/nowhere"],
            "there is no such directory",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, options: list[str], told: str) -> None:
    """One line says why."""
    write_records(tmp_path / "tasks.jsonl", [make_task("a")])
    words = ["run", str(tmp_path / "tasks.jsonl"), "-o", str(tmp_path / "run"), *options]
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert told in result.stderr


def test_a_conversation_goes_on_though_the_agent_dropped_parts() -> None:
    """Reasoning and white space may be gone; the model still reads what it said itself."""
    said = Conversations()
    one: Message = {"role": "user", "content": "go"}
    first = said.continued([one], [], 0)
    call = {"id": "1", "type": "function", "function": {"name": "sh", "arguments": '{"a": 1}'}}
    thought = {"content": " Hm.\n", "reasoning_content": "I think", "tool_calls": [call]}
    first.say({"role": "assistant", **thought})
    bare = {**call, "function": {"name": "sh", "arguments": '{"a":1}'}}
    again = [one, {"role": "assistant", "content": "Hm.", "tool_calls": [bare]}]
    told = {"role": "tool", "tool_call_id": "1", "content": "ok"}
    assert said.continued([*again, told], [], 2.5) is first
    assert first.messages[1]["reasoning_content"] == "I think"
    (made,) = said.tool_calls
    assert (made.tool, made.arguments, made.message, made.seconds) == ("sh", {"a": "1"}, 2, 2.5)
    assert said.continued([{"role": "user", "content": "else"}], [], 0) is not first
