"""Writes a report as an HTML page, Markdown or JSON."""

import json
import re
from collections.abc import Callable, Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from forager.atomic import replace_text
from forager.errors import UsageError
from forager.evaluation.findings.calls import CallCount
from forager.evaluation.findings.compute import findings
from forager.evaluation.findings.excerpts import Excerpt, excerpts
from forager.evaluation.findings.gather import ReportedAttempt, RunSource, gather
from forager.evaluation.findings.grid import Findings, Grid, written
from forager.text import json_text, safe


def lacking_for_page() -> str:
    """The package that a page needs and that is not installed; empty if there is none."""
    return next((name for name in ("matplotlib", "jinja2") if not find_spec(name)), "")


def write_report(sources: Sequence[RunSource], path: Path, count: int) -> None:
    """Write the report on these attempts in the format of the path's suffix.

    A page shows `count` attempts. Raises UsageError and StoreError.
    """
    write = _WRITERS.get(path.suffix)
    if write is None:
        raise UsageError(f"a report is written to .html, .md or .json, not to {path.name}")
    if path.suffix == ".json" and not _may_replace(path):
        raise UsageError(f"{path} is there already and no report; name another file")
    calls = CallCount()
    seen = list(gather(sources, calls))
    if not seen:
        raise UsageError("there are no attempts to report on")
    found = findings([source.name for source in sources], seen, calls)
    text = write(found, sources, seen, count)
    replace_text(path, text)


def _may_replace(path: Path) -> bool:
    """Whether a file is not there, empty, or a report."""
    try:
        text = path.read_text(encoding="utf-8")
        return not text or "tables" in json.loads(text)
    except FileNotFoundError:
        return True
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def markdown(found: Findings) -> str:
    """The tables as Markdown."""
    lines = [
        f"# Report on {_escaped(', '.join(found.runs))}",
        "",
        f"{found.made_at}, forager {found.version}",
    ]
    for grid in found.grids:
        lines += ["", f"## {grid.title}", "", *([grid.note, ""] if grid.note else []), *_rows(grid)]
    return "\n".join(lines) + "\n"


def _rows(grid: Grid) -> list[str]:
    rows = [
        [_escaped(written(cell, column)) for cell, column in zip(row, grid.columns, strict=True)]
        for row in grid.rows
    ]
    titles = [column.title for column in grid.columns]
    rules = ["---" if column.kind == "text" else "---:" for column in grid.columns]
    return [f"| {' | '.join(row)} |" for row in (titles, rules, *rows)]


def _escaped(text: str) -> str:
    """The text in one line, as Markdown shows it without reading it."""
    return re.sub(r"[\\|<>*`\[\]_~&!#]", r"\\\g<0>", " ".join(safe(text).split()))


def as_json(found: Findings) -> str:
    """The tables as JSON, with their names as keys."""
    value = found.model_dump(exclude={"grids"})
    value["tables"] = {
        grid.name: {"title": grid.title, "note": grid.note, "rows": grid.values()}
        for grid in found.grids
    }
    return json_text(value) + "\n"


def _json(
    found: Findings, sources: Sequence[RunSource], seen: Sequence[ReportedAttempt], count: int
) -> str:
    del sources, seen, count
    return as_json(found)


def _markdown(
    found: Findings, sources: Sequence[RunSource], seen: Sequence[ReportedAttempt], count: int
) -> str:
    del sources, seen, count
    return markdown(found)


def _page(
    found: Findings, sources: Sequence[RunSource], seen: Sequence[ReportedAttempt], count: int
) -> str:
    """One self-contained HTML page."""
    from jinja2 import Environment, StrictUndefined

    from forager.evaluation.findings.plots import plots

    shown = excerpts(sources, seen, count)
    place = resources.files(__package__)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True, finalize=_plain)  # fmt: skip
    environment.filters["links"] = _links(
        {(excerpt.run, excerpt.id): excerpt.anchor for excerpt in shown}
    )
    template = environment.from_string(place.joinpath("page.html").read_text("utf-8"))
    totals: dict[str, Any] = {
        "attempts": len(seen),
        "tasks": len({attempt.summary.instance_id for attempt in seen}),
        "resolved": sum(attempt.summary.resolved for attempt in seen),
        "suspect": sum(bool(attempt.summary.suspect) for attempt in seen),
    }
    return template.render(
        found=found, plots=plots(found, seen), shown=shown, written=written, **totals
    )


def _plain(value: object) -> object:
    """What the page writes for a value: text without control characters; markup is not `str`."""
    return safe(value) if type(value) is str else value


def _links(anchors: dict[tuple[str, str], str]) -> Callable[[str, str], list[tuple[str, str]]]:
    """Make the filter that turns attempts in a cell (NUMBER@RUN …) into words with anchors."""

    def links(cell: str, task: str) -> list[tuple[str, str]]:
        words = [word.partition("@") for word in cell.split()]
        return [
            (f"{number}@{run}", anchors.get((run, f"{task}.{number}"), ""))
            for number, _, run in words
        ]

    return links


Writer = Callable[[Findings, Sequence[RunSource], Sequence[ReportedAttempt], int], str]
_WRITERS: dict[str, Writer] = {".html": _page, ".md": _markdown, ".json": _json}

__all__ = ["Excerpt", "as_json", "markdown", "write_report"]
