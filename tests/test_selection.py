"""Choosing among attempts: the rules, their curves, the matrix, and what a choice may know."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from attempts import make_attempt
from click.testing import CliRunner
from conftest import BUGGY, CORE

from forager.cli.main import main
from forager.environments.environment import AnswerTrial, TestBaseline
from forager.environments.registry import environments
from forager.environments.repository.environment import RepositoryEnvironment
from forager.environments.repository.reproducing import problem_of
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.writing import TestWritingTask
from forager.environments.task import Task
from forager.evaluation.selection.curves import curve
from forager.evaluation.selection.pool import PooledAttempt
from forager.evaluation.selection.rules import Contender, SelectionRule, choose
from forager.mutation.candidates import unified_diff
from forager.rollout.settings import RunSettings
from forager.trajectories.record import Trajectory, Usage
from forager.trajectories.store import Run

RIGHT = unified_diff("kata/core.py", BUGGY, CORE)
WRONG = unified_diff("kata/core.py", BUGGY, BUGGY.replace("min(value, high)", "min(high, value)"))
SHOWS = """\
from kata.core import clamp
good = clamp(-1, 0, 10) == 0 and clamp(11, 0, 10) == 10
print("Issue resolved" if good else "Issue reproduced")
"""
ALARM = 'print("Issue reproduced")  # never "Issue resolved"\n'
SECRET = "the-verdict-of-this-task"


def candidate(
    number: int, answer: str = "a", *, passes: int = 0, tokens: int = 10, reward: float = 0.0
) -> Contender:
    """Return a candidate of the task `t`."""
    submission = PooledAttempt(
        run="r", id=f"t.{number}", instance_id="t", number=number, answer=answer,
        canonical=answer, tokens=tokens,
    )  # fmt: skip
    return Contender(submission, passes, reward)


@pytest.mark.parametrize(
    ("by", "expected"),
    [("tests", 4), ("majority", 1), ("tests+majority", 3), ("reward", 0), ("shortest", 2)],
)
def test_each_rule_ranks_by_its_own_measure(by: SelectionRule, expected: int) -> None:
    """Passes, then votes, then the fewest tokens; an empty answer is the last resort."""
    given = [
        candidate(0, "a", passes=1, reward=0.9),
        candidate(1, "a", passes=1, tokens=9),
        candidate(2, "b", passes=1, tokens=3),
        candidate(3, "c", passes=2, tokens=8),
        candidate(4, "d", passes=2, tokens=7),
        candidate(5, "c", passes=2, tokens=9),
        candidate(6, "a", passes=0),
        *(candidate(number, "", passes=99, tokens=0, reward=5) for number in range(7, 12)),
    ]
    assert choose(by, given).submission.number == expected


def test_a_curve_is_the_mean_over_sets_of_attempts() -> None:
    """Of three attempts with one right, a set of two holds it in two cases of three."""
    given = {"t": [candidate(0, "a", passes=1), candidate(1, "b"), candidate(2, "b")]}
    points = curve("tests", given, lambda found: found.passes == 1, {"t": "f"})
    assert [point.k for point in points] == [1, 2, 3]
    assert [round(point.best.mean, 3) for point in points] == [0.333, 0.667, 1.0]
    assert [round(point.bound.mean, 3) for point in points] == [0.333, 0.667, 1.0]
    assert points[2].majority.mean == 0.0
    assert [point.k for point in curve("tests", given, lambda _: True, {"t": "f"}, 2)] == [1, 2]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SHOWS, ""),
        ("print('Issue reproduced'", "not Python"),
        ("print('Issue reproduced')", "never prints 'Issue resolved'"),
        ("(" * 50_000, "not Python"),
        (" " * 70_000, "more than 65,536 characters"),
    ],
)
def test_a_written_test_has_a_form(text: str, problem: str) -> None:
    """It parses and holds both sentences; hostile texts cost nothing else."""
    assert problem in problem_of(text)
    assert bool(problem) == bool(problem_of(text))


class Spy(RepositoryEnvironment):
    """Remembers what it is shown, and runs nothing."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def reference(self, task: RepositoryTask) -> str:
        del task
        return ""  # so that nothing is measured

    def baseline(self, task: Any, own: Any, written: Sequence[str], *rest: Any) -> TestBaseline:
        del own, rest
        self.seen += [task.model_dump_json(), *written]
        return TestBaseline(own=["tests/a.py::test_a"], shows=[True] * len(written))

    def trial(self, task: Any, answer: str, own: Any, written: Any, *rest: Any) -> AnswerTrial:
        del rest
        self.seen += [task.model_dump_json(), answer, *own, *written]
        return AnswerTrial(own=1, written=[True] * len(written))


