import json
import random
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from attempts import Settings, make_attempt, make_task
from click.testing import CliRunner, Result

from forager.cli.main import main
from forager.evaluation.estimates import pass_at_k
from forager.evaluation.findings.calls import CallCount
from forager.evaluation.findings.compute import findings
from forager.evaluation.findings.gather import ReportedAttempt, RunSource, gather
from forager.evaluation.findings.grid import (
    Cell,
    Findings,
    GridColumn,
    number,
    share,
    text,
    written,
)
from forager.rollout.settings import RunSettings
from forager.trajectories.record import ToolCall, Trajectory, Usage
from forager.trajectories.store import Run

HOSTILE = "</script><script>alert(1)</script>&<b>"


def attempt(name: str, number: int, resolved: bool = True, **update: Any) -> Trajectory:
    """A made-up attempt."""
    made = make_attempt(name, number, resolved=resolved, seconds=10.0 + number)
    return made.model_copy(update=update)


def refused() -> Trajectory:
    """An attempt whose first call was refused, second timed out and third was unreadable."""
    made = attempt("c", 0, False)
    first, second, third, *rest = made.tool_calls
    calls = [
        first.model_copy(update={"error": True, "tool": "edit", "reason": "ambiguous"}),
        second.model_copy(update={"timed_out": True, "exit_code": None, "omitted": 5}),
        ToolCall(message=third.message, tool="", error=True, reason="unknown_tool"),
        *rest,
    ]
    return made.model_copy(update={"tool_calls": calls})


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two rounds at tasks a, b and c; the second has prices and text hostile to a page."""
    first, second = tmp_path / "one", tmp_path / "two"
    tasks = [make_task(name) for name in "abc"]
    with Run.write(first, Settings(), tasks) as writer:
        for number in range(4):
            writer.append(attempt("a", number, number == 0))
        writer.append(attempt("b", 0, False))
        writer.append(refused())
    priced = RunSettings.model_validate(
        {"models": ["repair"], "budget": {"prices": {"repair": {"prompt": 1000}}}}
    )
    with Run.write(second, priced, tasks) as writer:
        writer.append(attempt("b", 0))
        hostile = make_attempt("a", 0, exit_reason=HOSTILE, steps=[(HOSTILE, "bash",
                               {"command": HOSTILE}, HOSTILE * 1000)])  # fmt: skip
        writer.append(hostile.model_copy(update={"parent": "one/a.0", "parent_turn": 2}))
    return [first, second]


def cost(_: str, usage: Usage) -> float:
    """A price for all models."""
    return usage.prompt_tokens / 1000


def read(runs: list[Path]) -> tuple[Findings, list[ReportedAttempt]]:
    """The tables of the runs."""
    calls = CallCount()
    indexes = [Run(run).index() for run in runs]
    sources = [RunSource(run.name, index, cost) for run, index in zip(runs, indexes, strict=True)]
    seen = list(gather(sources, calls))
    for index in indexes:
        index.close()
    return findings([run.name for run in runs], seen, calls), seen


def rows(found: Findings, name: str) -> list[dict[str, Any]]:
    """The rows of a table."""
    grid = found.grid(name)
    return grid.values() if grid else []


def report(*arguments: str | Path) -> Result:
    """`forager report` in this process."""
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


@pytest.mark.parametrize(("n", "c"), [(1, 0), (1, 1), (5, 0), (5, 2), (6, 3), (6, 6)])
def test_pass_at_k_is_the_share_of_subsets_with_a_success(n: int, c: int) -> None:
    """pass@k equals the share of subsets of k attempts with a success (Chen et al.)."""
    outcomes = [number < c for number in range(n)]
    for k in range(1, n + 1):
        subsets = [any(subset) for subset in combinations(outcomes, k)]
        assert pass_at_k(n, c, k) == pytest.approx(sum(subsets) / len(subsets))


def test_pass_at_k_is_unbiased() -> None:
    """The mean of pass@k over many samples is the true probability."""
    draw = random.Random(7)
    drawn = [sum(draw.random() < 0.3 for _ in range(8)) for _ in range(4000)]
    assert sum(pass_at_k(8, c, 4) for c in drawn) / 4000 == pytest.approx(1 - 0.7**4, abs=0.01)


def test_attempts_are_counted_in_every_way(runs: list[Path]) -> None:
    """Runs keep their order; each group has a Wilson interval and its money."""
    found, _ = read(runs)
    assert [(row["run"], row["attempts"], row["resolved"]) for row in rows(found, "runs")] == [
        ("one", 6, 1), ("two", 2, 2)]  # fmt: skip
    (family,) = rows(found, "families")
    assert (family["family"], family["tasks"], family["attempts"]) == ("operators", 3, 8)
    assert (family["low"], family["share"], family["high"]) == pytest.approx(
        (0.137, 0.375, 0.694), abs=1e-3)  # fmt: skip
    assert family["money"] == 8 * 6.0
    assert [row["number"] for row in rows(found, "attempt_numbers")] == ["0", "1", "2", "3"]
    assert {row["exit reason"] for row in rows(found, "exit_reasons")} == {"submitted", HOSTILE}


def test_attempts_at_one_task_are_compared(runs: list[Path]) -> None:
    """The report has pass@k, the agreement of attempts, and tasks with both outcomes."""
    found, _ = read(runs[:1])
    assert [(row["k"], row["tasks"], row["pass@k"]) for row in rows(found, "pass_at_k")] == [
        (1, 3, pytest.approx(0.25 / 3)), (2, 1, 0.5), (4, 1, 1.0)]  # fmt: skip
    assert rows(found, "agreement") == [{"attempts": 4, "resolved": 1, "tasks": 1}]
    grid = found.grid("agreement")
    assert grid and grid.note == (
        "Of 6 pairs of attempts at the same task 50 % have the same outcome and 50 % the same "
        "patch."
    )
    (mixed,) = rows(found, "mixed")
    assert (mixed["task"], mixed["patches"], mixed["resolved by"]) == ("a", 2, "0@one")
    assert mixed["not by"] == "1@one 2@one 3@one"


def test_runs_are_compared_at_the_tasks_that_they_share(runs: list[Path]) -> None:
    """Runs compare by shares of resolved attempts, with a sign test."""
    (row,) = rows(read(runs)[0], "rounds")
    assert (row["before"], row["after"], row["tasks"]) == ("one", "two", 2)
    assert (row["share before"], row["share after"]) == (0.125, 1.0)
    assert (row["better"], row["worse"], row["p"]) == (2, 0, 0.5)


def test_errors_of_tools_are_counted_by_kind(runs: list[Path]) -> None:
    """Errors count by the reason that the tool or the parser of calls gave."""
    found, _ = read(runs)
    tools = {row["tool"]: row for row in rows(found, "tools")}
    assert tools["edit"]["refused"] == 1
    assert tools["(unreadable)"]["refused"] == 1
    assert (tools["bash"]["timed out"], tools["bash"]["output cut"]) == (1, 1)
    kinds = {row["tool"]: (row["kind"], row["calls"]) for row in rows(found, "tool_errors")}
    assert kinds["edit"] == ("ambiguous", 1)
    assert kinds["(unreadable)"] == ("unknown_tool", 1)


@pytest.mark.parametrize(
    ("cell", "column", "expected"),
    [
        (0.125, share("s"), "12.5 %"),
        (None, share("s"), ""),
        (1234.5, number("n"), "1,234"),
        (0.01234, number("n"), "0.0123"),
        (0.5, GridColumn(title="m", kind="money"), "0.50"),
        (12_345, GridColumn(title="t", kind="tokens"), "12.3k"),
        ("x", text("t"), "x"),
    ],
)
def test_cells_are_written_for_people(cell: Cell, column: GridColumn, expected: str) -> None:
    """Each kind of cell has its format; unknown values are empty."""
    assert written(cell, column) == expected


class Page(HTMLParser):
    """The contents of a page: ids, links, resources to fetch, texts of tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.scripts = self.attempts = self.plots = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.scripts += tag == "script"
        self.plots += tag == "svg"
        self.attempts += tag == "details"
        if values.get("id") and tag in ("details", "h2"):
            self.ids.append(str(values["id"]))
        if tag == "a":
            self.links.append(str(values.get("href")))
        self.fetched += [str(values[name]) for name in ("src", "srcset", "data") if name in values]
        self.fetched += [str(values.get("href"))] * (tag == "link")


