"""Attempts rerun in real containers: whole, up to a turn, or continued by a person."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from attempts import make_attempt, make_task
from click.testing import CliRunner, Result
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console
from test_rollout import FIX, SUBMIT, TEST, run, script

from forager.agent.model import Reply, ScriptedModel
from forager.agent.person import Person, completer
from forager.agent.syntax import SYNTAXES
from forager.agent.tool import Call
from forager.cli.main import main
from forager.environments.repository.task import RepositoryTask
from forager.errors import LimitReached, Stopped, UsageError
from forager.repair import RepairModel
from forager.repair.observation import problem
from forager.rollout.again import Recorded, branching_turn, parent_of
from forager.rollout.attempt import make_attempt as really_attempt
from forager.rollout.execution import settings_of
from forager.rollout.sandboxes import SandboxWatcher
from forager.rollout.settings import RunSettings
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.trajectories.record import Message, ModelCall, Trajectory, Usage
from forager.trajectories.reproduction import RULES, compare, normalised
from forager.trajectories.store import Run
from tools import TOOLBOX

WRONG = Call("edit", {**FIX.arguments, "replace": "    return max(value, low)"})
UNDO = Call("edit", {**FIX.arguments, "search": WRONG.arguments["replace"]})
DICE = Call("bash", {"command": "echo $RANDOM$RANDOM; date; python -c 'print(object())'; mktemp"})


def forager(*arguments: str | Path | int) -> Result:
    """Run the command in this process; no environment variable names an endpoint."""
    return CliRunner(env={"OPENAI_BASE_URL": None}).invoke(
        main, [str(argument) for argument in arguments]
    )


def recorded(path: Path, task: RepositoryTask, *calls: Call, **settings: Any) -> Trajectory:
    """Write a run whose one attempt makes these calls; return the attempt."""
    (attempt,), _, _ = run(path, task, script("functions", *calls), **settings)
    return attempt


def conversation(attempt: Trajectory, turn: int) -> list[Message]:
    """Return the messages that the model saw in a turn."""
    return attempt.messages[: attempt.model_calls[turn - 1].message]


# What answers


def test_recorded_answers_come_in_turn_and_then_the_end() -> None:
    """Replay returns recorded answers with their usage, then ends for the recorded reason."""
    attempt = make_attempt(exit_reason="time_limit")
    model = Recorded(attempt)
    for turn in range(1, attempt.turns + 1):
        reply = model.query(conversation(attempt, turn), [])
        assert reply.message == attempt.messages[attempt.model_calls[turn - 1].message]
        assert reply.usage == attempt.model_calls[turn - 1].usage
    with pytest.raises(LimitReached, match="time_limit"):
        model.query([], [])


def test_token_ids_hold_only_for_the_same_prompt() -> None:
    """After the first different observation, answers carry no token ids."""
    attempt = make_attempt()
    calls = [
        call.model_copy(update={"prompt_token_ids": [1, 2] * n, "completion_token_ids": [n],
                                "logprobs": [-0.5]})
        for n, call in enumerate(attempt.model_calls, 1)
    ]  # fmt: skip
    attempt = attempt.model_copy(update={"model_calls": ModelCalls(calls)})
    model = Recorded(attempt)
    same = model.query(conversation(attempt, 1), [])
    assert (same.prompt_token_ids, same.completion_token_ids, same.logprobs) == (
        [1, 2],
        [1],
        [-0.5],
    )
    model.query(conversation(attempt, 2), [])
    changed = [*conversation(attempt, 3)[:-1], {"role": "user", "content": "another answer"}]
    other = model.query(changed, [])
    assert (other.prompt_token_ids, other.completion_token_ids, other.logprobs) == (None,) * 3


def ModelCalls(calls: list[ModelCall]) -> list[ModelCall]:
    """The calls as a trajectory keeps them."""
    return (
        make_attempt()
        .model_validate(
            {**make_attempt().model_dump(), "model_calls": [call.model_dump() for call in calls]}
        )
        .model_calls
    )


def test_from_a_turn_on_another_answers() -> None:
    """From the branching turn on, another model answers and sees the whole conversation."""
    attempt, other = make_attempt(), ScriptedModel([{"role": "assistant", "content": "mine"}])
    model = Recorded(attempt, until=2, then=other)
    model.query(conversation(attempt, 1), [])
    assert model.query(conversation(attempt, 2), []).message["content"] == "mine"
    assert other.seen == [conversation(attempt, 2)]


def test_repair_takes_over_with_the_problem() -> None:
    """`repair` starts from the tests in the problem, not from the last observation."""
    statement = "There is a bug in the function `last` of `pkg/core.py`.\n\nThese tests fail:\n"
    statement += "- t.py::test_a"
    messages: list[Message] = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": statement},
        {"role": "assistant", "content": "", "tool_calls": []},
        {"role": "user", "content": "[exit code 0]"},
    ]
    model = RepairModel(SYNTAXES["functions"], TOOLBOX, {})
    reply = model.query(messages, [])
    assert "t.py::test_a" in SYNTAXES["functions"].read(reply.message, TOOLBOX).arguments["command"]
    assert problem(messages) == statement


@pytest.mark.parametrize(
    ("where", "turn"), [("1", 1), ("4", 4), ("99", 6), ("middle", 4), ("failure", 2)]
)
def test_where_to_branch(where: str, turn: int) -> None:
    """A branch starts at a number, the middle or the last failed call, within the turns."""
    attempt = make_attempt()
    calls = list(attempt.tool_calls)
    for number, update in ((0, {"error": True}), (1, {"exit_code": 1})):
        calls[number] = calls[number].model_copy(update=update)
    assert branching_turn(attempt.model_copy(update={"tool_calls": calls}), where) == turn


def test_without_a_failure_the_last_turn_is_made_anew() -> None:
    """Without a failed call, `failure` branches at the last turn."""
    assert branching_turn(make_attempt(), "failure") == 6


# What may differ


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/tmp/tmpab12cd_9/x", "/tmp/tmpzz00qq_1/x"),
        ("/tmp/tmp.Xk3jd82hsA", "/tmp/tmp.0000000000"),
        ("/tmp/pytest-of-agent/pytest-0/test_x0", "/tmp/pytest-of-agent/pytest-3/test_x0"),
        ("<A object at 0x7f12ab>", "<A object at 0x55ffee12>"),
        ("id 0x7f1234567890", "id 0x55aa34567890"),
        ("2026-11-23T10:00:00.123Z", "2027-01-02 23:59:59"),
        ("drwxr-xr-x 2 a a 4.0K Nov 23 17:05 tests", "drwxr-xr-x 2 a a 4.1K Dec  3 07:15 tests"),
        ("Mon Nov 23 17:05:05 UTC 2026", "Tue Dec  1 09:00:00 UTC 2026"),
        ("3 passed in 0.12s", "3 passed in 12.30s"),
        ("real\t0m0.123s", "real\t1m10.456s"),
        ("10 loops, best of 5: 12.3 usec per loop", "10 loops, best of 5: 9 usec per loop"),
        ("Mem: 1.2GiB", "Mem: 800 MiB"),
        ("[1] 4711", "[1] 12"),
        ("Process 4711 ended", "Process 12 ended"),
        ("bash: line 3:   123 Killed   sleep 9", "bash: line 3:    45 Killed   sleep 9"),
        ("host 3f2a91bc04de", "host 0123456789ab"),
        ("[main 1a2b3c4] message", "[main 9f8e7d6] message"),
        ("commit " + "a1" * 20, "commit " + "b2" * 20),
        ("--randomly-seed=1", "--randomly-seed=2"),
        ("[timed out after 120 seconds: x", "[timed out after 97.5312 seconds: x"),
    ],
)  # fmt: skip
def test_what_may_differ_each_time_is_replaced(one: str, other: str) -> None:
    """Normalising removes temporary names, times, addresses, sizes, process numbers, hosts."""
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3 passed", "4 passed"),
        ("exit code 1", "exit code 2"),
        ("core.py:12: in f", "core.py:13: in f"),
        ("value 0x1f", "value 0x2f"),
        ("in 5 seconds", "in 6 seconds"),
        ("version 1.2.3", "version 1.2.4"),
        ("/tmp/data/a", "/tmp/data/b"),
        ("index 1a2b3c4..5d6e7f8", "index 1a2b3c4..0000000"),
        ("Decimal 12", "Decimal 13"),
    ],
)
def test_what_means_something_is_not(one: str, other: str) -> None:
    """Normalising keeps counts, codes, lines and values."""
    assert normalised(one) != normalised(other)


def test_every_rule_has_its_reason() -> None:
    """Every rule has a unique name and a reason, which document the table."""
    assert all(rule.reason and rule.name for rule in RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)


def changed(attempt: Trajectory, **outcome: Any) -> Trajectory:
    """Return the attempt with another outcome."""
    return attempt.model_copy(update={"outcome": attempt.outcome.model_copy(update=outcome)})


def test_the_first_difference_is_told() -> None:
    """Observations are compared before the patch, the exit reason and the grades."""
    attempt = make_attempt()
    assert compare(attempt, attempt).reproduces
    messages = [dict(message) for message in attempt.messages]
    messages[5]["content"] = "def last(items):\n    return items[0:1]\n"
    other = compare(attempt, attempt.model_copy(update={"messages": messages}))
    assert (other.kind, other.turn, other.reason) == ("observation", 2, "other output")
    assert (other.expected, other.got) == ("    return items[0]", "    return items[0:1]")
    assert (other.turns_differing, other.same_end) == (1, True)
    assert compare(attempt, changed(attempt, answer="", exit_reason="x")).kind == "patch"
    ended = compare(attempt, changed(attempt, exit_reason="turn_limit", resolved=False))
    assert (ended.kind, ended.expected, ended.got) == ("exit", "submitted", "turn_limit")
    graded = compare(attempt, changed(attempt, tests={"tests/test_core.py::test_last": "failed"}))
    assert (graded.kind, graded.same_end) == ("outcome", False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("    return items[0]\ndef last(items):\n", "the same lines in another order"),
        ("def items(last):\n    return items[0]", "the same words in another order"),
    ],
)
def test_another_order_is_told(text: str, reason: str) -> None:
    """The reason names another order, as of a set of strings under another hash seed."""
    attempt = make_attempt()
    messages = [dict(message) for message in attempt.messages]
    messages[5]["content"] = text
    other = attempt.model_copy(update={"messages": messages})
    assert compare(attempt, other).reason == reason


# Run again


@pytest.mark.engine
def test_attempts_are_run_again_and_compared(tmp_path: Path, kata_task: RepositoryTask) -> None:
    """A second rerun repeats nothing; results are stored, tagged and printed with reasons."""
    path = tmp_path / "run"
    recorded(path, kata_task, FIX, TEST, SUBMIT)
    run(path, kata_task, script("functions", DICE, SUBMIT), attempts=2)
    result = forager("replay", path, "--execute", "-w", 1)
    assert result.exit_code == 0, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "reproduces 1 50.0%" in lines
    assert "observation: other output 1 50.0%" in lines
    kept = [json.loads(line) for line in (path / "reproduced.jsonl").read_text().splitlines()]
    assert [(line["id"][-1], line["reproduces"], line["turn"]) for line in kept] == [
        ("0", True, None), ("1", False, 1)]  # fmt: skip
    assert kept[1]["expected"].isdigit() and kept[1]["got"].isdigit()  # the date is not the reason
    listed = json.loads(forager("list", path, "--tag", "reproduces", "--json").stdout)
    assert [attempt["attempt"] for attempt in listed] == [0]
    again = forager("replay", path, "--execute", "--json")
    assert json.loads(again.stdout) == kept
    assert len((path / "reproduced.jsonl").read_text().splitlines()) == 2
    named = forager("replay", path / kept[0]["id"], "--execute", "--json")  # reruns it
    assert [found["reproduces"] for found in json.loads(named.stdout)] == [True]
    assert len((path / "reproduced.jsonl").read_text().splitlines()) == 3


def test_execution_needs_the_task(tmp_path: Path) -> None:
    """A file of attempts without its tasks gives one line of error."""
    path = tmp_path / "attempts.jsonl"
    path.write_text(make_attempt().model_dump_json() + "\n")
    result = forager("replay", path, "--execute")
    assert (result.exit_code, result.stderr.count("tasks.jsonl lacks the task")) == (2, 1)


# Taken over


def unsaved(_: str) -> None:
    """Replace $EDITOR by an editor that exits without saving."""


def keyboard(
    task: RepositoryTask, parent: Trajectory, typed: str, turn: int = 2, **given: Any
) -> Trajectory:
    """An attempt that a person takes over, who types this; `edit` is their editor."""
    opened = SandboxWatcher(docker_sandbox)
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        pipe.send_text(typed)
        edit = given.get("edit", unsaved)
        person = Person(SYNTAXES[parent.syntax], TOOLBOX, opened.paths, edit, Console(quiet=True))
        settings = settings_of(parent, "docker").model_copy(update={"models": ["person"]})
        took = parent_of(Path("/runs/one"), parent, turn)
        return really_attempt(task, 1, settings, person, TOOLBOX, opened, parent=took)


@pytest.mark.engine
@pytest.mark.parametrize("syntax", ["functions", "text"])
def test_a_person_takes_over_and_resolves_it(
    tmp_path: Path, kata_task: RepositoryTask, syntax: str
) -> None:
    """The parent's turns are replayed; then a person types calls or writes them in $EDITOR."""
    replies = script(syntax, WRONG, SUBMIT)
    (parent,), _, _ = run(tmp_path / "run", kata_task, replies, syntax=syntax)
    assert not parent.outcome.resolved
    shown: list[str] = []

    def edit(text: str) -> str:
        shown.append(text)
        return TOOLBOX["edit"].write_body(UNDO.arguments) + "\n"

    typed = "# The bound is lost.\nedit kata/core.py\nbash python -m pytest -q tests\nsubmit\n"
    attempt = keyboard(kata_task, parent, typed, edit=edit)
    assert attempt.outcome.resolved
    assert shown[0].startswith("kata/core.py\n<<<<<<< SEARCH\n")
    assert [call.tool for call in attempt.tool_calls] == ["edit", "edit", "bash", "submit"]
    assert (attempt.parent, attempt.parent_turn) == (f"one/{parent.id}", 2)
    assert "The bound is lost." in str(attempt.messages[4]["content"])
    assert attempt.model == "person"
    assert attempt.usage == Usage()  # the parent's tokens were the parent's
    assert attempt.model_calls[0].usage == parent.model_calls[0].usage
    assert all(call.seconds < 1 and call.waited > 0 for call in attempt.model_calls[1:])


