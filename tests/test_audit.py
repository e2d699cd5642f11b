"""`forager audit`: stronger tests, the false successes that they find, and what they prove."""

import json
from pathlib import Path
from typing import Any

import pytest
from attempts import Settings, make_attempt
from click.testing import CliRunner
from conftest import BUGGY
from test_answers import question
from test_coding import problem
from test_selection import ALARM, RIGHT, SHOWS, stored

from forager.cli.main import main
from forager.environments.function.task import CodingTask, JudgedCase
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.writing import TestWritingTask
from forager.environments.task import Task
from forager.images.image import Image
from forager.learning.rl.layout import RlLayout
from forager.mutation.files import unified_diff
from forager.trajectories.store import Run
from forager.trajectories.summary import Summary
from tasks.audited import audit_order
from tasks.call_tests import module_of
from tasks.case_inputs import (
    CallArguments,
    call_forms,
    call_text,
    more_inputs,
    noted_arguments,
    varied,
)

LARGEST = """\
def largest(numbers):
    best = numbers[0]
    for number in numbers:
        if number > best:
            best = number
    return best
"""
HONEST = "def largest(numbers):\n    return sorted(numbers)[-1]\n"
LAST = "def largest(numbers):\n    return numbers[-1]\n"
KNOWN = "def largest(numbers):\n    return {3: 7, 5: 9}[numbers[0]]\n"
HIGH = """\
from kata.core import clamp
print("Issue resolved" if clamp(11, 0, 10) == 10 else "Issue reproduced")
"""
ALWAYS = 'print("Issue resolved")  # never "Issue reproduced"\n'


