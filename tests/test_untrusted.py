"""Text from sandboxes, models and foreign files becomes records within bounds."""

import base64
import json
import tracemalloc
import zlib

import pytest
from pydantic import TypeAdapter

from forager.untrusted import (
    Items,
    Malformed,
    Report,
    json_value,
    record,
    reports,
    toml_value,
    unpacked,
)

NONCE = "0f" * 16


class Ran(Report):
    """A report for these tests."""

    id: str
    seconds: float


class Listed(Report):
    """Another one."""

    names: Items[str]


KIND: TypeAdapter[Ran | Listed] = TypeAdapter(Ran | Listed)
GOOD = '{"id": "a", "seconds": 1}'


def test_reports_are_whole_lines_that_begin_with_the_nonce() -> None:
    """Other output, bash's message on a kill, and a torn last line are no reports."""
    output = (
        f"noise {NONCE} {GOOD}\n{NONCE} {GOOD}\r\nbash: line 1: 7 Killed <<'{NONCE}'\n{NONCE}\n"
        f'{NONCE} {{"names": ["b"]}}\n{NONCE} {GOOD}'
    )
    found = reports(output, NONCE, KIND)
    assert found.records == [Ran(id="a", seconds=1), Listed(names=["b"])]
    assert not found.problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"id": "a", "seconds": NaN}', "finite"),
        ('{"id": "a", "seconds": 1e999}', "finite"),
        ('{"id": "a", "seconds": "1"}', "valid number"),
        ('{"id": ["a"], "seconds": 1}', "valid string"),
        ('{"id": "a"}', "required"),
        ('{"id": "a", "seconds": 1, "more": 1}', "not permitted"),
        ('{"id": "a", "seconds": ' + 5000 * "1" + "}", "out of range"),
        ('{"names": ' + 10_000 * "[", "recursion limit"),
        ('{"names": [' + 30_000 * "1," + "1]}", "required"),
        ("{" + ",".join(f'"{number}": 1' for number in range(9000)) + "}", "many wrong values"),
        ('{"names": ["' + 200_000 * "a" + '"]}', "more than 131,072 characters"),
        ('{"names": ["\x01"]}', "control character"),
        ("{not JSON}", "Invalid JSON"),
    ],
)
def test_a_malformed_report_ends_the_reading_with_a_reason(text: str, problem: str) -> None:
    """No content of a line with the right nonce raises, and what follows it is not believed."""
    found = reports(f"{NONCE} {GOOD}\n{NONCE} {text}\n{NONCE} {GOOD}\n", NONCE, KIND)
    assert found.records == [Ran(id="a", seconds=1)]
    assert problem in found.problem
    assert len(found.problem) < 300
    assert "\n" not in found.problem


def test_a_flood_of_reports_costs_neither_time_nor_memory() -> None:
    """Newlines, nonces and reports without end are scanned once, and few records are kept."""
    flood = 2_000_000 * "\n" + 50_000 * f"{NONCE}\n" + 50_000 * f"{NONCE} {GOOD}\n"
    tracemalloc.start()
    found = reports(flood, NONCE, KIND, most=1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.records) == 1000
    assert "more than 1,000 reports" in found.problem
    assert peak < 4 << 20


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"\ud800", "\ufffd"),
        ("\ud800", "\ufffd"),
        (r"a\udfffb\uD83D\uDE00", "a\ufffdb😀"),
        (r"\ud83d\ud83d\ude00", "\ufffd😀"),
        (r"\\ud800", r"\ud800"),
        (r"\\\ud800", "\\\ufffd"),
    ],
)
def test_half_characters_are_replaced_one_for_one(written: str, read: str) -> None:
    """JSON can hold lone surrogates, UTF-8 cannot; positions in the text do not change."""
    assert json_value(f'{{"{written}": ["{written}"]}}', 100) == {read: [read]}
    assert record(KIND, f'{{"id": "{written}", "seconds": 0}}', 100) == Ran(id=read, seconds=0)


def test_packed_text_is_unpacked_within_its_bound() -> None:
    """A small text that unpacks to a large one costs no more memory than the bound."""
    assert unpacked(base64.b64encode(zlib.compress(b"{}")).decode(), 100) == "{}"
    bomb = base64.b64encode(zlib.compress(bytes(100_000_000))).decode()
    for text in (bomb, "ü", "====", "AAAA", base64.b64encode(zlib.compress(b"\xff")).decode()):
        with pytest.raises(Malformed):
            unpacked(text, 100)


def test_values_are_bounded() -> None:
    """The value of a JSON text is what json.loads returns, or Malformed is raised."""
    text = json.dumps({"a": [1, -2.5, None, True, "ü"], "b": {}})
    assert json_value(text, 100) == json.loads(text)
    for wrong in ("[NaN]", "[1", 300 * "[" + 300 * "]", 5000 * "1", '"' + 100 * "a" + '"'):
        with pytest.raises(Malformed):
            json_value(wrong, 100 if wrong[0] == '"' else 100_000)


@pytest.mark.parametrize("text", ["a." * 40_000 + "a = 1", "a = " + "[" * 100_000, "a = \udc80"])
def test_hostile_toml_is_malformed(text: str) -> None:
    """Deep keys and values, and what no encoding has, raise nothing else."""
    with pytest.raises(Malformed):
        toml_value(text, 1 << 20)
