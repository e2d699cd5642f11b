"""Attempts that earlier versions recorded get the facts of their calls when they are read."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
from filtering import RECORDED

from forager.agent.loop import Agent
from forager.agent.model import ScriptedModel
from forager.agent.syntax import SYNTAXES
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.trajectories.earlier_calls import upgraded
from forager.trajectories.record import (
    SCHEMA_VERSION,
    AttemptLimits,
    FileChange,
    Message,
    ToolCall,
    Trajectory,
)
from forager.trajectories.show import text_of
from forager.trajectories.steps import steps
from forager.trajectories.store import Run
from tools import TOOLBOX

EARLIER = Path(__file__).parent / "data" / "earlier" / "calls"
DURATION = re.compile(r"\bin \d+\.\d\ds")
NUMBERS = range(6)


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Trajectory]:
    """Return the attempts by number; reading indexes a copy."""
    run = tmp_path_factory.mktemp("earlier") / "run"
    for path in (EARLIER / "run").rglob("*"):
        if path.is_file():
            copy = run / path.relative_to(EARLIER / "run")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return {attempt.attempt: attempt for attempt in Run(run).trajectories()}


def made_again(attempt: Trajectory, root: Path) -> Agent:
    """Replay the model's answers through this version's loop and tools."""
    for name, text in json.loads((EARLIER / "files.json").read_text()).items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(text.encode())
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    replies = [step.message for step in steps(attempt)]
    syntax = SYNTAXES[attempt.syntax]
    limits = AttemptLimits.model_validate({**attempt.limits.model_dump(), "seconds": 2400})
    with LocalSandbox(root, environment=environment) as sandbox:
        sandbox.run("unset CI BUILD_NUMBER")  # where pytest shortens nothing
        sandbox.run("git init -q; git add -A; git -c user.name=a -c user.email=a@b commit -qm a")
        agent = Agent(ScriptedModel(replies), sandbox, TOOLBOX, syntax, limits)
        agent.run(text_of(attempt.messages[1]))
    return agent


def told(messages: list[Message], reworded: set[int]) -> list[str]:
    """The texts after the instructions, without durations; of some messages the role alone."""
    return [
        message["role"] if at in reworded else DURATION.sub("in a while", text_of(message))
        for at, message in enumerate(messages)
    ][1:]


def proven(call: ToolCall, old: ToolCall) -> ToolCall:
    """Return a call without its duration, and without facts that old text cannot prove."""
    change = call.change
    if change and old.change and (old.change.first is None or change.path == "crlf.txt"):
        removed, added = ([line.rstrip("\r") for line in lines]
                          for lines in (change.removed, change.added))  # fmt: skip
        change = FileChange(path=change.path, removed=removed, added=added)
    return call.model_copy(update={"seconds": 0.0, "change": change})


@pytest.mark.parametrize("number", NUMBERS)
def test_facts_read_from_the_text_are_those_that_tools_record(
    attempts: dict[int, Trajectory], number: int, tmp_path: Path
) -> None:
    """A rerun by this version has the same facts and, where no call is refused, the same text."""
    attempt = attempts[number]
    agent = made_again(attempt, tmp_path)
    assert attempt.schema_version == SCHEMA_VERSION
    refusals = {call.message for call in attempt.tool_calls if call.error}
    assert told(agent.messages, refusals) == told(attempt.messages, refusals)
    for new, old in zip(agent.tool_calls, attempt.tool_calls, strict=True):
        assert proven(new, old) == proven(old, old)


def test_every_kind_of_fact_is_read(attempts: dict[int, Trajectory]) -> None:
    """The recorded attempts hold each reason; what no text proves is None."""
    calls = [call for number in NUMBERS for call in attempts[number].tool_calls]
    assert {call.reason for call in calls} == {
        *("", "not_found", "ambiguous", "unchanged", "no_such_file", "no_such_directory"),
        *("file_exists", "is_a_directory", "binary_file", "empty_argument", "nul_character"),
        *("no_call", "several_calls", "misplaced_tag", "unknown_tool", "invalid_json"),
        *("wrong_arguments", "unclosed_call", "text_after_call", "malformed_body"),
    }
    assert all(call.error == bool(call.reason) for call in calls)
    assert all(call.turns_left is not None and call.tokens_left is not None for call in calls)
    edits = [call.change for call in calls if call.tool == "edit" and not call.error]
    assert all(edits)
    unproven = {change.path for change in edits if change and change.first is None}
    assert unproven == {"crlf.txt", "same.py", "wide.py"}
    assert sum(change.first is not None for change in edits if change) == 30


def test_what_this_version_recorded_stays(attempts: dict[int, Trajectory]) -> None:
    """Facts that this version recorded, and all other fields, stay unchanged."""
    attempt = attempts[0]
    assert upgraded(attempt) is attempt
    bare = ToolCall.model_fields.keys() - {"message", "tool", "arguments", "exit_code", "seconds"}
    old = attempt.model_copy(
        update={
            "schema_version": 1,
            "tool_calls": [
                ToolCall.model_validate(call.model_dump(exclude=bare | {"seconds"}))
                for call in attempt.tool_calls
            ],
        }
    )
    again = upgraded(old)
    assert again.model_copy(update={"tool_calls": []}) == attempt.model_copy(
        update={"tool_calls": []}
    )


def test_attempts_without_a_budget_in_their_text_have_a_computed_one(tmp_path: Path) -> None:
    """Every call of an older run gets its budget and its change."""
    run = tmp_path / "run"
    for path in RECORDED.rglob("*"):
        if path.is_file():
            (run / path.relative_to(RECORDED)).parent.mkdir(parents=True, exist_ok=True)
            (run / path.relative_to(RECORDED)).write_bytes(path.read_bytes())
    for attempt in Run(run).trajectories():
        for number, call in enumerate(attempt.tool_calls, 1):
            assert call.turns_left == attempt.limits.turns - number
            assert call.tokens_left == attempt.limits.tokens
            changed = call.tool in ("edit", "create") and not call.error
            assert (call.change is not None) == changed
