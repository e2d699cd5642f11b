"""Canaries: tests that must fail, among the others and like them.

Each makes several comparisons that must fail, each in another way, and then fails by the last. If
one of them passes, so does the canary: then somebody replaced what tests compare with, or the
machinery that runs them, and the other reports cannot be trusted either.
"""

from __future__ import annotations

import random
import sys
from typing import Any, Callable

import pytest

from .doctests import file_of

_BODIES = (
    "assert {one!r} == {other!r}",
    "assert [{one!r}, {text!r}] == [{other!r}, {text!r}]",
    "assert {text!r} == {text!r} + 'x'",
    "assert {{{text!r}: {one!r}}} == {{{text!r}: {other!r}}}",
    "assert [] is None",
    "assert {one!r} in ({other!r}, {text!r})",
    "assert not {text!r}",
    "raise ValueError({text!r})",
    "import unittest\n        unittest.TestCase().assertEqual({one!r}, {other!r})",
    "import unittest\n        unittest.TestCase().assertTrue({one!r} == {other!r})",
    "import unittest\n        unittest.TestCase().assertIn({one!r}, [{other!r}])",
    "import unittest\n        unittest.TestCase().assertAlmostEqual({one!r}, {other!r})",
    "import unittest\n        with unittest.TestCase().assertRaises(KeyError):"
    "\n            str({one!r})",
    "import math\n        assert math.isclose({one!r}, {one!r} + {little!r})",
    "import pytest\n        assert {one!r} + {little!r} == pytest.approx({one!r})",
    "import pytest\n        with pytest.raises(KeyError):\n            str({one!r})",
    "import pytest\n        with pytest.raises(KeyError):\n            raise ValueError({text!r})",
)
_COUNT = 5  # of canaries, if there are places for them
_STEP = """\
    try:
        {body}
    except BaseException:  # pytest's failures are no Exception
        pass
    else:
        return
"""
_NUMPY = "import numpy\n        numpy.testing.assert_allclose([{one!r}], [{other!r}])"


class Canaries:
    """Makes canaries and remembers their ids."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()
        self.names: set[str] = set()

    def spread(self, items: list[Any]) -> int:
        """Put canaries between the tests, in place; return their number."""
        places = [number for number in range(len(items)) if _closed(items, number)]
        if not places:
            return 0
        bodies = [*_BODIES, *([_NUMPY] if "numpy" in sys.modules else [])]
        self._random.shuffle(bodies)
        words = sorted({word for item in items for word in item.name.partition("[")[0].split("_")})
        taken = {item.name for item in items}
        chosen = sorted((self._random.choice(places) for _ in range(_COUNT)), reverse=True)
        for number, place in enumerate(chosen):
            name = self._name(words, taken)
            items.insert(place + 1, self._made(items[place], name, bodies[number::_COUNT]))
        return len(chosen)

    def _name(self, words: list[str], taken: set[str]) -> str:
        """A name of the words of other tests' names."""
        good = [word for word in words if word.isidentifier() and word != "test"] or ["it"]
        while True:
            count = self._random.randint(1, 3)
            name = "_".join(["test", *(self._random.choice(good) for _ in range(count))])
            if name in taken:
                name = f"{name}_{self._random.randint(1, 999)}"
            if name not in taken:
                taken.add(name)
                return name

    def _made(self, neighbour: Any, name: str, bodies: list[str]) -> Any:
        module = neighbour.getparent(pytest.Module) or neighbour.parent
        call = self._function(file_of(module), name, bodies)
        item = pytest.Function.from_parent(module, name=name, callobj=call)
        self.names.add(item.nodeid)
        return item

    def _function(self, path: str, name: str, bodies: list[str]) -> Callable[[], None]:
        steps = [body.format(**self._values()) for body in bodies]
        text = "".join(_STEP.format(body=body) for body in steps[:-1])
        last = steps[-1].replace("\n        ", "\n    ")
        made: dict[str, Any] = {}
        above = "\n" * self._random.randint(0, 80)
        exec(compile(f"{above}def {name}():\n{text}    {last}\n", path, "exec"), made)  # nosec B102
        function: Callable[[], None] = made[name]
        return function

    def _values(self) -> dict[str, Any]:
        one = self._random.randint(2, 9999) + self._random.choice((0, 0.5))
        return {
            "one": one,
            "other": one + self._random.choice((1, -1, 0.5, 10)),
            "little": 10 ** self._random.uniform(-2, 1),
            "text": "".join(self._random.choices("abcdefgh", k=5)),
        }


def _closed(items: list[Any], number: int) -> bool:
    """Whether a test of the module may follow here without taking a class's fixtures apart."""
    following = items[number + 1] if number + 1 < len(items) else None
    own = items[number].getparent(pytest.Module)
    return (
        following is None
        or following.getparent(pytest.Module) is not own
        or isinstance(items[number].parent, pytest.Module)
    )
