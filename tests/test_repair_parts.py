"""What the repair policy reads and proposes, as tables without a sandbox."""

import ast
from collections.abc import Callable, Iterator

import pytest

from forager.repair.guesses import guesses
from forager.repair.imports import imports_in_function, imports_in_module
from forager.repair.observation import ToolAnswer
from forager.repair.parameters import parameters
from forager.repair.proposals import Clues, Proposal, ranked
from forager.repair.returns import returns
from forager.repair.source import (
    Passage,
    change_between,
    function_passage,
    read_outline,
    search_and_replace,
)
from forager.repair.statement import read_statement
from forager.repair.swaps import distant_swaps, swaps
from forager.trajectories.record import ToolCall
from mutators import FAMILIES

Generator = Callable[[Passage, Clues], Iterator[Proposal]]


def _swaps(passage: Passage, clues: Clues) -> Iterator[Proposal]:
    return swaps(passage, FAMILIES, clues)


NAME_ERROR = Clues(errors=[("NameError", "name 'key' is not defined")], ways={"key": []})
COUNT = "f() takes 1 positional argument but 2 were given"
WAYS = {"partial": ["from functools import partial"]}

# generator, clues, what stands there, what must be among the proposals
PROPOSALS: list[tuple[Generator, Clues, str, str]] = [
    (_swaps, Clues(), "def f(a, b):\n    return a < b\n", "def f(a, b):\n    return a <= b\n"),
    (
        _swaps,
        Clues(),
        "def f(a):\n    if a:\n        g()\n",
        "def f(a):\n    if not a:\n        g()\n",
    ),
    (_swaps, Clues(), "def f(a):\n    return a[1]\n", "def f(a):\n    return a[-1]\n"),
    (_swaps, Clues(), "def f(a):\n    return a // 2\n", "def f(a):\n    return a % 2\n"),
    (_swaps, Clues(), "def f(a, b):\n    g(b, a)\n", "def f(a, b):\n    g(a, b)\n"),
    (_swaps, Clues(), "    def f(a, b):\n        g(b, a)\n", "    def f(a, b):\n        g(a, b)\n"),
    (
        distant_swaps,
        Clues(),
        "def f(a, b):\n    c, a = b\n    return é(c)\n",
        "def f(a, b):\n    a, c = b\n    return é(a)\n",
    ),
    (parameters, NAME_ERROR, "def f():\n    key\n", "def f(key):\n    key\n"),
    (parameters, NAME_ERROR, "def f(a, b=1):\n    key\n", "def f(a, key, b=1):\n    key\n"),
    (parameters, NAME_ERROR, "def f(a, b=1):\n    key\n", "def f(a, b=1, key=None):\n    key\n"),
    (parameters, NAME_ERROR, "def f(*, a):\n    key\n", "def f(*key, a):\n    key\n"),
    (parameters, NAME_ERROR, "def f(**a):\n    key\n", "def f(*, key, **a):\n    key\n"),
    (parameters, NAME_ERROR, "def f(\n    a,\n):\n    key\n", "def f(\n    a, key,\n):\n    key\n"),
    (
        parameters,
        NAME_ERROR,
        "    def f(self):\n        key\n",
        "    def f(self, key):\n        key\n",
    ),
    (
        parameters,
        NAME_ERROR,
        "def f():\n    g(lambda: key)\n",
        "def f():\n    g(lambda key: key)\n",
    ),
    (
        parameters,
        Clues(errors=[("TypeError", COUNT)]),
        "def f(a):\n    return a + type\n",
        "def f(a, type):\n    return a + type\n",
    ),
    (
        parameters,
        Clues(errors=[("TypeError", "f() got an unexpected keyword argument 'w'")]),
        "def f(a):\n    return a\n",
        "def f(a, w=None):\n    return a\n",
    ),
    (returns, Clues(), "def f(a):\n    b = a\n", "def f(a):\n    b = a\n    return b\n"),
    (returns, Clues(), "def f(a):\n    if a: pass\n", "def f(a):\n    if a: return a\n"),
    (returns, Clues(), 'def f(a):\n    """Do."""\n', 'def f(a):\n    """Do."""\n    return a\n'),
    (
        returns,
        Clues(),
        "def f(g):\n    def w(*a):\n        return g(*a)\n",
        "def f(g):\n    def w(*a):\n        return g(*a)\n    return w\n",
    ),
    (
        returns,
        Clues(returns=["len(x) == 2"]),
        "def f(a):\n    pass\n",
        "def f(a):\n    return len(a) == 2\n",
    ),
    (
        imports_in_function,
        Clues(ways=WAYS),
        "def f(a):\n    return partial(a)\n",
        "def f(a):\n    from functools import partial\n    return partial(a)\n",
    ),
    (
        guesses,
        Clues(errors=[("NameError", "name 'b' is not defined")]),
        "def f(a):\n    for x in a:\n        b.append(x)\n",
        "def f(a):\n    b = []\n    for x in a:\n        b.append(x)\n",
    ),
    (
        guesses,
        Clues(errors=[("Failed", "DID NOT RAISE <class 'ValueError'>")]),
        "def f(a):\n    return a\n",
        "def f(a):\n    if a < 0:\n        raise ValueError\n    return a\n",
    ),
    (
        guesses,
        Clues(errors=[("AttributeError", "'A' object has no attribute 'x'")]),
        "    def f(self, x):\n        pass\n",
        "    def f(self, x):\n        self.x = x\n",
    ),
]


