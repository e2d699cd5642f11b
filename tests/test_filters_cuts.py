"""Filters that change attempts: net edits, `hindsight`, `shorten`, `sed`."""

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from attempts import make_attempt
from filtering import changed, choice, filtered, recorded, with_outcome, write_run

from forager.agent.syntax import SYNTAXES
from forager.agent.tool import Call, Observation, executed
from forager.errors import UsageError
from forager.learning.filters.changes import (
    Hunks,
    LineEdit,
    Unproven,
    change_of,
    composed,
    identity,
    makes,
)
from forager.learning.filters.hindsight import runs_tests
from forager.learning.filters.pipeline import FilterChoice
from forager.learning.filters.sed import TRIAL, TrialTemplate, script
from forager.sandboxes.sandbox import CommandResult
from forager.trajectories.budget import budget_after, with_budget
from forager.trajectories.earlier_calls import upgraded
from forager.trajectories.record import ModelCall, Outcome, ToolCall, Trajectory, Usage
from forager.trajectories.show import text_of
from forager.trajectories.steps import steps
from forager.trajectories.store import Run
from tools import TOOLBOX

A = make_attempt("a")

# What edits come to


class OneFile:
    """A sandbox with a single file, for the real tools."""

    def __init__(self, text: str) -> None:
        self.content = text.encode()

    def run(self, command: str, *, timeout: float = 1, output_limit: int = 1) -> CommandResult:
        raise AssertionError(command, timeout, output_limit)

    def read(self, path: str) -> bytes:
        del path
        return self.content

    def write(self, path: str, content: bytes) -> None:
        del path
        self.content = content

    def elevate(self) -> bool:
        return False

    def close(self) -> None:
        pass


def drawn_edits(drawn: random.Random, lines: int) -> Iterator[tuple[str, ToolCall, str]]:
    """Yield edits that the tool made in a file: the file before, call, file after."""
    file = OneFile("".join(f"{drawn.choice('abcdef')}{drawn.randrange(4)}\n" for _ in range(lines)))
    done: list[dict[str, str]] = []
    while file.content or done:
        before = file.content.decode()
        if done and drawn.random() < 0.4:  # taken back, perhaps
            last = done.pop()
            arguments = {**last, "search": last["replace"], "replace": last["search"]}
        else:
            now = before.splitlines(keepends=True)
            first = drawn.randrange(len(now) + 1)
            old = "".join(now[first : first + drawn.randint(1, 5)])
            new = "".join(f"{drawn.choice('abcxyz')}\n" for _ in range(drawn.randrange(4)))
            arguments = {"path": "f", "search": old, "replace": new}
        if not arguments["search"] or arguments["search"] == arguments["replace"]:
            continue
        seen = TOOLBOX["edit"].execute(file, arguments, 1.0)
        if not seen.error:
            done.append(arguments)
            yield before, executed(Call("edit", arguments), seen), file.content.decode()


def applied(hunks: Hunks, text: str) -> str:
    """Return the file after an edit's changes."""
    lines = text.splitlines()
    for hunk in reversed(hunks):
        assert tuple(lines[hunk.start : hunk.start + len(hunk.before)]) == hunk.before
        lines[hunk.start : hunk.start + len(hunk.before)] = hunk.after
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("lines", [6, 15, 30, 200])
def test_edits_are_put_together_as_the_tool_makes_them(lines: int) -> None:
    """The net change of random edits by the real tool gives the final file.

    It is empty only if the file ends up as it began.
    """
    proven = nothing = 0
    for seed in range(60):
        changes: list[LineEdit] = []
        hunks: Hunks = ()
        original = None
        for number, (before, call, after) in enumerate(drawn_edits(random.Random(seed), lines)):
            original = original if original is not None else before
            change = change_of(call)
            assert change
            changes.append(change)
            hunks = composed(hunks, change)
            assert applied(hunks, original) == after
            assert identity(changes) == (not hunks)
            if not hunks:
                nothing += 1
                assert after == original
            proven += 1
            if number == 8:
                break
    assert proven > 60
    assert nothing > 5


