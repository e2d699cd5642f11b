import difflib
import json
from pathlib import Path

from tally.ledger import as_json, statement


def test_statement(ledger):
    assert statement(ledger) == Path("golden/statement.txt").read_text()


def test_statement_lines(ledger):
    expected = ["rent          700.00", "food          125.50"]
    assert list(difflib.unified_diff(expected, statement(ledger).splitlines()[:2])) == []


def test_as_json(ledger):
    assert as_json(ledger) == json.dumps({"food": 12550, "rent": 71005})


def test_as_json_read(ledger):
    assert json.loads(as_json(ledger)) == {"food": 12550, "rent": 71005}
