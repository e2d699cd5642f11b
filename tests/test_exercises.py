"""The exercises before the first round of `scripts/bootstrap`."""

import ast
import random
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

KATA = Path(__file__).parents[1] / "examples/kata"


@pytest.fixture
def bugs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that makes them."""
    monkeypatch.syspath_prepend(KATA)
    import bugs  # type: ignore[import-not-found]

    yield bugs
    for name in ("bugs", "invented", "outcomes"):
        sys.modules.pop(name)


def called(code: str, call: str) -> str:
    """What a call of the function shows."""
    space: dict[str, Any] = {}
    exec(code, space)
    try:
        return repr(eval(call, space))
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:60]


def test_what_a_test_saw_of_an_invented_function_is_true(bugs: Any) -> None:
    """The call returns what is expected without the bug, and what it got with the bug."""
    made = [bug for seed in range(2) for bug in bugs.shown_bugs(seed)]
    assert len(made) > 20
    for bug in made:
        call, expected, got = bug.shown.split("\n")
        assert called("\n".join(bug.fix), call) == expected.removeprefix("Expected: ")
        shown = called("\n".join(bug.bug), call)
        assert got.removeprefix("Got: ") in (shown, f"not {shown}")


def test_no_kata_is_invented(bugs: Any) -> None:
    """A kata is known by its body, whatever its names; the seed alone decides what is invented."""
    first = (KATA / "kata/lists.py").read_text()
    code = next(ast.unparse(node) for node in ast.parse(first).body if hasattr(node, "args"))
    renamed = code.replace("items", "values").replace("def first", "def other")
    assert "values" in renamed and bugs.plain(renamed) in bugs.katas()
    drawn = [list(islice(bugs.inventions(random.Random(3)), 30)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    fixes = {"\n".join(bug.fix) for bug in bugs.shown_bugs(5)}
    assert fixes and not {bugs.plain(fix) for fix in fixes} & bugs.katas()