def test_an_edit_of_what_is_not_there_is_not_proven() -> None:
    """An edit of a file that something else changed has no net change."""
    hunks = composed((), LineEdit("f", 3, ("a", "b"), ("c",)))
    with pytest.raises(Unproven):
        composed(hunks, LineEdit("f", 3, ("x",), ("y",)))


@pytest.mark.parametrize(
    ("patch", "verdict"),
    [
        (A.outcome.answer, True),
        (A.outcome.answer.replace("+    return items[-1]", "+    return items[-2]"), False),
        (A.outcome.answer + "\\ No newline at end of file\n", False),
        (A.outcome.answer.replace("@@ -1,3 +1,3 @@", "@@ -2,3 +2,3 @@"), False),
        ("", False),
    ],
)
def test_edits_make_a_patch_or_not(patch: str, verdict: bool) -> None:
    """Edits make a patch only if lines and places match."""
    change = change_of(A.tool_calls[2])
    assert change
    assert (
        makes(patch.replace("-1,3 +1,3", "-1,2 +1,2").replace("-2,3 +2,3", "-2,2 +2,2"), [change])
        is verdict
    )


@pytest.mark.parametrize(
    ("command", "verdict"),
    [
        ("python -m pytest -q tests/test_x.py", True),
        (
            "timeout 20 /opt/venv/bin/python -m pytest -x --tb=short -p no:cacheprovider t 2>&1",
            True,
        ),
        ("cd /testbed && pytest -q 2>&1 | tail -5", True),
        ("pytest -k 'a and b'", True),
        ("pytest > out.txt", False),
        ("pytest; rm -rf src", False),
        ("pytest --junitxml=x.xml", False),
        ("pytest `touch x`", False),
        ("pytest\nsed -i s/a/b/ x.py", False),
        ("python fix.py", False),
        ("cat x.py", False),
        ("pytest 'unclosed", False),
    ],
)
def test_runs_of_tests_are_known(command: str, verdict: bool) -> None:
    """Only commands that run tests count as test runs."""
    assert runs_tests(command) is verdict


# Hindsight and shorten, of real attempts


def transformed(
    tmp_path: Path, *filters: str | FilterChoice
) -> Iterator[tuple[Trajectory, Trajectory]]:
    """Return the recorded attempts that filters changed, with their results."""
    source = recorded(tmp_path)
    filtered(source, tmp_path / "kept", *filters)
    before = {attempt.id: attempt for attempt in Run(source).trajectories()}
    for after in Run(tmp_path / "kept").trajectories():
        if after != before[after.id]:
            yield before[after.id], after


def files_after(attempt: Trajectory) -> Hunks:
    """Return what an attempt's edits make of one file."""
    hunks: Hunks = ()
    for step in steps(attempt):
        if step.call and (change := change_of(step.call)):
            hunks = composed(hunks, change)
    return hunks


def check_consistency(before: Trajectory, after: Trajectory, name: str) -> None:
    """Check what holds for every changed attempt."""
    assert after.transforms == [*before.transforms, name]
    assert Trajectory.model_validate_json(after.model_dump_json()) == after
    assert all(call.prompt_token_ids is None for call in after.model_calls)
    left = [
        text_of(message).rpartition("\n")[2]
        for step in steps(after)
        for message in step.observations
    ]
    turns = before.limits.turns
    assert left == [f"[{turns - n} turns and 131072 tokens left]" for n in range(1, len(left) + 1)]
    assert [step.call is not None for step in steps(after)] == [True] * after.turns
    check_facts(after)
    assert after.outcome == before.outcome


def check_facts(attempt: Trajectory) -> None:
    """Check that the facts of every call match its observation."""
    bare = {"reason": "", "output_length": None, "change": None}
    bare |= {"turns_left": None, "tokens_left": None}
    calls = [call.model_copy(update=bare) for call in attempt.tool_calls]
    old = attempt.model_copy(update={"schema_version": 1, "tool_calls": calls})
    assert upgraded(old) == attempt