def audited(*words: str | Path) -> dict[str, Any]:
    """Run `forager audit --json`."""
    done = CliRunner().invoke(main, ["audit", *map(str, words), "-w", "1", "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def coding(image: Image) -> CodingTask:
    """The largest number of a list, whose cases have it at the end."""
    rows = ("[3, 1, 7]", "7"), ("[5, 2, 6, 9]", "9")
    return problem(
        instance_id="largest",
        image=image.reference,
        function="largest",
        solution=LARGEST,
        cases=[JudgedCase(arguments=arguments, returns=returns) for arguments, returns in rows],
    )


def numbers(text: str) -> list[list[int]]:
    """The numbers of each line."""
    return [[int(word) for word in line.split()] for line in text.split("\n")]


def test_inputs_keep_what_the_own_inputs_have_in_common() -> None:
    """`n` stays the length of the list, which stays sorted and distinct, in the range seen."""
    texts = ("3 9\n1 4 8", "2 7\n3 5", "4 20\n2 6 7 9")
    task = problem(cases=[JudgedCase(stdin=text, expected="") for text in texts])
    found = more_inputs(task, 50, 0)
    assert len(found) > 20 and found == more_inputs(task, 50, 0)
    assert not {case.stdin for case in found} & {*texts}
    for case in found:
        (count, most), values = numbers(case.stdin)
        assert count == len(values) and values == sorted(set(values))
        assert 7 <= most <= 20 and all(1 <= value <= 9 for value in values)


def test_arguments_keep_their_order() -> None:
    """Where `low` is never above `high`, it is in no input; commands are not spelt anew."""
    rows = ("'get', 1, 5", "'put', 0, 9", "'get', 3, 3")
    task = problem(function="f", cases=[JudgedCase(arguments=row) for row in rows])
    found = [eval(f"({case.arguments})") for case in more_inputs(task, 30, 1)]
    assert len(found) > 5
    assert all(word in ("get", "put") and low <= high for word, low, high in found)


@pytest.mark.parametrize("text", ["", "x y", "f(1)", "(" * 3000, "1e999, [", "{}: 3"])
def test_inputs_that_cannot_be_read_are_not_varied(text: str) -> None:
    """What a data set writes as arguments is no reason to fail."""
    assert not more_inputs(problem(function="f", cases=[JudgedCase(arguments=text)]), 5, 0)


def test_files_have_the_names_under_which_tests_import_them() -> None:
    """Those that no import statement can name have none."""
    names = map(module_of, ("src/a/b.py", "a/__init__.py", "a-b/c.py", "a.txt"))
    assert [*names] == ["a.b", "a", "", ""]


def test_arguments_by_name_keep_their_names() -> None:
    """Calls with other names are another form; values vary within each."""
    calls: list[CallArguments] = [((1,), {"a": "x"}), ((5,), {"a": "y"}), ((), {"b": [1, 2]})]
    known = {call_text(call) for call in calls}
    assert known == {"1, a='x'", "5, a='y'", "b=[1, 2]"}
    found = varied(call_forms(calls), known, 20, "")
    assert any(text.endswith(", a='x'") for text in found)
    assert all(text[0] in "12345" or text.startswith("b=[") for text in found)


@pytest.mark.parametrize("text", ["5", "(1, 2)", "((1,), {2: 3})", "((1,), {}, 4)", "f(", ""])
def test_notes_that_are_no_arguments_are_left_out(text: str) -> None:
    """Code of the repository can print anything in place of the notes."""
    assert noted_arguments("((1, [2]), {'a': {3}})", 99) == ((1, [2]), {"a": {3}})
    assert noted_arguments(text, 99) is None


def test_a_larger_sample_contains_a_smaller_one() -> None:
    """The order follows from ids and seed, so raising --sample grades only what is new."""
    successes = [Summary.of(make_attempt("a", number)) for number in range(20)]
    order = audit_order(successes, 3)
    assert audit_order(reversed(successes), 3) == order != audit_order(successes, 4)


@pytest.mark.parametrize(
    ("attempts", "message"),
    [
        ([], "has no success to audit"),
        ([True], "lacks the task a; add it to its tasks.jsonl"),
    ],
)
def test_a_run_that_cannot_be_audited_is_one_line(
    tmp_path: Path, attempts: list[bool], message: str
) -> None:
    """Exit code 2, and what to do."""
    run = tmp_path / "run"
    with Run.write(run, Settings(), []) as writer:
        for attempt in (make_attempt("b", resolved=False), *(make_attempt("a") for _ in attempts)):
            writer.append(attempt)
    done = CliRunner().invoke(main, ["audit", str(run), "-o", str(tmp_path / "audit")])
    assert done.exit_code == 2 and message in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.engine
def test_a_false_success_of_a_coding_task_is_found(tmp_path: Path, kata_image: Image) -> None:
    """Programs that pass the own cases by chance or by heart fail; honest ones do not.

    The run is one of `forager rl`. A second start grades nothing again, and answers whose only
    right one is known are named.
    """
    task = coding(kata_image)
    asked_of = question()
    layout = RlLayout(tmp_path / "rl")
    silent = task.model_copy(update={"instance_id": "silent", "cases": [JudgedCase(returns="1")]})
    answers: list[tuple[Task, str, bool]] = [
        *((task, text, True) for text in (HONEST, LAST, KNOWN)),
        (task, "def largest(numbers): return 0", False),
        (silent, LARGEST, True),
        (asked_of, "[3, 3]", True),
    ]
    able = [*(make_attempt("largest", number) for number in range(3)), make_attempt("silent", 4)]
    assert (
        audit_order(map(Summary.of, able), 0)[0].instance_id == "silent"
    )  # and makes place for another
    stored(layout.attempts, [task, silent, asked_of], answers)
    layout.ledger.write_text("")
    options = "--sandbox", "bubblewrap", "--cases", "8", "--sample", "3"
    words = (layout.run, "-o", tmp_path / "audit", *options)
    found = audited(*words)
    assert [attempt["id"] for attempt in found["false"]] == ["largest.1", "largest.2"]
    assert found["false"][0]["failed"][0].startswith("largest([")
    coded, asked = found["environments"]
    assert (coded["successes"], coded["audited"], coded["false"]) == (4, 3, 2)
    assert coded["not_audited"] == {"no stronger test could be proven": 1}
    assert coded["share"]["low"] < coded["share"]["mean"] == 2 / 3 < coded["share"]["high"]
    assert coded["mutants"] >= coded["missed"] >= coded["killed"] > 0
    assert asked["share"] is None and sum(asked["not_audited"].values()) == 1
    before = [path.read_bytes() for path in sorted((tmp_path / "audit").glob("*.jsonl"))]
    assert audited(*words) == found
    assert before == [path.read_bytes() for path in sorted((tmp_path / "audit").glob("*.jsonl"))]
    settings = tmp_path / "audit" / "settings.json"
    settings.write_text(settings.read_text().replace('"written_digest"', '"programs"'))  # earlier
    assert audited(*words) == found
    other = CliRunner().invoke(main, ["audit", *map(str, words), "--seed", "1"])
    assert other.exit_code == 2 and "seed is 0 there and 1 now" in other.stderr


@pytest.mark.engine
def test_what_infrastructure_loses_costs_itself_alone(tmp_path: Path, kata_image: Image) -> None:
    """The others are audited; one line names the loss, and the same command audits it later."""
    task = coding(kata_image)
    gone = task.model_copy(update={"instance_id": "gone", "image": "forager/gone:1"})
    run = stored(tmp_path / "run", [task, gone], [(gone, LAST, True), (task, LAST, True)])
    words = ["audit", str(run), "-o", str(tmp_path / "audit"), "--cases", "2", "--mutants", "0"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1, done.output
    assert done.stdout.startswith("largest.1\tfalse: largest([")
    told = "forager: 1 tasks and attempts were lost to infrastructure (gone), the last because "
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("forager: "))
    assert line.startswith(told) and line.endswith("; run again for them")
    assert json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)["lost"].keys() == {
        "gone"
    }
    fixed = [task, gone.model_copy(update={"image": task.image})]
    (run / "tasks.jsonl").write_text("".join(f"{task.model_dump_json()}\n" for task in fixed))
    found = audited(run, *words[2:])
    assert {attempt["id"] for attempt in found["false"]} == {"gone.0", "largest.1"}
    assert found["lost"] == {}


@pytest.mark.engine
def test_a_false_success_of_a_repository_task_is_found(
    tmp_path: Path, kata_task: RepositoryTask
) -> None:
    """Generated and written tests count once they are right about the reference and useful.

    The task's only test asks for -1. One patch knows what tests ask for, one breaks the upper end,
    one says itself what the tests should say.
    """
    task = kata_task.model_copy(update={"PASS_TO_PASS": [], "guards": None})
    broken = "min(value, high)"
    by_heart = BUGGY.replace(broken, "{-1: 0, 5: 5, 11: 10}[value]")
    one_end = BUGGY.replace(broken, "max(value, low)")
    saying = f"{one_end}\n\nimport os, sys\nif 'pytest' not in sys.modules:\n"
    saying += "    os.write(1, b'Issue resolved\\n')\n    os._exit(0)\n"
    run = stored(
        tmp_path / "run",
        [task],
        [
            (task, unified_diff("kata/core.py", BUGGY, text), True)
            for text in (by_heart, one_end, saying)
        ]
        + [(task, RIGHT, True)],
    )
    writing = TestWritingTask.of(task)
    texts = (SHOWS, HIGH, ALARM, ALWAYS, "print(")
    tests = stored(tmp_path / "tests", [writing], [(writing, text, False) for text in texts])
    output = tmp_path / "audit"
    found = audited(
        run, "-o", output, "--tests", tests, "--mutants", "3", "--seed", "9", "--cases", "4"
    )
    assert [attempt["id"].rpartition(".")[2] for attempt in found["false"]] == ["0", "1", "2"]
    first, second, third = (" ".join(attempt["failed"]) for attempt in found["false"])
    assert "it is wrong that clamp(" in first and "written test" in second and "written" in third
    kept = json.loads((output / "tests.jsonl").read_text())
    assert SHOWS in kept["programs"] and HIGH in kept["programs"]
    assert not {ALARM, ALWAYS, "print("} & {*kept["programs"]}
    assert (kept["mutants"], kept["missed"], kept["killed"]) == (3, 3, 2)
