"""Facts derived from the record: tests seen, the repository by turn, places to jump to."""

from itertools import pairwise
from pathlib import Path

import pytest
from attempts import PATCH, STEPS, Step, make_attempt, make_task
from screens import IDS, recorded

from forager.errors import UsageError
from forager.replay.align import align, divergence
from forager.replay.query import parse, with_resolved
from forager.replay.recording import Recording, edited, failed, passed
from forager.replay.testing import SuiteResults, results, selection
from forager.trajectories.store import Run


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ("....\n4 passed in 0.09s", (4, 0, {})),
        ("=== 1 failed, 2 passed, 3 skipped, 1 warning in 1.20s ===", (2, 1, {})),
        ("FAILED tests/a.py::test_b - Assert...\n1 failed in 0.1s",
         (0, 1, {"tests/a.py::test_b": "failed"})),
        ("FAILED a.py::t[x y - z] - E\n1 failed in 0.1s", (0, 1, {"a.py::t[x y - z]": "failed"})),
        ("ERROR tests/a.py\n1 error in 0.1s", (0, 1, {"tests/a.py": "error"})),
        ("tests/a.py::test_b PASSED  [ 50%]\ntests/a.py::C::c FAILED\n1 failed, 1 passed in 1.0s",
         (1, 1, {"tests/a.py::test_b": "passed", "tests/a.py::C::c": "failed"})),
        ("1 failed in 0.1s\n…\n5 passed in 62.20s (0:01:02)", (5, 0, {})),
        ("Ran 3 tests in 0.001s\n\nOK", (3, 0, {})),
        ("Ran 3 tests in 0.001s\n\nFAILED (failures=1, errors=1)", (1, 2, {})),
        ("no tests ran in 0.01s", None),
        ("I passed the exam in 5s", None),
        ("", None),
    ],
)  # fmt: skip
def test_results_of_tests_are_read(output: str, found: tuple[int, int, dict[str, str]]) -> None:
    """Results of pytest and unittest are read; other output has none."""
    assert results(output) == (SuiteResults(*found) if found else None)


@pytest.mark.parametrize(
    ("command", "covered", "not_covered"),
    [
        ("pytest", ["tests/a.py::b"], []),
        ("cd /testbed && python -m pytest -q | tail -3", ["tests/a.py::b"], []),
        ("timeout 20 python -m pytest -q -p no:cacheprovider --tb=short tests/a.py::b",
         ["tests/a.py::b", "tests/a.py::b[1]"], ["tests/a.py::bc", "tests/b.py::b"]),
        ("pytest tests/unit/ > log 2>&1", ["tests/unit/a.py::b"], ["tests/a.py::b"]),
        ("pytest ./tests/a.py; ls tests/b.py", ["tests/a.py::b"], ["tests/b.py::b"]),
        ("pytest -k b tests", [], ["tests/a.py::b"]),
        ("pytest --deselect tests/a.py::c", [], ["tests/a.py::b"]),
        ("pytest 'tests/a.py::b", [], ["tests/b.py::b"]),
    ],
)  # fmt: skip
def test_what_a_command_surely_runs(
    command: str, covered: list[str], not_covered: list[str]
) -> None:
    """Names, files and directories select tests; options that deselect make it unsure."""
    chosen = selection(command)
    assert chosen is not None
    assert all(map(chosen.covers, covered))
    assert not any(map(chosen.covers, not_covered))


def test_commands_that_run_no_tests() -> None:
    """Other commands select no tests."""
    assert selection("cat pytest.ini") is None
    assert selection("grep -rn pytest-cov .") is None


def edit(search: str, replace: str, answer: str = "Edited") -> Step:
    """Return a step that edits."""
    return (
        "",
        "edit",
        {"path": "/testbed/pkg/core.py", "search": search, "replace": replace},
        answer,
    )


def recording(*steps: Step, patch: str = PATCH) -> Recording:
    """Return the recording of an attempt with these steps."""
    attempt = make_attempt(steps=list(steps))
    outcome = attempt.outcome.model_copy(update={"answer": patch})
    return Recording(attempt.model_copy(update={"outcome": outcome}), make_task())


def test_edits_are_put_together() -> None:
    """Edits of one place become one change; undone ones disappear."""
    made = recording(edit("a\nb", "a\nc"), edit("c", "d"), edit("x", "y"), edit("y", "x"))
    assert made.state(0).files() == []
    assert made.state(1).diff().splitlines()[-2:] == ["-b", "+c"]
    assert made.state(2).diff().splitlines()[-2:] == ["-b", "+d"]
    assert "+y" in made.state(3).diff()
    assert made.state(4).diff() == made.state(2).diff()
    assert recording(edit("a", "b"), edit("z\nb", "z\na")).state(2).files() == []


def test_an_edit_around_an_edit_takes_it_in() -> None:
    """A later edit absorbs an earlier one that it contains."""
    made = recording(edit("b", "c"), edit("a\nc\nd", "a\nd"))
    assert made.state(2).changes == {"pkg/core.py": ((("a", "b", "d"), ("a", "d")),)}