@pytest.mark.parametrize(("generator", "clues", "before", "after"), PROPOSALS)
def test_proposals(generator: Generator, clues: Clues, before: str, after: str) -> None:
    """The right text is among the proposals, which are unique and compile."""
    name = "A.f" if before.startswith(" ") else "f"
    passage = Passage("a.py", 10, tuple(before.splitlines()), name)
    proposals = list(ranked(generator(passage, clues)))
    assert tuple(after.splitlines()) in [proposal.lines for proposal in proposals]
    assert len({proposal.lines for proposal in proposals}) == len(proposals)
    for proposal in proposals:
        ast.parse(Passage("a.py", 10, proposal.lines, name).text)


def test_an_import_goes_behind_the_others() -> None:
    """The likeliest import comes first, after existing imports, or replaces a `pass`."""
    head = (
        '"""Doc."""',
        "",
        "import os",
        "",
        "try:",
        "    pass",
        "except ImportError:",
        "    x = 1",
    )
    found = list(ranked(imports_in_module(Passage("a.py", 1, head), WAYS, {})))
    texts = [proposal.lines for proposal in found]
    assert (*head[:5], "    from functools import partial", *head[6:]) in texts
    assert (*head[:3], "from functools import partial", *head[3:]) in texts


def test_statements() -> None:
    """A mutate-fix statement is parsed whole, free text as far as possible."""
    form = read_statement(
        "There is a bug in the function `A.f` of `pkg/a.py`. Look.\n\nThese tests fail:\n"
        "- tests/t.py::test[a b]\n- … and 3 more\n\nRun them with:\n"
        "python -m pytest -p no:x 'tests/t.py::test[a b]' …\n"
    )
    assert (form.file, form.function) == ("pkg/a.py", "A.f")
    assert form.tests == ("tests/t.py::test[a b]",)
    assert form.arguments == ("-p", "no:x")
    assert not form.all_named
    outside = read_statement("There is a bug in `a.py`, outside its functions. Look.")
    assert (outside.file, outside.function) == ("a.py", "")
    assert read_statement("It's broken.") == read_statement("")


def test_answers() -> None:
    """Failures come from the printed output; the exit comes from the call's facts."""
    printed = (
        "F\nE   pkg.Bad: no\nE   TypeError: f() takes 1\npkg/a.py:3: in f\n    g()\n"
        "FAILED tests/t.py::test[a] - TypeError: f()..."
    )
    call = ToolCall(message=1, tool="bash", exit_code=1, output_length=len(printed), turns_left=57)
    told = f"{printed}\n[exit code 1]\n[57 turns and 131072 tokens left]"
    seen = ToolAnswer.to([{"role": "user"}, {"role": "tool", "content": told}], [call])
    assert seen.output == printed
    assert (seen.exit_code, seen.call.turns_left) == (1, 57)
    assert seen.failed == ["tests/t.py::test[a]"]
    assert ("TypeError", "f() takes 1") in seen.errors
    assert seen.frames == [("pkg/a.py", 3, "f")]
    stopped = ToolCall(message=0, tool="bash", exit_code=None, timed_out=True)
    assert ToolAnswer("", stopped).hung
    assert ToolAnswer("", ToolCall(message=0, tool="bash", exit_code=124)).hung
    edited = ToolCall(message=0, tool="edit", exit_code=0)
    told = "Edited a.py: 3 lines now."
    assert ToolAnswer.to([{"role": "tool", "content": told}], [edited]).output == ""


def test_outlines() -> None:
    """Outlines have qualified names and each definition's lines, with decorators."""
    listing = "1:class A:\n3:    @property\n4:    def f(self):\n6:        def g():\n9:def h():\n"
    found = [
        (definition.name, definition.first, definition.last) for definition in read_outline(listing)
    ]
    assert found == [("A", 1, 8), ("A.f", 3, 8), ("A.f.<locals>.g", 6, 8), ("h", 9, None)]


def test_a_passage_ends_with_its_function() -> None:
    """A passage drops lines after its function, even partial ones."""
    lines = ["    def f(self):", "        return 1", "", "    # next", "    @decorated("]
    passage = function_passage("a.py", "A.f", 5, lines)
    assert passage is not None
    assert (passage.first, passage.last, passage.lines) == (5, 6, tuple(lines[:2]))


def test_edits_are_unique_in_what_was_seen() -> None:
    """The search text grows until it is unique in the passage."""
    old = ("def f():", "    if a:", "        b", "    if c:", "        b")
    passage = Passage("a.py", 1, old, "f")
    new = (*old[:4], "        d")
    assert search_and_replace(passage, old, new, 0) == ("    if c:\n        b\n",
                                                        "    if c:\n        d\n")  # fmt: skip
    assert change_between(passage, old, new).first == 5
