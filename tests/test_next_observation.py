"""Questions about what a command leads to: which are asked, and how answers are judged."""

import json
from pathlib import Path

import pytest
from attempts import STEPS, Step, make_attempt
from click.testing import CliRunner
from test_chat import completion, serving

from forager.cli.main import main
from forager.environments.answer.observation import (
    NextObservationEnvironment,
    NextObservationTask,
)
from forager.environments.task import Task
from forager.records import read_records
from forager.sandboxes.sandbox import Limits
from forager.trajectories.record import Trajectory
from forager.trajectories.show import turns
from tasks.next_observation import failed_tests, questions

FAILING = """\
FAILED tests/a.py::test_a - assert 1 == 2
FAILED tests/a.py::test_b[x y] - KeyError
ERROR tests/c.py::test_c
=== 2 failed, 3 passed, 1 error in 0.05s ===
"""
NAMES = ["tests/a.py::test_a", "tests/a.py::test_b[x y]", "tests/c.py::test_c"]
PASSING = "....\n4 passed in 0.10s\n"


def runs_tests(observation: str, command: str = "python -m pytest -q") -> Step:
    """A step that runs tests."""
    return "Run.", "bash", {"command": command}, observation


def attempt(*steps: Step) -> Trajectory:
    """An attempt with these steps."""
    return make_attempt(steps=list(steps))


@pytest.mark.parametrize(
    ("observation", "command", "names"),
    [
        (FAILING, "pytest -q", NAMES),
        (PASSING, "pytest -q", []),
        (FAILING, "cat log", None),
        (FAILING.partition("\n")[2], "pytest | tail -3", None),
        (FAILING + FAILING, "pytest; pytest", None),
        ("no tests here", "pytest", None),
    ],
    ids=["failing", "passing", "no test run", "cut off", "two runs", "no summary"],
)
def test_failed_tests_are_asked_where_the_output_names_all(
    observation: str, command: str, names: list[str] | None
) -> None:
    """As many names as pytest's summary counts; else only the exit code is asked."""
    (first, *_) = turns(attempt(runs_tests(observation, command)))
    assert failed_tests(first) == names


def test_a_question_shows_what_came_before_and_nothing_after() -> None:
    """The observation of the command and all later turns stay hidden."""
    steps = [*STEPS, runs_tests(FAILING), ("", "bash", {"command": "echo later"}, "LATER")]
    made = {task.instance_id: task for task in questions(attempt(*steps), 9, 0)}
    (task,) = (task for task in made.values() if task.failed)
    assert task.failed == NAMES
    assert task.labels.operator == "tests"
    shown = task.problem_statement
    assert "Edited pkg/core.py" in shown
    assert shown.count("python -m pytest -q") == 1
    assert "KeyError" not in shown
    assert "LATER" not in shown
    assert len(made) == 5  # of `edit`, `create` and `submit` nothing is asked


def test_half_of_the_questions_are_about_test_runs() -> None:
    """The choice depends on the seed; of many turns the last ones are shown."""
    long = ("", "bash", {"command": "cat x"}, "y" * 50_000)
    given = attempt(*[long] * 20, *[runs_tests(PASSING)] * 3)
    chosen = list(questions(given, 4, 7))
    assert [task.failed is None for task in chosen].count(False) == 2
    assert [task.instance_id for task in questions(given, 4, 7)] == [
        task.instance_id for task in chosen
    ]
    assert max(len(task.problem_statement) for task in chosen) < 75_000
    assert "turns left out" in chosen[-1].problem_statement


TASK = NextObservationTask(
    instance_id="a", problem_statement="?", exit_code=1, failed=NAMES, repo="r"
)


@pytest.mark.parametrize(
    ("answer", "resolved", "kind", "similarity"),
    [
        ("exit code: 1\nfailed: " + " ".join(NAMES), True, "", 1.0),
        ("Exit code: 1\nFailed:\n" + ",\n".join(NAMES), True, "", 1.0),
        ("exit code: 1\nfailed: tests/a.py::test_a", False, "policy", 1 / 3),
        ("exit code: 0\nfailed: " + " ".join(NAMES), False, "policy", 1.0),
        ("exit code: 1\nfailed: none", False, "policy", 0.0),
        ("exit code: 1", False, "format", 0.0),
        ("failed: none", False, "format", 0.0),
        ("exit code: " + "9" * 5000, False, "format", 0.0),
    ],
)
def test_all_that_is_asked_must_agree(
    answer: str, resolved: bool, kind: str, similarity: float
) -> None:
    """Names stand in any order, with commas, spaces or lines between them."""
    environment = NextObservationEnvironment()
    grade = environment.grade(TASK, answer, Limits(), lambda *_, **__: pytest.fail("a sandbox"))
    assert (grade.resolved, grade.cause_kind) == (resolved, kind)
    assert grade.similarity == pytest.approx(similarity)


def test_questions_are_made_and_evaluated(tmp_path: Path) -> None:
    """The verb writes tasks whose reference resolves them; the suite asks a model."""
    run = tmp_path / "attempts.jsonl"
    run.write_text(
        "".join(
            made.model_copy(update={"id": f"pkg-{number}.0"}).model_dump_json() + "\n"
            for number, made in enumerate(
                [attempt(runs_tests(FAILING)), attempt(runs_tests(PASSING))]
            )
        )
    )
    output = tmp_path / "questions.jsonl"
    done = CliRunner().invoke(main, ["tasks", "next-observation", str(run), "-o", str(output)])
    assert done.stdout.endswith("2 tasks, 2 of them about test runs\n")
    environment = NextObservationEnvironment()
    for task in read_records(output, Task):
        assert isinstance(task, NextObservationTask)
        reference = environment.reference(task)
        assert environment.grade(task, reference, Limits(), lambda *_, **__: None).resolved  # type: ignore[arg-type]
    with serving() as server:
        server.answers = [completion({"content": "[ANSWER]exit code: 0\nfailed: none[/ANSWER]"})]
        words = ["evaluate", "next-observation", "--data", str(output), "-o", str(tmp_path / "r")]
        done = CliRunner().invoke(main, [*words, "-m", "m", "--url", server.url, "--json"])
    assert json.loads(done.stdout)["success"]["mean"] == 0.5