def test_files_are_known_by_how_they_changed() -> None:
    """Files are new, edited, or perhaps changed by a command that names a patched file."""
    made = recording(
        ("", "bash", {"command": "cat pkg/core.py"}, ""),
        ("", "bash", {"command": "sed -i s/0/-1/ pkg/core.py other.py"}, ""),
        ("", "create", {"path": "new.py", "content": "x\n"}, "Created"),
        edit("a", "b"),
    )
    assert made.state(1).files() == []
    assert made.state(2).files() == [("pkg/core.py", "perhaps")]
    assert made.state(4).files() == [("new.py", "new"), ("pkg/core.py", "edited")]
    assert made.state(made.last).files() == [("pkg/core.py", "in the patch")]
    assert made.state(made.last).diff() == PATCH


def test_a_refused_edit_changes_nothing() -> None:
    """A refused edit counts as a failure, not as an edit."""
    attempt = make_attempt(steps=[edit("a", "b", "not found")])
    refused = attempt.tool_calls[0].model_copy(update={"error": True, "change": None})
    made = Recording(attempt.model_copy(update={"tool_calls": [refused, *attempt.tool_calls[1:]]}))
    assert made.state(1).files() == []
    assert (made.next(failed, 0), made.next(edited, 0)) == (1, None)


def test_tests_are_known_by_what_was_printed() -> None:
    """Tests pass by name, or by a clean run that surely includes them, in a known turn."""
    last = "tests/test_core.py::test_last"
    made = recording(
        ("", "bash", {"command": "pytest"}, f"FAILED {last} - E\n1 failed in 1s"),
        ("", "bash", {"command": "pytest -k first"}, "1 passed, 1 deselected in 0.1s"),
        ("", "bash", {"command": "pytest tests/other.py::test_x"}, "1 passed in 0.1s"),
        ("", "bash", {"command": "pytest tests"}, "2 passed in 0.1s"),
    )
    assert made.state(1).tests == {last: ("failed", 1)}
    assert made.state(2).tests == made.state(1).tests
    assert made.state(3).tests == {last: ("failed", 1), "tests/other.py::test_x": ("passed", 3)}
    assert made.state(4).tests[last] == ("passed", 4)
    assert str(made.state(4).last) == "0 failed, 2 passed"
    assert made.state(made.last).tests[last] == ("passed", 0)
    assert [made.next(passed, 0), made.next(passed, 2), made.next(passed, 4, -1)] == [2, 3, 3]


def test_the_budget_goes_down() -> None:
    """Remaining turns, context tokens and seconds decrease; totals count what was spent."""
    made = recording(*STEPS)
    assert made.left(0) == (128, 131_072, 2400.0, 0, 0.0)
    assert made.left(2) == (126, 130_022, 2399.0, 2100, 1.0)
    assert made.left(made.last) == made.left(made.last - 1)


def test_a_text_is_found_around_the_end() -> None:
    """Search covers thoughts, calls, observations and outcome, and wraps both ways."""
    made = recording(*STEPS)
    assert made.matching("INDEXERROR", 0) == 1
    assert made.matching("indexerror", 1) == 1
    assert made.matching("try.py", 2) == 4
    assert made.matching("try.py", 2, -1) == 4
    assert made.matching("nowhere at all", 0) is None


def test_attempts_are_aligned_where_they_diverge(tmp_path: Path) -> None:
    """Alignment pairs equal calls in order, and leaves out none."""
    run = {
        attempt.id: Recording(attempt).turns for attempt in Run(recorded(tmp_path)).trajectories()
    }
    id = IDS["resolved"]
    pairs = align(run[id.removesuffix("1") + "0"], run[id])
    first = divergence(pairs)
    assert 0 < first < len(pairs)
    assert all(pair.same for pair in pairs[:first])
    for side, turns in ((0, run[id.removesuffix("1") + "0"]), (1, run[id])):
        assert [pair[side] for pair in pairs if pair[side]] == turns
    assert all(
        pair.left.call.arguments == pair.right.call.arguments
        for pair in pairs
        if pair.same and pair.left and pair.right and pair.left.call and pair.right.call
    )
    assert divergence(align(run[id], run[id])) == len(run[id])
    assert all(pair.same or not later.same for pair, later in pairwise(pairs[: first + 1]))


def test_filters_are_read() -> None:
    """Keys may come in any order; other words are searched for."""
    query = parse('unresolved family:op turns:2..9 says:"no attr" exit:turn tag:a marked my a::b')
    choice = query.choice
    assert (choice.resolved, choice.family, choice.exit_reason) == (False, "op", "turn")
    assert (choice.turns, choice.words) == ((2, 9), ("my", "a::b"))
    assert (query.says, query.tags, query.marked) == (("no attr",), ("a",), True)
    for text in ("turns:x", "turns:..", 'says:"open'):
        with pytest.raises(UsageError):
            parse(text)


def test_resolved_goes_round() -> None:
    """Cycling through `resolved` keeps quoted words."""
    text = 'says:"a b" x'
    for wanted in ("resolved", "unresolved", None):
        text = with_resolved(text)
        assert (
            parse(text).choice.resolved
            == {"resolved": True, "unresolved": False, None: None}[wanted]
        )
        assert parse(text).says == ("a b",)