def test_hindsight_leaves_out_what_was_undone(tmp_path: Path) -> None:
    """Everything else stays, and the files end up the same."""
    pairs = list(transformed(tmp_path, "hindsight"))
    assert len(pairs) >= 5
    for before, after in pairs:
        check_consistency(before, after, "hindsight")
        assert files_after(after) == files_after(before)
        kept = iter(step.message for step in steps(before))
        assert all(
            any(message == answer for answer in kept)
            for message in (s.message for s in steps(after))
        )


def test_a_short_demonstration_is_an_edit_a_test_and_submit(tmp_path: Path) -> None:
    """Successes of `repair` become short demonstrations; other attempts stay unchanged."""
    pairs = list(transformed(tmp_path, "shorten"))
    assert len(pairs) >= 5
    for before, after in pairs:
        check_consistency(before, after, "shorten")
        assert before.outcome.resolved
        assert [call.tool for call in after.tool_calls] == ["edit", "bash", "submit"]
        assert files_after(after) == files_after(before)
        assert " passed" in text_of(after.messages[-2])
    both = filtered(
        recorded(tmp_path), tmp_path / "both", "resolved", "hindsight", choice("shorten", only=True)
    )
    assert both.attempts == both.counts[2].changed
    assert next(Run(tmp_path / "both").trajectories()).transforms in (
        ["hindsight", "shorten"], ["shorten"],
    )  # fmt: skip


FILE = "".join(f"line {number}\n" for number in range(1, 41))


def played(script: list[tuple[str, dict[str, str]]], syntax: str = "functions") -> Trajectory:
    """An attempt of these calls, answered by the real tools; tests pass when line 20 is right.

    Every call costs 100 tokens of the prompt and 10 of the answer.
    """
    import difflib

    file, taken = OneFile(FILE), make_attempt(syntax=syntax, steps=[])
    messages, calls, model_calls = list(taken.messages[:2]), [], []
    for number, (tool, arguments) in enumerate(script):
        usage = Usage(prompt_tokens=100 * (number + 1), completion_tokens=10)
        ids = {"prompt_token_ids": [1] * usage.prompt_tokens, "completion_token_ids": [2] * 10}
        model_calls.append(ModelCall(message=len(messages), usage=usage, seconds=0.1, **ids))
        answer = SYNTAXES[syntax].write(f"Thought {number}.", Call(tool, arguments), TOOLBOX)
        messages.append(answer)
        seen = Observation("")
        if tool == "edit":
            seen = TOOLBOX["edit"].execute(file, arguments, 1.0)
        elif tool == "bash":
            right = b"right\n" in file.content or "/right/" in arguments["command"]
            text = "3 passed in 0.1s" if right else "1 failed in 0.1s"
            seen = Observation(text, exit_code=0 if right else 1, output_length=len(text))
        left = budget_after(taken.limits, model_calls)._asdict()
        call = executed(Call(tool, arguments), seen)
        calls.append(call.model_copy(update={"message": len(messages), **left}))
        if tool != "submit":
            messages += SYNTAXES[syntax].answers(answer, with_budget(seen.text, calls[-1]))
    diff = difflib.unified_diff(
        FILE.splitlines(True), file.content.decode().splitlines(True), "a/f.py", "b/f.py"
    )
    outcome = {**dict(taken.outcome), "answer": "diff --git a/f.py b/f.py\n" + "".join(diff)}
    made = {"messages": messages, "tool_calls": calls, "model_calls": model_calls}
    return Trajectory(**{**dict(taken), **made, "outcome": Outcome(**outcome)})


def edit(old: str, new: str) -> tuple[str, dict[str, str]]:
    """Return a call of `edit`."""
    return "edit", {"path": "/testbed/f.py", "search": old, "replace": new}


TEST = ("bash", {"command": "python -m pytest -q"})
LOOK = ("bash", {"command": "cat f.py"})
SUBMIT: tuple[str, dict[str, str]] = ("submit", {})
WRONG, RIGHT = edit("line 20\n", "wrong\n"), edit("line 20\n", "right\n")
BACK = edit("line 19\nwrong\n", "line 19\nline 20\n")  # undone by other lines than were searched