def asked(typed: str, messages: Sequence[Message] = (), edit: Any = None) -> tuple[Reply, str]:
    """Return a person's answer, and what the terminal showed."""
    console = Console(record=True, width=100, file=io.StringIO())
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        pipe.send_text(typed)
        person = Person(SYNTAXES["functions"], TOOLBOX, list, edit or unsaved, console)
        return person.query(messages, []), console.export_text()


def test_mistakes_at_the_keyboard_are_told_and_asked_again() -> None:
    """Mistakes never reach the record, and text written in the editor survives them."""
    written = iter(["no path", None, TOOLBOX["edit"].write_body(FIX.arguments)])
    texts: list[str] = []

    def edit(text: str) -> str | None:
        texts.append(text)
        return next(written)

    reply, told = asked("nope\nsubmit now\nedit a\nedit a\nedit a\n", edit=edit)
    assert SYNTAXES["functions"].read(reply.message, TOOLBOX) == Call(
        "edit", TOOLBOX["edit"].read_body(TOOLBOX["edit"].write_body(FIX.arguments))
    )
    assert "The tools are: bash" in told
    assert "submit takes no arguments" in told
    assert "must be" in told
    assert "Nothing was written" in told
    assert texts[1] == "no path"


def test_a_person_sees_what_the_model_would() -> None:
    """A person sees problem, calls and observations, but not the system prompt."""
    attempt = make_attempt()
    _, told = asked("submit\n", attempt.messages)
    assert "Some tests fail: [bold]not markup[/bold]" in told
    assert "$ cd /testbed && pytest -q | tail -3" in told
    assert "+    return items[-1]" in told
    assert "You repair code" not in told


