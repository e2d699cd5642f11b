"""The model-free repair policy with the real loop, tools and a real shell."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from forager.agent.loop import Agent
from forager.agent.syntax import SYNTAXES
from forager.repair import RepairModel
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.trajectories.record import AttemptLimits
from mutators import load_families
from tools import load_toolbox

RIGHT = '''"""Sums."""

import math


def total(values, start=0):
    """Add up."""
    result = start
    for value in values:
        if value > 0:
            result += value
    return result


def ratio(part, whole):
    """Part of a whole, rounded down."""
    return math.floor(part / whole)


def spread(values):
    """Twice a ratio."""
    return ratio(max(values), min(values)) * 2
'''
TESTS = """from sums import ratio, spread, total


def test_total():
    assert total([1, 2, -3, 0]) == 3
    assert total([1], 4) == 5


def test_ratio():
    assert ratio(7, 2) == 3


def test_spread():
    assert spread([2, 9]) == 8
"""
BUGS = {
    "operators": ("value > 0", "value < 0", "total"),
    "augmented": ("result += value", "result -= value", "total"),
    "variables": ("return math.floor(part / whole)", "return math.floor(whole / part)", "ratio"),
    "arguments": ("ratio(max(values), min(values))", "ratio(min(values), max(values))", "spread"),
    "statements": ("    return result\n", "    pass\n", "total"),
    "parameters": ("ratio(part, whole)", "ratio(part)", "ratio"),
}


FORM = """There is a bug in the function `{function}` of `sums.py`. Look at the function, run its \
tests, and fix the bug so that they pass. Do not change the tests.

These tests fail:
- test_sums.py::test_{function}

