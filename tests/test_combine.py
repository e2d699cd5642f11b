"""Several bugs at once: merged on the original, each with a test of its own."""

import subprocess
from pathlib import Path
from random import Random

import pytest

from forager.mutation.candidates import Candidate, candidates, unified_diff
from forager.mutation.combine import KilledMutant, combined, every_part_fails
from forager.mutation.files import reverse
from forager.mutation.reach import edits_of
from mutators import FAMILIES

SHOP = '''\
"""A shop."""


def net(price, rate=2):
    total = price * rate
    if total > 100:
        total -= 10
    label = "net"
    return total, label


def gross(prices):
    result = 0
    for price in prices:
        result += price
    return result
'''
BANK = "def balance(entries):\n    kept = entries[1:]\n    return sum(kept) - 1"
TEXTS = {"shop.py": SHOP, "bank.py": BANK, "far/crlf.py": SHOP.replace("\n", "\r\n")}


@pytest.fixture(scope="module")
def killed() -> list[KilledMutant]:
    """Every single bug of the files with random failing tests."""
    random = Random(1)
    return [
        KilledMutant(candidate, frozenset(f"t{random.randrange(300)}" for _ in range(3)))
        for path, text in TEXTS.items()
        for candidate in candidates(path, text, FAMILIES)
    ]


def added(diff: str) -> set[str]:
    """The lines that a diff adds."""
    return {line[1:] for line in diff.split("\n")[4:] if line.startswith("+")}


def test_a_combination_applies_and_comes_off(killed: list[KilledMutant], tmp_path: Path) -> None:
    """The diff has each part's edits, and its reverse restores every byte."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for path, text in TEXTS.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(text.encode())
    by_place: dict[tuple[str, str, int, str], list[Candidate]] = {}
    for mutant in killed:
        candidate = mutant.candidate
        by_place.setdefault(
            (candidate.file, candidate.function, candidate.line, candidate.operator), []
        ).append(candidate)
    for found, _ in combined(killed, TEXTS, 1, rounds=1):
        for diff in (found.diff, reverse(found.diff)):
            subprocess.run(["git", "apply"], input=diff.encode(), cwd=tmp_path, check=True)
            if diff == found.diff:
                whole = {path: (tmp_path / path).read_bytes().decode() for path in TEXTS}
        assert {path: (tmp_path / path).read_bytes().decode() for path in TEXTS} == TEXTS
        assert {path for path in TEXTS if whole[path] != TEXTS[path]} == set(edits_of(found.diff))
        for part in found.parts:
            choices = by_place[part.file, part.function, part.line, part.operator]
            assert any(
                added(choice.diff) <= set(whole[part.file].split("\n")) for choice in choices
            )


def test_the_seed_decides(killed: list[KilledMutant]) -> None:
    """The seed alone decides the combinations, and a round uses each bug once."""
    first = list(combined(killed, TEXTS, 1, rounds=1))
    assert first == list(combined(killed, TEXTS, 1, rounds=1))
    assert first != list(combined(killed, TEXTS, 2, rounds=1))
    assert sum(len(bug.parts) for bug, _ in first) <= len(killed)
    sizes = [len(bug.parts) for seed in range(9) for bug, _ in combined(killed, TEXTS, seed, 1)]
    assert set(sizes) == {2, 3, 4}
    assert {bug.operator for bug, _ in first} == {"in_function", "in_file", "across_files"}
    for bug, _ in first:
        files = {part.file for part in bug.parts}
        places = {(part.file, part.function) for part in bug.parts}
        assert (len(files) > 1) == (bug.operator == "across_files")
        assert (len(places) == 1) == (bug.operator == "in_function")


def test_each_part_has_a_test_of_its_own(killed: list[KilledMutant]) -> None:
    """Each part fails a test that no other part fails."""
    for _, shown in combined(killed, TEXTS, 3, rounds=1):
        for tests in shown:
            others = [other for other in shown if other is not tests]
            assert tests.difference(*others)


def test_a_part_that_hides_another_is_seen() -> None:
    """Each part alone must fail a test that the combination fails."""
    shown = frozenset({"a", "b"}), frozenset({"c"})
    assert every_part_fails(shown, ["b", "c"])
    assert not every_part_fails(shown, ["a", "b"])


def single(old: str, new: str, test: str) -> KilledMutant:
    """A bug in the shop."""
    assert SHOP.count(old) == 1
    diff = unified_diff("shop.py", SHOP, SHOP.replace(old, new))
    candidate = Candidate(
        family="f", operator="o", file="shop.py", function="net", line=1, diff=diff
    )
    return KilledMutant(candidate, frozenset({test}))


def test_bugs_that_meet_are_not_joined() -> None:
    """Bugs on one line, or that do not compile together, are not joined."""
    times = single("price * rate", "price + rate", "a")
    assert not list(combined([times, single("price * rate", "rate", "b")], TEXTS, 0))
    assert list(combined([times, single("total > 100", "total", "b")], TEXTS, 0))
    assert list(combined([times, single("total -= 10", "pass", "b")], TEXTS, 0))
    opened, closed = single('"net"', '("net"', "a"), single("rate=2):", "rate=2", "b")
    assert not list(combined([opened, closed], TEXTS, 0))


def test_tests_that_are_the_same_are_not_enough() -> None:
    """Two bugs with the same failing test do not combine."""
    first, second = single("price * rate", "rate", "a"), single("total -= 10", "pass", "a")
    assert not list(combined([first, second], TEXTS, 0))
