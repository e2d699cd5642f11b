"""Logs of test commands: what each named parser reads in them."""

import time
from collections.abc import Callable

import pytest
from conftest import BUGGY, CORE, FAILING, PASSING

from forager.environments.repository.grading import grade
from forager.environments.repository.logs import PARSERS, Parser
from forager.environments.repository.task import RepositoryTask, TestSetup
from forager.mutation.candidates import unified_diff
from forager.mutation.prove import check
from forager.sandboxes.sandbox import Limits

RESULTS = """\
============================= test session starts ==============================
collected 6 items

tests/test_a.py .FsxX                                                    [100%]

----------------------------- Captured stdout call -----------------------------
it is PASSED by
=========================== short test summary info ============================
PASSED tests/test_a.py::test_one
PASSED tests/test_a.py::TestB::test_two[a b - c]
SKIPPED [1] tests/test_a.py:9: no network
XFAIL tests/test_a.py::test_known - later
XPASS tests/test_a.py::test_mended
ERROR tests/test_c.py - ImportError: no module
FAILED tests/test_a.py::test_three - AssertionError: assert 1 == 2 - or so
1 failed, 2 passed
"""
VERBOSE = """\
tests/test_a.py::test_one PASSED                                         [ 16%]
tests/test_a.py::TestB::test_two[a b] PASSED                             [ 33%]
tests/test_a.py::test_three FAILED                                       [ 50%]
tests/test_a.py::test_four SKIPPED (no network)                          [ 66%]
tests/test_a.py::test_five \x1b[32mPASSED\x1b[0m\x1b[32m                 [100%]\x1b[0m
[gw1] [ 20%] PASSED tests/test_a.py::test_six
tests/test_a.py::test_old XFAIL
"""
DJANGO = """\
Testing against Django installed in '/testbed/django'
test_one (app.tests.OneTests) ... ok
test_two (app.tests.OneTests)
It has a docstring. ... ok
test_three (app.tests.OneTests) ... FAIL
test_four (app.tests.OneTests) ... skipped 'no database'
test_five (app.tests.OneTests) ... System check identified no issues (0 silenced).
ok
test_six (app.tests.OneTests) ... expected failure
======================================================================
FAIL: test_three (app.tests.OneTests)
ERROR: test_seven (unittest.loader._FailedTest)
"""
SYMPY = """\
sympy/core/tests/test_basic.py[3]
test_structure ok
test_equality F
test_matches E                                                        [FAIL]
________________________________________________________________________________
_________ sympy/core/tests/test_basic.py:test_equality _________
"""
PRO = """\
Writing results
{"tests": [{"name": "tests/test_a.py::test_one", "status": "PASSED"},\
 {"name": "tests/test_a.py::test_two", "status": "FAILED"},\
 {"name": "tests/test_a.py::test_three", "status": "BROKEN"}]}
"""
CASES = {
    "pytest -rA": (
        "pytest",
        RESULTS,
        {
            "tests/test_a.py::test_one": "passed",
            "tests/test_a.py::TestB::test_two[a b - c]": "passed",
            "tests/test_a.py::TestB::test_two[a": "passed",  # as SWE-bench's own parser cuts it
            "tests/test_a.py::test_known": "passed",
            "tests/test_a.py::test_mended": "xpassed",
            "tests/test_c.py": "error",
            "tests/test_a.py::test_three": "failed",
        },
    ),
    "pytest -v": (
        "pytest",
        VERBOSE,
        {
            "tests/test_a.py::test_one": "passed",
            "tests/test_a.py::TestB::test_two[a b]": "passed",
            "tests/test_a.py::TestB::test_two[a": "passed",
            "tests/test_a.py::test_three": "failed",
            "tests/test_a.py::test_four": "skipped",
            "tests/test_a.py::test_five": "passed",
            "tests/test_a.py::test_six": "passed",
            "tests/test_a.py::test_old": "passed",
        },
    ),
    "paths among the parameters": (
        "pytest-options",
        "PASSED test_a.py::test_one[/home/x/file.cfg]\nPASSED test_a.py::test_one[//x/y]\n"
        "PASSED test_a.py::test_one[/a/*/b]\nFAILED test_a.py::test_one[b] - no\n",
        {
            "test_a.py::test_one[/file.cfg]": "passed",
            "test_a.py::test_one[//x/y]": "passed",
            "test_a.py::test_one[/a/*/b]": "passed",
            "test_a.py::test_one[b]": "failed",
        },
    ),
    "mouse buttons": (
        "matplotlib",
        "PASSED test_a.py::test_click[MouseButton.LEFT]\n",
        {"test_a.py::test_click[1]": "passed"},
    ),
    "django": (
        "unittest",
        DJANGO,
        {
            "test_one (app.tests.OneTests)": "passed",
            "It has a docstring.": "passed",
            "test_three (app.tests.OneTests)": "failed",
            "test_four (app.tests.OneTests)": "skipped",
            "test_five (app.tests.OneTests)": "passed",
            "test_six (app.tests.OneTests)": "passed",
            "test_three": "failed",
            "test_seven": "error",
        },
    ),
    "sympy": (
        "sympy",
        SYMPY,
        {
            "sympy/core/tests/test_basic.py:test_equality": "failed",
            "test_structure": "passed",
            "test_equality": "failed",
        },
    ),
    "r2e": (
        "dotted",
        RESULTS,
        {
            "test_one": "passed",
            "TestB.test_two[a b - c]": "passed",
            "test_known": "passed",
            "test_mended": "xpassed",
            "": "error",
            "test_three": "failed",
        },
    ),
    "a parsing script": (
        "json",
        PRO,
        {
            "tests/test_a.py::test_one": "passed",
            "tests/test_a.py::test_two": "failed",
            "tests/test_a.py::test_three": "failed",
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_log_is_read(name: str) -> None:
    """Parsers read each form of log and ignore the lines around results."""
    parser, log, expected = CASES[name]
    assert PARSERS[parser](log) == expected


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("log", ["", "Segmentation fault\n", '{"tests": 3}\n{"a": 1}\n{'])
def test_a_log_without_results_is_none(name: str, log: str) -> None:
    """A log without results gives no outcomes and no error."""
    assert PARSERS[name](log) == {}


def test_a_parser_that_there_is_not_is_said() -> None:
    """A task with an unknown parser fails to load, and the error lists the parsers."""
    with pytest.raises(ValueError, match="there is no parser 'nose'; there are pytest, "):
        TestSetup(command="nosetests", parser="nose")


def by_command(task: RepositoryTask, command: str) -> RepositoryTask:
    """The task with a test command of its own."""
    setup = task.setup.model_copy(update={"command": command})
    return task.model_copy(update={"setup": setup})


@pytest.mark.engine
def test_a_task_is_graded_by_its_own_command(kata_task: RepositoryTask) -> None:
    """The reference resolves under the task's own command and variables; others do not."""
    task = by_command(kata_task, 'cd tests\ncd ..\npytest -rA "$TESTS"')
    setup = task.setup.model_copy(update={"variables": {"TESTS": "tests/test_core.py"}})
    task = task.model_copy(update={"setup": setup})
    assert check(task) == ""
    good = grade(task, task.patch, Limits())
    assert (good.resolved, good.cause) == (True, "")
    assert set(good.tests) == {*FAILING, *PASSING}
    other = unified_diff("kata/core.py", BUGGY, BUGGY.replace("result = 0", "result = 1"))
    bad = grade(task, other, Limits())
    assert not bad.resolved
    assert bad.tests["tests/test_core.py::test_total"] == "failed"


@pytest.mark.engine
def test_a_task_that_grading_would_always_refuse_does_not_hold(kata_task: RepositoryTask) -> None:
    """A failing exit code after passing tests makes the task fail its check."""
    task = by_command(kata_task, "pytest -rA tests; exit 3")
    assert check(task) == "with the reference patch: no test failed, and the exit code was 3"


@pytest.mark.engine
@pytest.mark.parametrize(
    ("command", "note"),
    [
        (f"printf 'PASSED %s\\n' {' '.join([*FAILING, *PASSING])}; exit 3", "the exit code was 3"),
        ("echo nothing; exit 4", "the exit code was 4"),
        ("true", "did not come to its end"),
        ("echo PASSED a; sleep 60", "did not come to its end"),
    ],
)
def test_a_log_that_cannot_be_is_refused(
    kata_task: RepositoryTask, command: str, note: str
) -> None:
    """Grading refuses a failing exit code without a failure, and logs without results or end."""
    task = by_command(kata_task, command)
    setup = task.setup.model_copy(update={"timeout": 3})
    result = grade(task.model_copy(update={"setup": setup}), CORE_PATCH, Limits())
    assert not result.resolved
    assert note in result.cause


CORE_PATCH = unified_diff("kata/core.py", BUGGY, CORE)


HOSTILE: dict[str, Callable[[int], str]] = {
    "blanks": lambda size: "a" + " " * size + "x",
    "statuses": lambda size: "a " + "PASSED " * (size // 7) + "x",
    "reasons": lambda size: "a " + "PASSED (" * (size // 8),
    "heads": lambda size: "_ a.py:" * (size // 7),
    "options": lambda size: "PASSED " + "[/" * (size // 2),
    "dots": lambda size: "a ... " * (size // 12) + " " * (size // 2),
    "brackets": lambda size: "a PASSED " + "[ " * (size // 2) + "%]",
    "nested": lambda size: '{"tests": ' + "[" * size,
}


def _cost(parser: Parser, log: str) -> float:
    """Processor seconds of the fastest of three readings."""
    costs = []
    for _ in range(3):
        began = time.process_time()
        parser(log)
        costs.append(time.process_time() - began)
    return min(costs)


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_log_costs_no_more_than_its_length(name: str, parser: str) -> None:
    """Eight times the length takes about eight times as long, not sixty-four."""
    short, long = HOSTILE[name](4_000), HOSTILE[name](32_000)
    # Two milliseconds are below what the clock tells apart.
    assert _cost(PARSERS[parser], long) < 24 * _cost(PARSERS[parser], short) + 0.002
