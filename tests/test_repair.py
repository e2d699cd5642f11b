"""The model-free repair policy, through the real loop, tools and a real shell."""

import os
import sys
from pathlib import Path

import pytest

from forager.agent.loop import Agent
from forager.agent.repair import RepairModel
from forager.agent.syntax import SYNTAXES
from forager.environments.local_sandbox import LocalSandbox
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
    "imports": ("import math\n\n\n", "\n\n", "ratio"),
}


def attempt(root: Path, syntax: str, function: str | None, turns: int = 60) -> Agent:
    """Let the policy work on the project in `root`."""
    where = (
        f"in the function `{function}` of `sums.py`. Look at the function"
        if function
        else "somewhere. Look at the code"
    )
    statement = (
        f"There is a bug {where}, run its tests, and fix the bug so that they pass. "
        "Do not change the tests.\n\nThese tests fail:\n- test_sums.py::test_total\n\n"
        "Run them with:\npython -m pytest test_sums.py"
    )
    toolbox = load_toolbox()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with LocalSandbox(root, environment={"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}) as sandbox:
        model = RepairModel(SYNTAXES[syntax], toolbox, load_families())
        agent = Agent(model, sandbox, toolbox, SYNTAXES[syntax], AttemptLimits(turns=turns))
        assert agent.run(statement) == "submitted"
    return agent


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize("syntax", ["functions", "text"])
def test_each_kind_of_bug_is_repaired(tmp_path: Path, bug: str, syntax: str) -> None:
    """The text is right again, the tests are as they were, and it took few turns."""
    right, wrong, function = BUGS[bug]
    (tmp_path / "sums.py").write_text(RIGHT.replace(right, wrong))
    named = TESTS.replace("def test_total", "def test_sum")
    function_test = "sum" if function == "total" else function
    (tmp_path / "test_sums.py").write_text(
        named.replace(f"def test_{function_test}", "def test_total")
    )
    before = (tmp_path / "test_sums.py").read_text()
    agent = attempt(tmp_path, syntax, function)
    namespace: dict[str, object] = {}
    exec(compile((tmp_path / "sums.py").read_text(), "sums.py", "exec"), namespace)
    assert namespace["total"]([1, 2, -3, 0]) == 3  # type: ignore[operator]
    assert namespace["spread"]([2, 9]) == 8  # type: ignore[operator]
    assert (tmp_path / "test_sums.py").read_text() == before
    assert len(agent.model_calls) <= 40


def test_what_cannot_be_repaired_is_left_as_it_was(tmp_path: Path) -> None:
    """Nothing helps: the policy puts the text back and submits within its turns."""
    text = "def total(values):\n    raise ValueError(values)\n"
    (tmp_path / "sums.py").write_text(text)
    (tmp_path / "test_sums.py").write_text(
        "from sums import total\n\n\ndef test_total():\n    assert total([1]) == '?'\n"
    )
    agent = attempt(tmp_path, "functions", "total")
    assert (tmp_path / "sums.py").read_text() == text
    assert len(agent.model_calls) <= 60