def test_giving_up_keeps_nothing() -> None:
    """Ctrl-C clears the line; Ctrl-D ends the attempt, which is discarded."""
    with pytest.raises(Stopped, match="nothing of the attempt is kept"):
        asked("bash ls\x03\x04")


def test_tools_paths_and_words_are_completed() -> None:
    """Completion offers tools, paths, and words of the conversation such as test names."""
    person = Person(SYNTAXES["text"], TOOLBOX, lambda: ["pkg/core.py", "pkg/__init__.py"],
                    unsaved, Console(quiet=True))  # fmt: skip
    assert person.completions("s") == ["submit"]
    typed = Document("bash cat pkg/c")
    (completed,) = completer(person).get_completions(typed, CompleteEvent())
    assert (completed.text, completed.start_position) == ("pkg/core.py", -len("pkg/c"))
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        pipe.send_text("submit\n")
        person.query([{"role": "user", "content": "FAILED tests/test_core.py::test_last - E"}], [])
    assert person.completions("bash pytest tests/") == ["tests/test_core.py::test_last"]


@pytest.mark.engine
def test_repair_takes_over_from_the_command_line(tmp_path: Path, kata_task: RepositoryTask) -> None:
    """Several attempts branch into one run, and each records its parent."""
    parent = recorded(tmp_path / "one", kata_task, WRONG, TEST, SUBMIT)
    target, output = tmp_path / "one" / parent.id, tmp_path / "two"
    for turn in (1, 2):
        result = forager("replay", target, "--take-over", turn, "-o", output, "-m", "repair")
        assert result.exit_code == 0, result.stderr
        assert f"{output}/{kata_task.instance_id}.{turn - 1}" in result.stdout
    attempts = sorted(Run(output).trajectories(), key=lambda attempt: attempt.attempt)
    assert [(attempt.parent, attempt.parent_turn) for attempt in attempts] == [
        (f"one/{parent.id}", 1),
        (f"one/{parent.id}", 2),
    ]
    assert [attempt.tool_calls[0].tool for attempt in attempts] == ["bash", "edit"]
    assert all(
        attempt.model == "repair" and attempt.outcome.exit_reason == "submitted"
        for attempt in attempts
    )
    listed = json.loads(forager("list", output, "--json").stdout)
    assert {attempt["parent"] for attempt in listed} == {f"one/{parent.id}"}
    shown = forager("replay", output / attempts[1].id, "--print").stdout
    assert f"goes on    from one/{parent.id}, at turn 2" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--take-over", 2], "--take-over needs RUN/ID, and -o RUN2"),
        (["--take-over", 0, "-o", "x"], "0 is not in the range"),
        (["--take-over", 9, "-o", "x", "-m", "repair"], "it can be taken over from turn 1 to 7"),
        (["--take-over", 2, "-o", "x"], "there is no terminal to type calls in; give -m MODEL"),
        (["--take-over", 2, "-o", "x", "-m", "gpt"], "the model 'gpt' needs an endpoint:"),
        (["-m", "repair"], "-o and -m go with --take-over TURN"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(tmp_path: Path, options: list[Any], message: str) -> None:
    """A mistake gives one line with the remedy, and no files."""
    with Run.write(tmp_path / "run", RunSettings(models=["repair"]), [make_task()]) as writer:
        writer.append(make_attempt())
    result = forager("replay", tmp_path / "run" / "pkg-1.0", *options)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr
    assert not Path("x").exists()


# In bulk


@pytest.mark.engine
def test_a_run_goes_on_from_the_attempts_of_another(
    tmp_path: Path, kata_task: RepositoryTask
) -> None:
    """A run branches from the chosen attempts one by one, and can be resumed."""
    one, two = tmp_path / "one", tmp_path / "two"
    for number, calls in enumerate([(WRONG, SUBMIT), (FIX, SUBMIT), (TEST, WRONG, SUBMIT)], 1):
        run(one, kata_task, script("functions", *calls), attempts=number)
    branch = {"run": str(one), "turn": "2", "resolved": False}
    made, models, _ = run(two, kata_task, script("functions", SUBMIT), attempts=3, branch=branch)
    name = f"one/{kata_task.instance_id}"
    ordered = sorted(made, key=lambda attempt: attempt.attempt)
    assert [attempt.parent for attempt in ordered] == [f"{name}.0", f"{name}.2", f"{name}.0"]
    assert [attempt.tool_calls[0].tool for attempt in ordered] == ["edit", "bash", "edit"]
    assert [len(model.seen) for model in models] == [1, 1, 1]
    assert {attempt.usage.prompt_tokens for attempt in ordered} == {100}  # of the one new answer
    _, models, _ = run(two, kata_task, script("functions", SUBMIT), attempts=3, branch=branch)
    assert models == []


@pytest.fixture
def branching(tmp_path: Path) -> Path:
    """Write a run with attempts at the tasks a and b, and a file of the tasks a, b and c."""
    tasks = [make_task(name) for name in "abc"]
    with Run.write(tmp_path / "one", RunSettings(models=["repair"]), tasks[:2]) as writer:
        writer.append(make_attempt("a"))
        writer.append(make_attempt("b", resolved=False))
    (tmp_path / "tasks.jsonl").write_text(
        "\n".join(task.model_dump_json() for task in tasks) + "\n"
    )
    return tmp_path


def branch(place: Path, *options: str) -> Result:
    """Return the plan of `forager run --branch-from`."""
    common: list[str | Path] = [
        place / "tasks.jsonl",
        "-o",
        place / "two",
        "-m",
        "repair",
        "--dry-run",
    ]
    return forager("run", *common, *options)


def test_tasks_without_a_parent_are_left_out(branching: Path) -> None:
    """A message counts tasks without a parent; the settings name the parents' run."""
    one = str(branching / "one")
    result = branch(branching, "--branch-from", one, "--branch-turn", "failure")
    plan = json.loads(result.stdout)
    assert (plan["tasks"], plan["attempts"]) == (2, 2)
    assert plan["settings"]["branch"] == {
        "run": one,
        "turn": "failure",
        "resolved": None,
        "tags": [],
    }
    assert "leaving out 1 tasks without such an attempt" in result.stderr
    assert json.loads(branch(branching, "--branch-from", one, "--unresolved").stdout)["tasks"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--branch-from ONE --branch-turn last",
            "is a number from 1, middle or failure, not 'last'",
        ),
        ("--branch-from ONE --branch-turn 0", "is a number from 1, middle or failure, not '0'"),
        ("--branch-from nowhere", "nowhere is not a run directory"),
        ("--branch-from ONE --syntax text", "writes calls as functions: give --syntax functions"),
        ("--branch-from ONE --tag odd", "has no such attempt at any of the tasks"),
        ("--tag odd", "--branch-turn, --tag, --resolved and --unresolved need --branch-from RUN"),
        (
            "--branch-turn 3",
            "--branch-turn, --tag, --resolved and --unresolved need --branch-from RUN",
        ),
    ],
)
def test_a_wrong_branch_is_one_line(branching: Path, options: str, message: str) -> None:
    """A wrong branch gives one line of error and exit code 2."""
    words = [str(branching / "one") if word == "ONE" else word for word in options.split()]
    result = branch(branching, *words)
    assert result.exit_code == 2
    assert message in result.stderr.splitlines()[-1]


def test_a_parent_needs_the_turn() -> None:
    """An attempt may branch right after its last turn, but no later."""
    assert parent_of(Path("run"), make_attempt(), 7).turn == 7
    with pytest.raises(UsageError, match="has 6 turns"):
        parent_of(Path("run"), make_attempt(), 8)