Run them with:
python -m pytest test_sums.py::test_{function}
"""
SYNTAX_OF = dict(zip(BUGS, ["functions", "text"] * len(BUGS), strict=False))


def project(root: Path, code: str, tests: str = TESTS) -> str:
    """Write the project; return its code."""
    (root / "sums.py").write_text(code)
    (root / "test_sums.py").write_text(tests)
    return code


def attempt(
    root: Path, statement: str, syntax: str = "functions", turns: int = 60, path: str = ""
) -> Agent:
    """Let the policy work on the project in `root` until it submits."""
    toolbox = load_toolbox()
    variables = {
        "PATH": f"{path or Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with LocalSandbox(root, environment=variables) as sandbox:
        model = RepairModel(SYNTAXES[syntax], toolbox, load_families(), test_seconds=4)
        agent = Agent(model, sandbox, toolbox, SYNTAXES[syntax], AttemptLimits(turns=turns))
        assert agent.run(statement) == "submitted"
    assert not any(call.tool == "" for call in agent.tool_calls)  # every call could be read
    return agent


@pytest.mark.parametrize("bug", BUGS)
def test_each_kind_of_bug_is_repaired(tmp_path: Path, bug: str) -> None:
    """The code works again, in either syntax, and the tests stay unchanged."""
    right, wrong, function = BUGS[bug]
    project(tmp_path, RIGHT.replace(right, wrong))
    agent = attempt(tmp_path, FORM.format(function=function), SYNTAX_OF[bug])
    namespace: dict[str, Any] = {}
    exec((tmp_path / "sums.py").read_text(), namespace)
    assert namespace["total"]([1, 2, -3, 0], 1) == 4
    assert namespace["ratio"](7, 2) == 3
    assert namespace["spread"]([2, 9]) == 8
    assert (tmp_path / "test_sums.py").read_text() == TESTS
    assert len(agent.model_calls) <= 25
    assert {call.tool for call in agent.tool_calls} == {"bash", "edit", "submit"}


def test_an_import_of_the_module_is_put_back(tmp_path: Path) -> None:
    """Outside functions the policy looks for undefined names."""
    project(tmp_path, RIGHT.replace("import math\n", ""))
    attempt(
        tmp_path,
        "There is a bug in `sums.py`, outside its functions. Fix it.\n\n"
        "These tests fail:\n- test_sums.py::test_ratio\n- test_sums.py::test_spread\n\n"
        "Run them with:\npython -m pytest test_sums.py::test_ratio test_sums.py::test_spread\n",
    )
    assert "import math\n" in (tmp_path / "sums.py").read_text()


def test_a_program_that_crashes_is_named_at_the_end(tmp_path: Path) -> None:
    """The final message names programs that could not run, with the reason."""
    project(tmp_path, "def total(values, start=0):\n    return 7\n", "from sums import total\n\n\n"
            "def test_total():\n    assert total([1, 2]) == hash(total)\n")  # fmt: skip
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin" / "python"
    wrapper.write_text(
        '#!/bin/sh\ncase "$1" in -|*trial.py) echo "SyntaxError: \033[31mtoo old"; exit 1;; esac\n'
        f'exec {sys.executable} "$@"\n'
    )
    wrapper.chmod(0o755)
    agent = attempt(tmp_path, FORM.format(function="total"), path=str(wrapper.parent))
    last = str(agent.messages[-2:])
    assert "My program `trial` crashed: SyntaxError: too old" in last


def test_a_statement_without_names_is_enough(tmp_path: Path) -> None:
    """Running and tracing find file, function and tests that the statement omits."""
    project(tmp_path, RIGHT.replace("value > 0", "value < 0"))
    attempt(tmp_path, "Sums come out wrong.")
    assert (tmp_path / "sums.py").read_text() == RIGHT


def test_what_cannot_be_repaired_is_left_as_it_was(tmp_path: Path) -> None:
    """If nothing helps, the policy restores the text and submits within its turns."""
    code = project(
        tmp_path,
        "def total(values):\n    raise ValueError(values)\n",
        "from sums import total\n\n\ndef test_total():\n    assert total([1]) == 'not guessed'\n",
    )
    agent = attempt(tmp_path, FORM.format(function="total"))
    assert (tmp_path / "sums.py").read_text() == code
    assert len(agent.model_calls) < 60


def test_the_turns_told_are_kept(tmp_path: Path) -> None:
    """With a handful of turns, the policy still cleans up and submits in time."""
    code = project(tmp_path, RIGHT.replace("return result", "return [result][1]"))
    agent = attempt(tmp_path, FORM.format(function="total"), turns=9)
    assert (tmp_path / "sums.py").read_text() == code
    assert len(agent.model_calls) <= 9


def test_a_change_that_breaks_other_tests_is_not_kept(tmp_path: Path) -> None:
    """A change must fix the failing tests and break no others."""
    code = "def is_low(value, bound):\n    return value > bound\n"
    tests = (
        "from sums import is_low\n\n\ndef test_is_low():\n    assert is_low(1, 2)\n\n\n"
        "def test_equal():\n    assert not is_low(2, 2)\n"
    )
    project(tmp_path, code, tests)
    attempt(tmp_path, FORM.format(function="is_low"))
    namespace: dict[str, Any] = {}
    exec((tmp_path / "sums.py").read_text(), namespace)
    assert namespace["is_low"](1, 2) and not namespace["is_low"](2, 2)


@pytest.mark.parametrize("count", [1, 40])
def test_what_failed_before_is_not_ours(tmp_path: Path, count: int) -> None:
    """Tests that fail anyway, few or many, do not prevent the repair."""
    strange = (
        f"\n\n@pytest.mark.parametrize('number', range({count}))\n"
        "def test_strange(number):\n    import nowhere_to_be_found\n"
    )
    right, wrong, function = BUGS["operators"]
    project(tmp_path, RIGHT.replace(right, wrong), f"import pytest\n{TESTS}{strange}")
    attempt(tmp_path, FORM.format(function=function))
    assert (tmp_path / "sums.py").read_text() == RIGHT


def test_tests_that_hang_are_stopped(tmp_path: Path) -> None:
    """An endless loop costs seconds, not the attempt."""
    code = "def steps(number):\n    count = 0\n    while number > 0:\n        number {} 2\n"
    code += "        count += 1\n    return count\n"
    tests = "from sums import steps\n\n\ndef test_steps():\n    assert steps(7) == 4\n"
    project(tmp_path, code.format("+="), tests)
    attempt(tmp_path, FORM.format(function="steps"))
    assert (tmp_path / "sums.py").read_text() == code.format("-=")