def test_the_page_needs_nothing_but_itself(runs: list[Path], tmp_path: Path) -> None:
    """The page fetches nothing, its links resolve, and attempts' text is escaped."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "reports" / "report.html"
    assert report(*runs, "-o", path).exit_code == 0
    html = path.read_text()
    page = Page(html)
    assert page.fetched == []
    assert page.scripts == 1  # its own
    assert page.attempts == 8
    assert page.plots >= 3
    assert len(set(page.ids)) == len(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert "#attempt-one-a.0" in page.links  # of the table of tasks with both outcomes
    assert "one/a.0, at turn 2" in html
    assert "characters left out" in html
    assert "url(http" not in html and "@import" not in html


def test_the_page_has_a_sane_size(runs: list[Path], tmp_path: Path) -> None:
    """The page shows the requested number of attempts and names the total."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "report.html"
    report(*runs, "-o", path, "--sample", "2")
    html = path.read_text()
    assert Page(html).attempts == 2
    assert "2 of 8 attempts" in html
    report(*runs, "-o", path, "--sample", "0")
    assert Page(path.read_text()).attempts == 0


def test_the_same_as_markdown_and_json(runs: list[Path], tmp_path: Path) -> None:
    """Markdown and JSON have the page's tables: JSON raw values, Markdown escaped names."""
    assert report(*runs, "-o", tmp_path / "r.json").exit_code == 0
    tables = json.loads((tmp_path / "r.json").read_text())["tables"]
    assert tables["runs"]["rows"][1]["money"] == 2 * 6.0  # by the run's own prices
    assert tables["runs"]["rows"][0]["money"] == 0
    assert report(*runs, "-o", tmp_path / "r.md").exit_code == 0
    lines = (tmp_path / "r.md").read_text().splitlines()
    assert "# Report on one, two" in lines
    assert [line for line in lines if line.startswith("## ")] == [
        f"## {table['title']}" for table in tables.values()
    ]
    assert "\\<script\\>" in "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "message"),
    [("r.txt", "a report is written to .html, .md or .json, not to r.txt"), ("r", "not to r")],
)
def test_another_suffix_is_a_mistake(runs: list[Path], name: str, message: str) -> None:
    """Another suffix gives one line of error."""
    result = report(*runs, "-o", name)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr


def test_nothing_is_no_report(tmp_path: Path) -> None:
    """A run without attempts gives one line of error."""
    Run.write(tmp_path / "run", Settings(), []).close()
    result = report(tmp_path / "run", "-o", tmp_path / "r.md")
    assert (result.exit_code, "there are no attempts" in result.stderr) == (2, True)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium (Debian's package)")
def test_the_page_works_in_a_browser(runs: list[Path], tmp_path: Path) -> None:
    """A link opens its attempt; clicking a title sorts, and clicking again reverses."""
    path = tmp_path / "report.html"
    report(*runs, "-o", path)
    click = "<script>document.querySelectorAll('#runs ~ .wide th button').forEach((b, n) => { "
    click += "if (n == 2) { b.click(); b.click(); } })</script></body>"
    path.write_text(path.read_text().replace("</body>", click))
    assert CHROMIUM
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"{path.as_uri()}#attempt-two-a.0"]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    opened = [line for line in dom.splitlines() if "<details" in line and "open" in line]
    assert [line.split('id="')[1].split('"')[0] for line in opened] == ["attempt-two-a.0"]
    assert 'aria-sort="ascending"' in dom
    body = dom[dom.index('id="runs"') :].split("<tbody>")[1]
    assert body.index(">two<") < body.index(">one<")  # 2 attempts before 6


def test_money_is_by_the_prices_of_the_run(runs: list[Path]) -> None:
    """Each attempt costs by its own model and tokens."""
    _, seen = read(runs[1:])
    assert [attempt.money for attempt in seen] == [
        Usage(prompt_tokens=6000).prompt_tokens / 1000
    ] * 2
    assert len({attempt.patch for attempt in seen}) == 1  # both were resolved by the same