def tools_of(attempt: Trajectory) -> list[str]:
    """Return the tools of an attempt's calls."""
    return [call.tool for call in attempt.tool_calls]


@pytest.mark.parametrize("syntax", ["functions", "text"])
@pytest.mark.parametrize(
    ("script", "name", "left"),
    [
        ([LOOK, WRONG, TEST, BACK, RIGHT, TEST, SUBMIT], "hindsight", "bash edit bash submit"),
        ([WRONG, LOOK, BACK, RIGHT, TEST, SUBMIT], "hindsight", None),  # something was read between
        ([WRONG, TEST, RIGHT, BACK, SUBMIT], "hindsight", "edit submit"),  # RIGHT was refused
        ([RIGHT, TEST, SUBMIT], "hindsight", None),
        ([LOOK, WRONG, TEST, BACK, RIGHT, LOOK, TEST, SUBMIT], "shorten", "edit bash submit"),
        ([WRONG, TEST, edit("wrong\n", "right\n"), TEST, SUBMIT], "shorten", "edit bash submit"),
        ([edit("line 3\n", ""), RIGHT, TEST, SUBMIT], "shorten", None),
        ([LOOK, edit("line 3\n", ""), RIGHT, TEST, SUBMIT], "shorten", "edit edit bash submit"),
        ([RIGHT, SUBMIT], "shorten", None),
        ([LOOK, WRONG, TEST, BACK, SUBMIT], "shorten", None),  # nothing is left that helps
    ],
)
def test_what_is_cut_out(
    tmp_path: Path,
    script: list[tuple[str, dict[str, str]]],
    name: str,
    left: str | None,
    syntax: str,
) -> None:
    """A rerun of what remains gives the same observations."""
    attempt = played(script, syntax)
    run = write_run(tmp_path / "run", [attempt], patch="")
    done = filtered(run, tmp_path / "kept", name)
    (after,) = Run(tmp_path / "kept").trajectories()
    if left is None:
        assert after == attempt
        assert done.counts[0].changed == 0
        return
    if left == "edit submit":  # BACK makes RIGHT's refusal and all else undone
        assert tools_of(after) == ["submit"]
        return
    assert tools_of(after) == left.split()
    check_facts(after)
    again = played([(call.tool, call.arguments) for call in after.tool_calls], syntax)
    thoughts = [
        text_of(message).partition("\n")[0]
        for message in after.messages
        if message["role"] == "assistant"
    ]
    assert all(thought.startswith("Thought ") for thought in thoughts)
    told = [
        text_of(message).rpartition("\n")[0]
        for message in after.messages[2:]
        if message["role"] != "assistant"
    ]
    assert told == [
        text_of(message).rpartition("\n")[0]
        for message in again.messages[2:]
        if message["role"] != "assistant"
    ]
    assert after.outcome.answer == again.outcome.answer
    assert [call.change for call in after.tool_calls] == [call.change for call in again.tool_calls]
    for number, (call, step) in enumerate(zip(after.model_calls, steps(after), strict=True), 1):
        assert call.completion_token_ids is None
        if step.observations:
            rest = 131072 - call.usage.prompt_tokens - 10
            assert text_of(step.observations[0]).endswith(
                f"[{128 - number} turns and {rest} tokens left]"
            )
    assert [call.usage.prompt_tokens for call in after.model_calls] == [
        100 * number for number in range(1, after.turns + 1)
    ]


def test_an_edit_by_other_means_is_not_shortened_away(tmp_path: Path) -> None:
    """Edits that do not prove the patch leave the attempt; `only` drops it."""
    attempt = played([LOOK, RIGHT, TEST, SUBMIT])
    patch = attempt.outcome.answer.replace("+right", "+right\n+and more").replace("23,7", "23,8")
    other = with_outcome(attempt, answer=patch.replace("+17,7", "+17,8"))
    run = write_run(tmp_path / "run", [other], patch="")
    assert filtered(run, tmp_path / "kept", "shorten").counts[0].changed == 0
    assert filtered(run, tmp_path / "only", choice("shorten", only=True)).attempts == 0


