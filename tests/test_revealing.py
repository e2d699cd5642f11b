"""How much of a fix and of its tests a text reveals."""

import pytest

from tasks.revealing import FixWords
from tasks.settings import IssueFixSettings

OLD = "def size(value):\n    return format(value)\n"
PATCH = """\
--- a/a.py
+++ b/a.py
@@ -1,2 +1,6 @@
 def size(value):
-    return format(value)
+    # stop at the largest exponent
+    threshold = compute_cap(value)
+    if threshold is None:
+        raise ValueError("sizes of infinite files")
+    return format(value, limit=threshold, strict=True)
"""
TEST_PATCH = """\
--- a/test_a.py
+++ b/test_a.py
@@ -0,0 +1,5 @@
+def test_size_of_huge():
+    answer = make_huge(then=True)
+    with warnings_off() as record:
+        assert size(answer, strict=False) == "1 kB" and record == [1, 2, 3]
"""
TESTS = {
    "test_a.py": "def make_huge(then): ...\ndef warnings_off(): ...\n"
    + "\n".join(line[1:] for line in TEST_PATCH.split("\n")[3:])
}
WORDS = FixWords(PATCH, TEST_PATCH, old=OLD, tests=TESTS)


def test_the_names_of_a_fix_are_those_that_a_solver_need_not_know() -> None:
    """Old names, names that the tests use, keywords, comments and texts are no names of the fix."""
    assert WORDS.names == {"threshold", "compute_cap", "limit"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("compute_cap is missing", ["compute_cap"]),
        ("Sizes above a threshold are wrong", []),  # a plain word of prose
        ("`threshold` and limit=3", ["threshold", "limit"]),
        ("size(value, strict=True) is wrong", []),
    ],
)
def test_names_in_a_text(text: str, named: list[str]) -> None:
    """A name with a form of its own counts everywhere, a plain word only as code."""
    assert WORDS.named(text) == named
    assert WORDS.measure(text).names == round(len(named) / 3, 3)


@pytest.mark.parametrize(
    ("text", "loose", "strict"),
    [
        ("It stops at the largest exponents", True, True),  # a comment's phrase, in other forms
        ("The cap of the threshold is wrong", True, True),
        ("Large values have no threshold", False, True),
        ("Large values are formatted wrongly", False, False),
        ("raise ValueError('sizes of infinite files')", True, True),
    ],
)
def test_a_sentence_in_the_words_of_the_fix_reveals_it(
    text: str, loose: bool, strict: bool
) -> None:
    """Two new words or a phrase reveal the fix; of a sentence that wants something, one does."""
    assert (WORDS.reveals(text, False), WORDS.reveals(text, True)) == (loose, strict)


def test_runs_of_words_are_counted_without_what_a_solver_needs() -> None:
    """Values and the project's names do not count; the tests' own names and words do."""
    assert WORDS.measure('size(1, strict=False) returns "1 kB"').test_run == 0
    copied = WORDS.measure("answer = make_huge(then=True)\nwith warnings_off() as record:")
    assert copied.test_run == 7
    assert WORDS.measure("return format(value, limit=threshold)").fix_run == 5


def test_limits_say_what_is_beyond_them() -> None:
    """Each limit has a message of its own; tests may repeat a text that is older than they are."""
    limits = IssueFixSettings(max_fix_names=0.3, max_fix_run=3, max_test_run=3)
    assert "compute_cap" in WORDS.problem("compute_cap is missing", limits)
    assert "5 words of the change" in WORDS.problem(
        "return format(value, x=threshold_)\nreturn format(value, limit", limits
    ) or "names" in WORDS.problem("return format(value, limit=threshold", limits)
    copied = "with warnings_off() as record: assert"
    assert "5 words of the tests" in WORDS.problem(copied, limits)
    assert WORDS.problem(copied, limits, before_tests=True) == ""
    assert WORDS.problem("size(3) is wrong", limits) == ""
