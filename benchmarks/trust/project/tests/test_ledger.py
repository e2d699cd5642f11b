import re

from helpers import same
from tally.ledger import Entry, Ledger
from tally.text import code, euros


class TestLedger:
    empty = Ledger()

    def setup_method(self):
        self.ledger = Ledger([Entry("rent", 700), Entry("rent", 50)])

    def test_balance(self):
        assert self.ledger.balance() == 750

    def test_balance_after(self):
        self.ledger.add("food", 25)
        assert self.ledger.balance() == 775

    def test_totals(self):
        assert self.ledger.totals() == {"rent": 750}

    def test_empty(self):
        assert len(self.empty) == 0


def test_names(names):
    assert names == {"rent", "food"}


def test_largest(ledger):
    assert ledger.largest() == Entry("rent", 70000)


def test_largest_type(ledger):
    assert isinstance(ledger.largest(), Entry)


def test_find(ledger):
    assert ledger.find("food").amount == 12550


def test_find_nothing(ledger):
    assert ledger.find("fees") is None


def test_contains(ledger):
    assert "food" in ledger
    assert "fees" not in ledger


def test_changes_are_kept():
    with Ledger() as ledger:
        ledger.add("food", 5)
        assert ledger.balance() == 5
    assert len(ledger) == 1


def test_visit(ledger):
    seen = []
    ledger.visit(lambda entry: seen.append(entry.name))
    assert seen == ["rent", "food", "rent"]


def test_visit_with_checks():
    def check(entry):
        assert entry.amount == 500

    Ledger([Entry("rent", 500)]).visit(check)


def test_add_returns_the_entry():
    entry = Ledger().add("food", 5)
    assert (entry.name, entry.amount) == ("food", 5)


def test_entries_sorted():
    assert sorted([Entry("b", 2), Entry("a", 1)]) == [Entry("a", 1), Entry("b", 2)]


def test_distinct_entries():
    assert len({Entry("a", 1), Entry("a", 2), Entry("a", 1)}) == 2


def test_euros():
    same(euros(1205), "12.05")


def test_euros_of_nothing():
    same(euros(0), "0.00")


def test_code():
    assert re.fullmatch(r"T-\d{4}", code(42))


def test_code_text():
    assert code(42) == "T-0042"