def test_what_tests_leave_about_does_not_count_where_the_edits_are_the_tasks_own(
    tmp_path: Path,
) -> None:
    """Edits that equal the reference patch, which is known to pass, need no further proof."""
    attempt = played([LOOK, RIGHT, TEST, SUBMIT])
    about = (
        "diff --git a/x.log b/x.log\nnew file mode 100644\n"
        "--- /dev/null\n+++ b/x.log\n@@ -0,0 +1 @@\n+x\n"
    )
    left = with_outcome(attempt, answer=attempt.outcome.answer + about)
    run = write_run(tmp_path / "run", [left], patch=attempt.outcome.answer)
    filtered(run, tmp_path / "kept", "shorten")
    (after,) = Run(tmp_path / "kept").trajectories()
    assert tools_of(after) == ["edit", "bash", "submit"]


def test_a_cut_attempt_remembers_whose_turns_its_first_are(tmp_path: Path) -> None:
    """A cut attempt counts its parent's remaining turns and its own calls' tokens."""
    attempt = changed(
        played([LOOK, WRONG, TEST, BACK, RIGHT, TEST, SUBMIT]), parent="x/y", parent_turn=6
    )
    run = write_run(tmp_path / "run", [attempt])
    filtered(run, tmp_path / "kept", "hindsight")
    (after,) = Run(tmp_path / "kept").trajectories()
    assert after.parent_turn == 3  # LOOK and RIGHT are the parent's
    own = after.model_calls[2:]
    assert after.usage == sum((call.usage for call in own), Usage())


_PIECES = [
    *"abc",
    "x1",
    " ",
    "  ",
    "/",
    "\\",
    "&",
    "*",
    "[",
    "]",
    ".",
    "^",
    "$",
    "+",
    "é",
    '"',
    ";",
    "|",
]


@pytest.mark.parametrize("seed", range(30))
def test_sed_does_what_the_edit_did(seed: int, tmp_path: Path) -> None:
    """The sed command, run for real, makes the edit whatever the lines contain."""
    coin = random.Random(seed)
    lines = ["".join(coin.choices(_PIECES, k=coin.randrange(1, 9))) for _ in range(6)]
    new = list(lines)
    for at in coin.sample(range(2, 5), 2):
        words = list(lines[at])
        words[coin.randrange(len(words))] = coin.choice(_PIECES)
        new[at] = "".join(words)
    (tmp_path / "file").write_text("\n".join(lines) + "\n")
    change = LineEdit("file", 2, tuple(lines[2:5]), tuple(new[2:5]))
    try:
        done = f"sed -i '{script(change)}' file"
    except Unproven:
        assert new == lines or any(not line for line in lines)
        return
    subprocess.run(["bash", "-c", done], check=True, cwd=tmp_path)
    assert (tmp_path / "file").read_text() == "\n".join(new) + "\n"


def test_an_edit_and_its_tests_become_one_command(tmp_path: Path) -> None:
    """The first edit and first passing run become one command with that run's output."""
    kept = tmp_path / "kept"
    short = choice("shorten", only=True, first=True)
    filtered(recorded(tmp_path), tmp_path / "short", "resolved", short)
    filtered(recorded(tmp_path), kept, "resolved", short, choice("sed", tests=True))
    runs = {
        attempt.id: [step for step in steps(attempt) if step.call and step.call.tool == "bash"]
        for attempt in Run(tmp_path / "short").trajectories()
    }
    joined = 0
    for attempt in Run(kept).trajectories():
        *trials, last = steps(attempt)
        assert last.call and last.call.tool == "submit"
        for trial in trials:
            made = trial.call.arguments["command"] if trial.call else ""
            if made.startswith("git checkout -q "):
                (run,) = runs[attempt.id]
                told = text_of(trial.observations[0])
                assert told.rpartition("\n")[0] == text_of(run.observations[0]).rpartition("\n")[0]
                assert run.call and run.call.arguments["command"].endswith(made.split("--tb=no")[1])
                joined += 1
    assert joined


KATA_TRIAL = "./try {path} '{script}'"


