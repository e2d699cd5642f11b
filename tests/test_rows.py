"""Rows are untrusted: each is accounted for, whatever it holds."""

import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dataset_rows
import pytest

from forager.environments.repository.task import RepositoryTask
from forager.literals import read_literal
from forager.records import read_records
from forager.untrusted import Malformed
from tasks import rows
from tasks.fields import commands, fit, names, text, without_nan
from tasks.importing import FORMATS, ImportCounts, ImportRequest, RefusedRow, import_rows
from tasks.rows import ReadRow, UnusableRow, read_rows

NAN = float("nan")
HEADLESS = "@@ -1 +1 @@\n-x\n+y\n"


def deep(levels: int) -> Any:
    """Lists in lists."""
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


ODD: list[Callable[[random.Random], Any]] = [
    lambda _: None,
    lambda _: NAN,
    lambda _: float("inf"),
    lambda _: 10**400,
    lambda _: True,
    lambda _: b"\xff\x00",
    lambda _: datetime.now(UTC),
    lambda _: object(),
    lambda _: "",
    lambda _: "\ud83d\x00\x1b[2J",
    lambda _: "['a', 'b'",
    lambda _: "[" * 5000,
    lambda _: "-" * 5000 + "1",
    lambda _: "diff --git a/a b/a\n",
    lambda _: dataset_rows.PATCH.replace(",", ",9"),
    lambda _: dataset_rows.PATCH.replace("@@ -", "@@ x"),
    lambda _: HEADLESS,
    lambda _: "+\n" * 300_000,
    lambda _: deep(900),
    lambda _: {"a": deep(30)},
    lambda _: [1, None, NAN, {}],
    lambda chance: ["x", chance.random()],
    lambda _: {"path": {}, "header": [], "test_cmd": 3},
    lambda _: Path("/"),
    lambda _: "x" * 100_000,
]


def spoilt(row: Any, chance: random.Random, depth: int = 0) -> Any:
    """A row with another value somewhere, perhaps inside JSON text."""
    if isinstance(row, str) and row[:1] in ("{", "[") and depth < 4:
        try:
            return json.dumps(spoilt(json.loads(row), chance, depth + 1), default=str)
        except ValueError:  # text that only looks like JSON
            return chance.choice(ODD)(chance)
    inside = isinstance(row, dict | list) and row and depth < 6 and chance.random() < 0.8
    if depth and not inside:
        return chance.choice(ODD)(chance)
    changed = row.copy()
    place = chance.choice(list(row) if isinstance(row, dict) else range(len(row)))
    if chance.random() < 0.1:
        del changed[place]
    else:
        changed[place] = spoilt(row[place], chance, depth + 1)
    return changed


def imported(listed: list[Any], path: Path, format: str) -> ImportCounts:
    """Import rows."""
    read = [ReadRow(place, row) for place, row in enumerate(listed, 1)]
    return import_rows(read, ImportRequest(FORMATS[format], keep_contaminated=True), path)


@pytest.mark.parametrize("format", dataset_rows.ROWS)
def test_every_row_is_accounted_for(format: str, tmp_path: Path) -> None:
    """Any value in any field costs at most its own row, which is reported and counted."""
    chance = random.Random(format)
    whole = dataset_rows.ROWS[format]
    listed = [spoilt(chance.choice(whole), chance) for _ in range(250)]
    listed += [{}, *whole]
    out = tmp_path / "tasks.jsonl"
    counts = imported(listed, out, format)
    tasks = list(read_records(out, RepositoryTask))
    refused = list(read_records(tmp_path / "tasks.refused.jsonl", RefusedRow))
    assert counts.tasks + counts.known + counts.refused.total() == len(listed)
    assert (len(tasks), len(refused)) == (counts.tasks, counts.refused.total())
    assert counts.refused.total() > 50
    assert all(row.reason and "\n" not in row.reason and len(row.reason) <= 200 for row in refused)