def stored(path: Path, tasks: Sequence[Task], answers: Sequence[tuple[Task, str, bool]]) -> Path:
    """Write a run of attempts with these answers; tokens grow from attempt to attempt."""
    with Run.write(path, RunSettings(models=["m"]), tasks) as store:
        for number, (task, answer, resolved) in enumerate(answers):
            made = make_attempt(task.instance_id, number, resolved=resolved)
            outcome = made.outcome.model_copy(
                update={"answer": answer, "cause": SECRET, "tests": {SECRET: "passed"}}
            )
            store.append(
                Trajectory(
                    **{
                        **dict(made),
                        "outcome": outcome,
                        "environment": task.environment,
                        "usage": Usage(completion_tokens=100 + number),
                    }
                )
            )
    return path


def selected(*words: str | Path) -> dict[str, Any]:
    """Run `forager select --json`."""
    done = CliRunner().invoke(main, ["select", *map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_choice_never_sees_what_only_grading_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patch, hidden tests, labels and outcomes hold a secret, which reaches no test run."""
    secret = RepositoryTask(
        instance_id="t-1", repo="r", problem_statement="It is wrong.", patch=SECRET,
        test_patch=SECRET, FAIL_TO_PASS=[SECRET], PASS_TO_PASS=[SECRET], hints_text=SECRET,
        labels={"family": SECRET, "functions": [SECRET]}, setup_patch="bug",
    )  # fmt: skip
    spy = Spy()
    monkeypatch.setitem(environments(), "repository", spy)
    run = stored(tmp_path / "run", [secret], [(secret, RIGHT, True), (secret, WRONG, False)])
    writing = TestWritingTask.of(secret)
    tests = stored(tmp_path / "tests", [writing], [(writing, SHOWS, True)])
    selected(run, "-o", tmp_path / "out", "--tests", tests)
    assert len(spy.seen) == 2 + 2 * 4
    assert not any(SECRET in text for text in spy.seen)
    chosen = json.loads((tmp_path / "out/choices.jsonl").read_text())
    assert chosen["id"] == "t-1.0"  # equal passes and votes: the fewest tokens


def test_a_choice_is_a_run_that_is_made_once(tmp_path: Path) -> None:
    """`list` and `report` read it; the same command again changes nothing; others are refused."""
    task = RepositoryTask(
        instance_id="t-1", repo="r", problem_statement="x", patch=RIGHT, FAIL_TO_PASS=["a"],
        PASS_TO_PASS=[],
    )  # fmt: skip
    answers = [(task, RIGHT, True), (task, WRONG, False), (task, WRONG + "\n", False)]
    run, out = stored(tmp_path / "run", [task], answers), tmp_path / "out"
    for _ in range(2):
        found = selected(run, "-o", out, "--by", "majority")
        assert [point["k"] for point in found["points"]] == [1, 2, 3]
        (chosen,) = Run(out).trajectories()
        assert chosen.id == "t-1.1"
    assert "<svg" in (out / "selection.svg").read_text()
    for verb in ("list", "report"):
        assert CliRunner().invoke(main, [verb, str(out)]).exit_code == 0
    other = CliRunner().invoke(main, ["select", str(run), "-o", str(out), "--by", "shortest"])
    assert other.exit_code == 2
    assert 'by is "majority" there and "shortest" now' in other.stderr


def test_the_order_in_which_attempts_were_stored_changes_nothing(tmp_path: Path) -> None:
    """Workers finish in any order; `-k 1` is the first attempt by its number."""
    task = RepositoryTask(
        instance_id="t-1", repo="r", problem_statement="x", patch=RIGHT, FAIL_TO_PASS=["a"],
        PASS_TO_PASS=[],
    )  # fmt: skip
    run = stored(tmp_path / "run", [task], [(task, RIGHT, True), (task, WRONG, False)])
    (first, second), other = Run(run).trajectories(), tmp_path / "other"
    with Run.write(other, RunSettings(models=["m"]), [task]) as store:
        store.append(second)
        store.append(first)
    for number, path in enumerate((run, other)):
        out = tmp_path / f"out-{number}"
        selected(path, "-o", out, "--by", "majority", "-k", "1")
        assert [chosen.id for chosen in Run(out).trajectories()] == ["t-1.0"]


def test_rewards_come_from_a_file(tmp_path: Path) -> None:
    """Those of grading would be verdicts, so without a file there is no choice by reward."""
    task = RepositoryTask(
        instance_id="t-1", repo="r", problem_statement="x", patch=RIGHT, FAIL_TO_PASS=["a"],
        PASS_TO_PASS=[],
    )  # fmt: skip
    run = stored(tmp_path / "run", [task], [(task, RIGHT, True), (task, WRONG, False)])
    words = ["select", str(run), "-o", str(tmp_path / "out"), "--by", "reward"]
    refused = CliRunner().invoke(main, words)
    assert refused.exit_code == 2
    assert "needs --rewards FILE" in refused.stderr
    rewards = tmp_path / "rewards.jsonl"
    rewards.write_text('{"id": "t-1.0", "reward": 0.1}\n{"id": "t-1.1", "reward": 0.2}\n')
    found = selected(run, "-o", tmp_path / "scored", "--by", "reward", "--rewards", rewards)
    assert found["chosen"]["mean"] == 0.0


@pytest.mark.engine
def test_written_tests_choose_the_right_patch(tmp_path: Path, kata_task: RepositoryTask) -> None:
    """The majority is wrong and passes all tests that passed before; the written test says so.

    The program that always reproduces is kept, too, and costs precision.
    """
    task = kata_task
    run = stored(
        tmp_path / "run",
        [task],
        [(task, WRONG, False), (task, RIGHT, True), (task, WRONG, False), (task, "", False)],
    )
    writing = TestWritingTask.of(task)
    tests = stored(
        tmp_path / "tests",
        [writing],
        [(writing, text, False) for text in (SHOWS, ALARM, SHOWS + "# so", "print(", "x = 1")],
    )
    out = tmp_path / "out"
    assert selected(run, "-o", tmp_path / "own")["chosen"]["mean"] == 0.0
    found = selected(run, "-o", out, "--tests", tests)
    assert found["chosen"]["mean"] == 1.0
    written = found["written"]
    assert (written["different"], written["kept"], written["counted"]) == (4, 2, 2)
    assert (written["precision"]["mean"], written["recall"]["mean"]) == (0.5, 1.0)
    row = json.loads((out / "matrix.jsonl").read_text())
    assert row["own"] == 7
    assert sorted((answer["own"], answer["written"]) for answer in row["answers"]) == [
        (0, [False, False]),
        (7, [False, False]),
        (7, [True, False]),
    ]
    assert row["sandboxes"] == 3
    (out / "choices.jsonl").unlink()
    before = (out / "matrix.jsonl").read_bytes()
    assert selected(run, "-o", out, "--tests", tests) == found
    assert (out / "matrix.jsonl").read_bytes() == before


@pytest.mark.engine
@pytest.mark.parametrize(
    ("text", "tests", "kind"),
    [
        (SHOWS, {"kept": "passed", "right": "passed"}, ""),
        (ALARM, {"kept": "passed", "right": "failed"}, "policy"),
        (SHOWS.replace("reproduced", "Issue resolved Issue reproduced"), {}, "policy"),
        ("import kata", {}, "format"),
    ],
    ids=["right", "alarm", "both", "form"],
)
def test_a_written_test_is_graded(
    kata_task: RepositoryTask, text: str, tests: dict[str, str], kind: str
) -> None:
    """It must show the fault on the broken repository, and find none with the reference."""
    from forager.sandboxes.docker_sandbox import docker_sandbox
    from forager.sandboxes.sandbox import Limits

    environment = environments()["test-writing"]
    task = TestWritingTask.of(kata_task)
    grade = environment.grade(task, text, environment.limits(task, Limits()), docker_sandbox)
    assert grade.cause_kind == kind
    assert grade.tests == (tests or {"kept": "failed", "right": "failed"})
    assert grade.resolved is (not kind)