@pytest.mark.parametrize("template", [TRIAL, KATA_TRIAL])
def test_a_trial_begins_with_the_file_as_it_was(tmp_path: Path, template: str) -> None:
    """A failed trial leaves nothing for the next one, and exits with pytest's code.

    Also in the short form that the katas have, which says when a trial changes nothing.
    """
    for name, text in {
        "kata/a.py": "x = 1\n",
        "tests/test_a.py": "def test():\n    from kata.a import x\n    assert x == 3\n",
        "try": (Path(__file__).parents[1] / "examples/kata/try").read_text(),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "try").chmod(0o755)
    done = "git init -q; git add -A; git -c user.name=a -c user.email=a@b commit -qm a"
    subprocess.run(["bash", "-c", done], check=True, cwd=tmp_path)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    trials = TrialTemplate(template)
    runs = [
        subprocess.run(
            ["bash", "-c", trials.command(script, "kata/a.py", "tests/test_a.py")],
            cwd=tmp_path,
            capture_output=True,
            env={**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"},  # as in a sandbox
        )
        for script in ("1s/1/2/", "1s/7/3/", "1s/1/3", "1s/1/3/")
    ]
    assert [run.returncode for run in runs] == [1, 1, 1, 0]
    assert (tmp_path / "kata/a.py").read_text() == "x = 3\n"
    if template == KATA_TRIAL:
        assert [run.stdout.split() for run in runs] == [
            [b"failed"], [b"unchanged"], [b"failed"], [b"passed"]
        ]  # fmt: skip


def test_a_trial_has_the_form_that_it_is_given() -> None:
    """A trial is written in the given form, and only that form counts as one."""
    trials = TrialTemplate("./try {stem} '{script}'")
    done = trials.command("3s/a/b/", "kata/words.py", "tests/test_words.py::test_a")
    assert done == "./try words '3s/a/b/'"
    for other, file in {
        done: "words",
        "./try words '3s/a/b/;4s/c/d/'": "words",
        "./try words '3s/a/b/'; rm x": "",
        "./try words '3s/a/b/e'": "",
        "./try ../words '3s/a/b/'": "",
        TRIAL: "",
    }.items():
        assert trials.file(ToolCall(message=0, tool="bash", arguments={"command": other})) == file
    for template in ("./try '{script}'", "./try {path}"):
        with pytest.raises(UsageError, match=r"a trial has \{script\}"):
            TrialTemplate(template)


def test_the_repository_says_what_it_says(tmp_path: Path) -> None:
    """A trial in the repository's form prints the repository's words, then the budget."""
    kept, short = tmp_path / "kept", choice("shorten", only=True, first=True)
    own = choice("sed", tests=True, trial=KATA_TRIAL, said="passed")
    filtered(recorded(tmp_path), kept, "resolved", short, own)
    told = [
        text_of(step.observations[0]).splitlines()
        for attempt in Run(kept).trajectories()
        for step in steps(attempt)
        if step.call and step.call.arguments.get("command", "").startswith("./try ")
    ]
    assert told
    assert all(lines[:2] == ["passed", "[exit code 0]"] and len(lines) == 3 for lines in told)


def guess(new: str) -> tuple[str, dict[str, str]]:
    """Return a trial of another line 20."""
    return "bash", {"command": TrialTemplate().command(f"20s/line 20/{new}/", "f.py", "tests")}


def test_a_success_comes_after_any_number_of_failed_trials(tmp_path: Path) -> None:
    """If it came after all of them, a model would learn to fail until then."""
    success = played([guess("right"), SUBMIT])
    failed = played([guess("a"), guess("b"), guess("c"), guess("d"), SUBMIT])
    failures = [
        changed(
            with_outcome(failed, resolved=False, answer=""), id=f"{failed.instance_id}.{number}"
        )
        for number in range(1, 25)
    ]
    runs = [write_run(tmp_path / "teacher", [success]), write_run(tmp_path / "own", failures)]
    filtered(runs, tmp_path / "kept", "correct", "resolved")
    turns = Counter(attempt.turns for attempt in Run(tmp_path / "kept").trajectories())
    assert turns.keys() == {2, 3, 4, 5} and turns[2] == 1


def test_a_success_is_put_behind_what_failed(tmp_path: Path) -> None:
    """The failed trials stay, a repeated one too, then the success; observations match."""
    success = played([guess("right"), SUBMIT])
    failed = [guess("a"), guess("a"), guess("b"), guess("c"), SUBMIT]
    runs = [write_run(tmp_path / "teacher", [success]), tmp_path / "own"]
    write_run(runs[1], [with_outcome(played(failed), resolved=False, answer="")])
    filtered(runs, tmp_path / "kept", "correct", "resolved")
    before, after = sorted(Run(tmp_path / "kept").trajectories(), key=lambda attempt: attempt.turns)
    assert list(steps(before)) == list(steps(success))
    assert [call.arguments for call in after.tool_calls] == [
        arguments for _, arguments in (guess("a"), guess("a"), guess("b"), guess("right"), SUBMIT)
    ]
    assert [call.exit_code for call in after.tool_calls] == [1, 1, 1, 0, 0]
    assert (after.outcome, after.transforms) == (success.outcome, ["correct"])
    told = [
        text_of(message).rpartition("\n")[2]
        for step in steps(after)
        for message in step.observations
    ]
    assert [line.split()[0] for line in told] == ["[127", "[126", "[125", "[124"]


@pytest.mark.parametrize(
    ("other", "last"),
    [
        (LOOK, "b"),
        (WRONG, "b"),
        (guess("b';touch x;'"), "b"),
        (guess("b/w other"), "b"),
        (guess("right"), "b"),
        (guess("b"), "right"),
    ],
)
def test_nothing_stays_behind_what_may_have_done_more(
    other: tuple[str, dict[str, str]], last: str, tmp_path: Path
) -> None:
    """Only trials before a step with unknown effects stay."""
    success = played([guess("right"), SUBMIT]).model_copy(update={"id": "b.1", "attempt": 1})
    begun = played([guess("a"), other, guess(last), guess("c"), SUBMIT])
    nothing = played([other, guess("a"), SUBMIT]).model_copy(update={"id": "b.2", "attempt": 2})
    failed = [with_outcome(attempt, resolved=False, answer="") for attempt in (begun, nothing)]
    run = write_run(tmp_path / "run", [*failed, success])
    filtered(run, tmp_path / "kept", "correct")
    kept = {attempt.attempt: attempt for attempt in Run(tmp_path / "kept").trajectories()}
    trials = [guess("a")] + [guess("b")] * (other == guess("b"))
    assert [call.arguments for call in kept[0].tool_calls] == [
        arguments for _, arguments in (*trials, guess("right"), SUBMIT)
    ]
    assert (kept[2] == failed[1]) is (other != guess("b"))


@pytest.mark.parametrize("script", [[guess("a"), SUBMIT], [guess("a"), guess("b")], [SUBMIT]])
def test_an_attempt_without_trials_to_keep_stays(
    script: list[tuple[str, dict[str, str]]], tmp_path: Path
) -> None:
    """A failed attempt without trials to keep before its last two steps stays unchanged."""
    failed = with_outcome(played(script), resolved=False, answer="")
    success = played([guess("right"), SUBMIT]).model_copy(update={"id": "b.1", "attempt": 1})
    run = write_run(tmp_path / "run", [failed, success])
    filtered(run, tmp_path / "kept", "correct")
    assert failed in Run(tmp_path / "kept").trajectories()


def test_edits_become_commands(tmp_path: Path) -> None:
    """Real attempts shrink to a command and submit, without thoughts or token ids."""
    kept = tmp_path / "kept"
    filtered(recorded(tmp_path), kept, "resolved", choice("shorten", only=True, tests=False), "sed")
    found = list(Run(kept).trajectories())
    assert found
    for attempt in found:
        assert attempt.transforms == ["shorten", "sed"]
        *edits, last = [step.call for step in steps(attempt) if step.call]
        assert last.tool == "submit"
        assert all(call.arguments["command"].startswith("sed -i '") for call in edits)
        told = [text_of(step.observations[0]) for step in steps(attempt) if step.observations]
        assert all(text.startswith("[exit code 0]\n[") for text in told)