def test_lines_that_are_no_rows_cost_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken, binary, deep and endless lines are refused, and the lines around them are read."""
    monkeypatch.setattr(rows, "LONGEST_ROW", 20_000)
    good = json.dumps(dataset_rows.GYM).encode()
    last = json.dumps({**dataset_rows.GYM, "instance_id": "b", "more": NAN}).encode()
    odd = [b'{"a"', b"\xff\xfe", b"[" * 3000, b"x" * 70_000, b"[]", b'"text"', b"\xed\xa0\xbd"]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join([b"\xef\xbb\xbf" + good, *odd, b"", last]))
    out = tmp_path / "tasks.jsonl"
    counts = import_rows(read_rows(str(path)), ImportRequest(FORMATS["swe-gym"]), out)
    assert (counts.tasks, counts.refused.total()) == (2, 7)
    refused = read_records(tmp_path / "tasks.refused.jsonl", RefusedRow)
    assert [row.instance_id for row in refused] == [f"row {place}" for place in range(2, 9)]


def test_a_list_is_read_around_a_broken_row(tmp_path: Path) -> None:
    """A JSON array whose rows nest too deeply or break off costs these rows alone."""
    whole = json.dumps([{"instance_id": "a", "x": '],{"'}, {"instance_id": "b"}])
    path = tmp_path / "rows.json"
    path.write_text(f"{whole[:-1]}, {'[' * 500 + ']' * 500}, {{]}}, 3, {whole[1:-2]}")
    found = [read.row for read in read_rows(str(path))]
    assert [isinstance(row, UnusableRow) or row["instance_id"] for row in found] == [
        "a", "b", True, True, True, "a", True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        ["a::b", "c"],
        ("a::b", "c"),
        '["a::b", "c"]',
        "['a::b', 'c']",
        "[\"a::b\", 'c']",
        "['a::b' 'c']",
        "['a::b'\n 'c']",
        "array(['a::b', 'c'], dtype=object)",
        "('a::b', 'c',)",
        json.dumps('["a::b", "c"]'),
        json.dumps("['a::b', 'c']"),
    ],
)
def test_lists_are_read_in_all_their_forms(given: Any) -> None:
    """JSON, what Python and numpy print, and lists that became text twice."""
    assert names({"F": given}, "F") == ["a::b", "c"]
    assert commands(given, "F") == ["a::b", "c"]


@pytest.mark.parametrize("given", [None, NAN, "", " ", "nan", "None", "null", "NaN", "[]", []])
def test_what_is_missing_has_many_names(given: Any) -> None:
    """PASS_TO_PASS may be empty in all these ways."""
    assert names(without_nan({"P": given}), "P", may_be_empty=True) == []
    with pytest.raises(UnusableRow):
        names({}, "P", may_be_empty=True)


@pytest.mark.parametrize(
    "given",
    ["[f()]", "['a'*9]", "['a'", "{'a': 1}", "3", "['a', None]", "[1]", "['']", "[['a']]", "a::b"]
    + [f"{'[' * depth}'a'{']' * depth}" for depth in (150, 5000)]
    + ["not " * 10_000 + "x", "['a" + "\\" * 9999],
)
def test_what_is_no_list_of_tests_is_refused(given: str) -> None:
    """Nothing is executed, and nesting ends in a reason."""
    with pytest.raises(UnusableRow):
        names({"F": given}, "F")


def test_literals_are_bounded() -> None:
    """Python's parser gets neither calls, nor operators, nor very long texts."""
    for given in ("open('x')", "1+1", "a", "[", "'" + 5_000_000 * "x" + "', y"):
        with pytest.raises(Malformed):
            read_literal(given)


def test_texts_of_other_kinds() -> None:
    """Numbers, dates and bytes are texts; lists are not."""
    assert text({"a": 3}, "a") == "3"
    assert text({"a": "é".encode()}, "a") == "é"
    for odd in (b"\xff", ["a"], {"a": "b"}, NAN):
        with pytest.raises(UnusableRow):
            text(without_nan({"a": odd}), "a")


ENDING = "@@ -1,3 +1,4 @@\n a\n+b\n \n \n"


@pytest.mark.parametrize("patch", [dataset_rows.PATCH, dataset_rows.TEST_PATCH])
@pytest.mark.parametrize("lost", [str, str.strip, lambda text: text.replace("\n", "\r\n")])
def test_a_patch_gets_back_what_conversions_took(patch: str, lost: Callable[[str], str]) -> None:
    """A lost last newline, lost blank lines of context, and line ends of Windows."""
    assert fit(lost(patch), "patch") == patch
    whole = patch.partition("@@")[0] + ENDING
    assert fit(lost(whole), "patch") == whole


@pytest.mark.parametrize(
    "patch",
    [
        HEADLESS,
        "see the pull request",
        dataset_rows.PATCH.replace("@@ -", "@@ x"),
        dataset_rows.PATCH.partition("@@")[0],
        dataset_rows.PATCH.replace("@@ -", "@@ -1,99 +1,99 @@\n@@ -"),
        "+\n" * 300_000,
    ],
)
def test_what_is_no_patch_is_refused(patch: str) -> None:
    """git would call them corrupt, or skip a part."""
    with pytest.raises(UnusableRow):
        fit(patch, "patch")


def test_what_is_a_patch_without_hunks_is_kept() -> None:
    """Binary diffs, renames, modes, and empty files."""
    head = "diff --git a/x b/x\n"
    for rest in ("new file mode 100644\n", "old mode 100644\nnew mode 100755\n",
                 "index 1..2 100644\nGIT binary patch\nliteral 1\nIcmZPo\n\nliteral 0\nHcmV\n\n-a\n+b\n"):  # fmt: skip # noqa: E501
        assert fit(head + rest, "patch") == head + rest


def test_a_task_of_the_file_is_counted(tmp_path: Path) -> None:
    """Rows twice in a file, or imported before, are known."""
    out = tmp_path / "tasks.jsonl"
    first = imported([dataset_rows.GYM, dataset_rows.GYM], out, "swe-gym")
    second = imported([dataset_rows.GYM], out, "swe-gym")
    assert ((first.tasks, first.known), (second.tasks, second.known)) == ((1, 1), (0, 1))
    assert first.refused == Counter()
