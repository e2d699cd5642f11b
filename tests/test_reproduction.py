"""Failing tests become calls with values: what a user would have run, wanted and got."""

import pytest

from forager.environments.repository.testing import Failure
from forager.mutation.reproduction import FailingCall, reproduction

# A test file, in which "<<" marks the failing line and "<" the lines of the calls above it.
CASES = [
    ("def test_a():\n    assert 2 == one(1)  <<", ("one(1)", "==", "2")),
    ("def test_a():\n    low = 1\n    got = one(low)\n    assert got is None  <<",
     ("one(1)", "is", "None")),
    ("def test_a():\n    assert one([1]) in (1, 2)  <<", ("one([1])", "in", "(1, 2)")),
    ("def test_a():\n    assert not one()  <<", ("one()", "==", "False")),
    ("SIZE = 3\ndef test_a():\n    assert one(SIZE)  <<", ("one(3)", "==", "True")),
    # what fails before its check wants what the check wants
    ("def test_a():\n    found = one('x')  <<\n    part = found[0]\n    other = 1\n"
     "    assert part.name == 'x'", ("one('x')[0].name", "==", "'x'")),
    # values that change keep a name, but not the test's
    ("def test_a():\n    items = []\n    fill(items)\n    assert one(items) == 3  <<",
     ("x = []\nfill(x)\none(x)", "==", "3")),
    ("def test_a():\n    names = one()\n    names = [n for n in two()]\n"
     "    assert names == []  <<", ("[n for n in two()]", "==", "[]")),
    # unittest
    ("class T:\n    def test_a(self):\n        self.assertEqual(3, one())  <<",
     ("one()", "==", "3")),
    ("class T:\n    def test_a(self):\n        self.assertIn('a', one())  <<",
     ("'a'", "in", "one()")),
    ("class T:\n    def test_a(self):\n        self.failUnlessRaises(KeyError, one, 1)  <<",
     ("one(1)", "raises", "KeyError")),
    ("class T:\n    def test_a(self):\n        self.assertIsNone(one())  <<",
     ("one()", "==", "None")),
    # errors that a test expects
    ("def test_a():\n    box = Box()\n    with pytest.raises(ValueError):\n        box.add(1)  <<",
     ("Box().add(1)", "raises", "ValueError")),
    # helpers, branches, cases
    ("def check(text, wanted, strict=False):\n    got = one(text, strict)\n    if got is None:\n"
     "        pytest.fail('none')\n    else:\n        assert got == wanted  <<\n"
     "def test_a():\n    check('1', wanted=1)  <", ("one('1', False)", "==", "1")),
    ("class T:\n    def see(self, text):\n        if one(text) is None:\n"
     "            self.fail(text)  <<\n    def test_a(self):\n        self.see('1')  <",
     ("one('1')", "is not", "None")),
    ("@pytest.mark.parametrize('deep', [True, False])\n"
     "@pytest.mark.parametrize(('text', 'wanted'), [('a', 1), ('b', [2])])\n"
     "def test_a(text, wanted, deep):\n    assert one(text, deep) == wanted  <<",
     ("one('b', False)", "==", "[2]")),
]  # fmt: skip
IDS = {len(CASES) - 1: "[b-wanted1-False]"}


@pytest.mark.parametrize("row", range(len(CASES)))
def test_a_failing_test_becomes_a_call(row: int) -> None:
    """Locals are replaced by their values; the check's wanted side is the expected result."""
    source, (code, operator, wanted) = CASES[row]
    lines = source.split("\n")
    marked = [(line.count("<"), number) for number, line in enumerate(lines, 1) if line[-1:] == "<"]
    names = {2: "check" if "check" in source else "see", 1: "test_a"}
    frames = [("t.py", number, names[count]) for count, number in sorted(marked)]
    text = "\n".join(line.rstrip("<").rstrip() for line in lines)
    failure = Failure(error="", frames=frames, text="")
    found = reproduction(f"t.py::test_a{IDS.get(row, '')}", failure, {"t.py": text})
    assert (found.code, found.operator, found.wanted) == (code, operator, wanted)


@pytest.mark.parametrize("text", ["print 1", "x = 1", "def test_a():\n    pass", "(" * 900 + "1"])
def test_what_cannot_be_read_tells_nothing(text: str) -> None:
    """A test that Python cannot parse, or without a function at the line, gives no example."""
    failure = Failure(error="", frames=[("t.py", 9, "test_a")], text="")
    assert reproduction("t.py::test_a", failure, {"t.py": text}) == FailingCall()
