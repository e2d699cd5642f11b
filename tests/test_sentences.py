"""Sentences of commits and changelogs: which tell of the bug, which of the fix."""

import pytest

from tasks.sentences import about_the_bug, prescriptions

OF_THE_FIX = [
    "Replace the truthiness guards with 'is None' checks.",
    "Calculate the threshold logarithmically and return the cap.",
    "Replaced the regex",
    "fix(parser): use a stack instead of recursion",
    "- Added a check for empty names. (#12)",
    "This PR adds an explicit guard, so that None returns early.",
    "naturalsize now rounds before it formats",
    "We simply convert the value to a float first.",
    "The lookup has been changed to ignore the case.",
    "It should use the raw string when the name is missing",
    "To fix this, the lock is taken before the read",
    "The issue is solved by temporarily replacing the forbidden characters",
    "feat: numbers may be missing",
    "Ensure that the header is set",
    "Set the flag when the list is empty",
    "## Solution\n\nThe parser was wrong about the offset.",
    "**Changes:**\n- The offset was wrong",
]
SAYS_NOTHING = [
    "Fix style", "wip", "fixing tests across python versions.", "typo", "pep8", "Merge branch",
    "for more information, see https://pre-commit.ci", "Co-work with Ann", "v1-2-3",
]  # fmt: skip
OF_THE_BUG = [
    "Parsing fails when the file ends without a newline.",
    "clamp(-1, 0, 10) returns -1 instead of 0.",
    "Fix grouping of `case` within parenthesis.",
    "The dbt-ol-only option then leaked into the arguments of dbt, which aborts.",
    "Avoid IndexError in from_string on truncated tracebacks",
    "In Python 3, None is not comparable, thus clamp(x) raises TypeError",
    "It fails to parse dates and to write them back",
    "Missing keys should return None",
    "The cache was not emptied when an item was removed",
]
CUT = [
    ("Fix the crash on empty input by returning early.", "Fix the crash on empty input"),
    ("Fix the crash on empty input; use a default", "Fix the crash on empty input"),
    ("Names with a dot were lost, so escape them first", "Names with a dot were lost"),
    ("fix(x): dates are wrong (#12)", "Dates are wrong"),
    ("Fixes #7: dates are wrong", "Dates are wrong"),
    ("Dates are wrong, see https://a.b/c/7", "Dates are wrong"),
    ("Fix a bug: dates are wrong\n\n* Fix a bug: dates are wrong", "Fix a bug: dates are wrong"),
    ("It raises an error:\n\n    KeyError: 'a'\n\nUse this:\n\n    KeyError = 1",
     "It raises an error:\n\n    KeyError: 'a'"),
]  # fmt: skip


def told(text: str) -> str:
    """What is kept of a text if the fix has no words."""
    return about_the_bug(text, lambda *_: False)[0]


@pytest.mark.parametrize("text", [*OF_THE_FIX, *SAYS_NOTHING])
def test_what_tells_of_the_fix_or_nothing_is_left_out(text: str) -> None:
    """Orders, changes, states after the fix and chores are no part of a statement."""
    kept, dropped = about_the_bug(text, lambda *_: False)
    assert (kept, dropped > 0 or "\n" in text) == ("", True)


@pytest.mark.parametrize("text", OF_THE_BUG)
def test_what_tells_of_the_bug_is_kept(text: str) -> None:
    """Symptoms, conditions and wanted results are kept word by word."""
    assert told(text) == text


@pytest.mark.parametrize(("text", "kept"), CUT)
def test_the_part_that_tells_how_is_cut_off(text: str, kept: str) -> None:
    """Means, numbers, links, scopes, repetitions and code of the fix go; the rest stays."""
    assert told(text) == kept


@pytest.mark.parametrize(
    "piece", ["A", "A b: ", "fix: ", "'", "(#1 ", "a#", "by adding ", ". A", "\t"]
)
def test_foreign_text_takes_no_time(piece: str) -> None:
    """Whatever a message repeats, no pattern tries all ways to divide it."""
    assert len(told(piece * 10_000)) <= len(piece) * 10_000
    bug = f"Parsing fails when the text {piece * 10_000} is empty and raises ValueError."
    assert len(told(bug)) <= len(bug)
    assert told(f"Parsing fails when the text{' ' * 50_000}is empty.").endswith("text is empty.")


def test_a_sentence_that_names_the_fix_is_left_out() -> None:
    """What the fix introduces decides over the form of a sentence; wants are judged strictly."""
    seen: list[bool] = []

    def reveals(sentence: str, strict: bool) -> bool:
        seen.append(strict)
        return "cap" in sentence

    text = "It fails without a cap. It fails at zero. Avoid errors at zero."
    assert about_the_bug(text, reveals) == ("It fails at zero. Avoid errors at zero.", 1)
    assert seen == [False, False, True]


@pytest.mark.parametrize("text", OF_THE_FIX[:6])
def test_orders_are_found_in_any_text(text: str) -> None:
    """The sentences that a model may not write are found one by one."""
    assert prescriptions(f"Clamp is wrong.\n\n{text}") != []
    assert prescriptions("Clamp is wrong. `Use(1)` gives 2 and it should return 1.") == []
