"""Bug reports from failures: what was run, expected and got, and no name of the bug."""

import re
from itertools import product

import pytest

from forager.environments.repository.testing import Failure
from forager.mutation.bug_report import bug_report
from forager.mutation.candidates import Candidate
from forager.mutation.names import RevealingNames, told_lines

TESTS = {
    "tests/test_core.py": '''\
import pytest
from kata.core import Basket, clamp


def test_clamp():
    """A docstring."""
    unrelated = 3
    low, high = 0, 10
    assert clamp(4, low, high) == 4
    value = clamp(-1, low, high)
    assert value == 0


def test_raises():
    with pytest.raises(ValueError):
        Basket().add(None)


class TestBasket:
    def test_total(self):
        basket = Basket()
        self.assertEqual(basket.total(), 0)
'''
}


def failure(line: int, error: str, path: str = "tests/test_core.py") -> Failure:
    """A failure as the runner reports it."""
    return Failure(error=error, frames=[(path, line, "test")], text=f"{path}:{line}: {error}")


def bug(function: str = "other", file: str = "kata/far.py") -> Candidate:
    """A bug in this function and file."""
    return Candidate(family="f", operator="o", file=file, function=function, line=1, diff="")


def doctest(text: str) -> Failure:
    """A doctest's failure as the runner reports it: pytest gives no place and no error."""
    return Failure(error="", frames=[], text=f"{text}\n/testbed/num/core.py:5: DocTestFailure")


DOCTESTS = [  # a failure, and the report
    (
        doctest("002 Half.\n004     >>> x = 4\n005     >>> half(x)\n"
                "Expected:\n    2\nGot:\n    2.0\n"),
        "Wrong result\n\nWhat I ran:\n\n```python\nx = 4\nhalf(x)\n```\n\n"
        "Expected: `2`\n\nGot: `2.0`",
    ),
    (
        doctest("022     >>> thrice(0)\nExpected:\n    Traceback (most recent call last):\n"
                "    ValueError: zero\nGot nothing\n"),
        "Wrong result\n\nWhat I ran:\n\n```python\nthrice(0)\n```\n\n"
        "Expected: `ValueError: zero`\n\nGot: `nothing`",
    ),
    (
        doctest("013     >>> for i in x:\nUNEXPECTED EXCEPTION: ValueError('no')\n"
                "Traceback (most recent call last):\n  File \"a.py\", line 2, in f\n    raise e\n"
                "ValueError: no"),
        "Unexpected `ValueError: no`\n\nWhat I ran:\n\n```python\nfor i in x: ...\n```\n\n"
        "Expected: no error\n\nGot: `ValueError: no`",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("failed", "report"), DOCTESTS)
def test_a_doctest_is_reported_by_its_values(failed: Failure, report: str) -> None:
    """A doctest's statements, expected and actual output are what a user saw."""
    assert bug_report({"num/core.py::num.core.half": failed}, {}, RevealingNames(None)) == report


REPORTS = [  # a failure, what the report holds, what it does not
    (
        failure(11, "assert -1 == 0\n +  where"),
        ["Wrong result\n", "```python\nclamp(-1, 0, 10)\n```", "Expected: `0`", "Got: `-1`"],
        ["unrelated", "docstring", "clamp(4", "assert"],
    ),
    (
        failure(10, "TypeError: no <object at 0x7fb08e0aa5c0>"),
        ["Unexpected `TypeError: no <object at 0x…>`", "clamp(-1, 0, 10)", "Expected: `0`",
         "Got: `TypeError"],
        ["7fb08e0aa5c0", "unrelated"],
    ),
    (
        failure(16, "Failed: DID NOT RAISE <class 'ValueError'>"),
        ["```python\nBasket().add(None)\n```", "Expected: `ValueError`", "Got: no error"],
        ["DID NOT"],
    ),
    (
        failure(22, "AssertionError: 3 != 0"),
        ["```python\nBasket().total()\n```", "Expected: `0`", "Got: `3`"],
        ["assert"],
    ),
    (failure(3, "KeyError: 'a'", "elsewhere.py"), ["Unexpected `KeyError: 'a'`"], ["```"]),
    (failure(11, "assert <A at 0x7fb08e0aa5c0> == <A at 0x7fb08e0aa5d0>"), ["Got: "], ["Expected"]),
    (failure(11, "AssertionError"), ["clamp(-1, 0, 10)", "Expected: `0`"], ["Got"]),
]  # fmt: skip


@pytest.mark.parametrize(("failed", "held", "missing"), REPORTS)
def test_a_report_tells_what_was_seen(failed: Failure, held: list[str], missing: list[str]) -> None:
    """A report has the needed code, expected and actual results, and no addresses."""
    text = bug_report({"t": failed}, TESTS, RevealingNames(bug()))
    assert [part for part in held if part not in text] == [], text
    assert [part for part in missing if part in text] == [], text


NAMES = ["clamp", "Basket.total", "core", "value", "low", "expected", "got", "run", "Wrong.error"]


@pytest.mark.parametrize(("name", "row"), list(product(NAMES, range(len(REPORTS)))))
def test_a_report_never_gives_the_bug_away(name: str, row: int) -> None:
    """No report contains the names of the function, its class or its file."""
    for part in name.split("."):
        for candidate in (bug(name), bug("f", f"kata/{part}.py"), bug("f", f"{part}/__init__.py")):
            names = RevealingNames(candidate)
            text = bug_report({"t": REPORTS[row][0]}, TESTS, names)
            assert names.found_in(text) == []
            assert not re.search(rf"\b{part}\b", text, re.IGNORECASE)


def test_code_that_does_not_fit_is_left_out() -> None:
    """A report leaves out the code that its reader must not see, and keeps the values."""
    text = bug_report({"t": REPORTS[0][0]}, TESTS, RevealingNames(None), lambda code: not code)
    assert ("```" in text, "Expected: `0`\n\nGot: `-1`" in text) == (False, True)


def test_a_report_is_the_same_every_time() -> None:
    """The order of failures does not matter, and equal failures appear once."""
    failures = {f"t{number}": row[0] for number, row in enumerate(REPORTS)}
    failures["again"] = REPORTS[0][0]
    text = bug_report(failures, TESTS, RevealingNames(bug()))
    assert text == bug_report(dict(reversed(failures.items())), TESTS, RevealingNames(bug()))
    assert text.count("Got: `-1`") == 1
    assert text.count("Also:") == 2


def test_names_that_contain_a_name_are_left_out() -> None:
    """Words that contain a name are removed; short names match whole words only."""
    names = RevealingNames(bug("Basket.add", "kata/__init__.py"))
    assert names.out_of("TestBasket.test_basket.add(kata.x, address)") == "…(….x, address)"
    assert names.found_in("the baskets of an address") == ["baskets"]


def test_lines_of_a_patch_in_a_text() -> None:
    """Quoted lines match without white space; single words do not count."""
    patch = "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-  return  low\n+  return max(low, value)\n+else:"
    assert told_lines(patch, "it should\nreturn max(low,   value) else: x") == [
        "return max(low, value)"
    ]
    assert told_lines(patch, "else: return the larger") == []
