"""Counts attempts and their outcomes by family, by exit reason and in total."""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median

from pydantic import Field
from rich.table import Table
from rich.text import Text

from forager.evaluation.estimates import wilson
from forager.records import Record
from forager.trajectories.draw import safe, short
from forager.trajectories.summary import Summary
from forager.trajectories.tokens import TokenCheck

_SUSPECTS = 20  # listed


class ReportRow(Record):
    """The totals and medians of a group of attempts."""

    name: str
    model: str = Field("", description="The model; empty if the row is about all of them.")
    tasks: int
    tasks_resolved: int
    attempts: int
    resolved: int
    suspect: int
    share: float
    share_low: float
    share_high: float
    turns_median: float
    seconds_median: float
    tokens: int


class SuspectAttempt(Record):
    """An attempt that passes all tests with code that only a forger of results needs."""

    id: str
    accepted: bool
    reasons: str


class AttemptReport(Record):
    """The counts that `forager report` prints, and the suspect attempts.

    Rows are by model if there are several; `models` and `total` are about all families.
    """

    models: list[ReportRow] = []
    families: list[ReportRow]
    exit_reasons: list[ReportRow]
    causes: list[ReportRow] = []
    total: ReportRow
    suspects: list[SuspectAttempt] = []


def report(summaries: Iterable[Summary]) -> AttemptReport:
    """Count attempts by model, by the family of their task and by exit reason."""
    models, families, reasons, causes = (_tallies() for _ in range(4))
    total = Tally()
    suspects: list[SuspectAttempt] = []
    for summary in summaries:
        if summary.suspect:
            suspects.append(
                SuspectAttempt(id=summary.id, accepted=summary.resolved, reasons=summary.suspect)
            )
        model = summary.model
        for tally in (
            models[model, model],
            families[model, summary.family],
            reasons[model, summary.exit_reason],
            total,
        ):
            tally.add(summary)
        if summary.cause_kind:
            causes[model, summary.cause_kind].add(summary)
    several = len(models) > 1
    return AttemptReport(
        models=[models[key].row(key[1]) for key in sorted(models)],
        families=[families[key].row(key[1], key[0] * several) for key in sorted(families)],
        exit_reasons=_most_first(reasons, several=several),
        causes=_most_first(causes, several=several),
        total=total.row("all"),
        suspects=suspects,
    )


def _tallies() -> "defaultdict[tuple[str, str], Tally]":
    """Tallies by model and name."""
    return defaultdict(Tally)


def _most_first(tallies: "dict[tuple[str, str], Tally]", *, several: bool) -> list[ReportRow]:
    """The rows, by model if there are several, the most frequent first."""
    ordered = sorted(tallies.items(), key=lambda item: (item[0][0], -item[1].attempts))
    return [tally.row(name, model * several) for (model, name), tally in ordered]


def _by_model(table: Table, rows: Sequence[ReportRow]) -> Callable[[ReportRow], list[Text]]:
    """Give a table a column for the model if there are several; return what fills it."""
    several = any(row.model for row in rows)
    if several:
        table.add_column("model", overflow="fold")
    return lambda row: [Text(safe(row.model or "all"))] * several


def family_table(counted: AttemptReport) -> Table:
    """The table of families, with the total in the last row."""
    several = counted.total.attempts > counted.total.tasks
    table = Table(
        box=None,
        pad_edge=False,
        caption="95 % intervals treat attempts at one task as independent" if several else None,
        caption_justify="left",
    )
    model = _by_model(table, counted.families)
    table.add_column("family")
    for name in ("tasks", "attempts", "resolved", "share (95 %)", "turns", "seconds", "tokens"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in counted.families:
        table.add_row(*model(row), *_cells(row))
    if len(counted.families) != 1:
        table.add_section()
        for row in counted.models if len(counted.models) > 1 else ():
            cells = _cells(row.model_copy(update={"name": "all"}))
            table.add_row(Text(safe(row.name)), *cells, style="bold")
        table.add_row(*model(counted.total), *_cells(counted.total), style="bold")
    return table


def reason_table(counted: AttemptReport) -> Table:
    """The table of exit reasons."""
    table = Table(box=None, pad_edge=False)
    model = _by_model(table, counted.exit_reasons)
    table.add_column("exit reason")
    for name in ("attempts", "resolved", "turns", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in counted.exit_reasons:
        table.add_row(
            *model(row),
            Text(row.name),
            f"{row.attempts:,}",
            f"{row.resolved:,}",
            f"{row.turns_median:g}",
            f"{row.seconds_median:.1f}",
        )
    return table


def cause_table(counted: AttemptReport) -> Table:
    """The table of what made attempts fail."""
    table = Table(box=None, pad_edge=False)
    model = _by_model(table, counted.causes)
    table.add_column("failed because of")
    table.add_column("attempts", justify="right", no_wrap=True)
    for row in counted.causes:
        table.add_row(*model(row), Text(row.name), f"{row.attempts:,}")
    return table


def suspect_table(counted: AttemptReport) -> Table:
    """The table of the first suspect attempts, with their reasons and how to accept one."""
    suspects = counted.suspects
    accepted = sum(suspect.accepted for suspect in suspects)
    table = Table(
        box=None,
        pad_edge=False,
        title=f"suspect: {len(suspects):,}, of which {accepted:,} accepted",
        title_justify="left",
        caption="`forager list RUN --suspect` lists all; `forager replay RUN/ID` shows one, and "
        "--accept accepts it.",
        caption_justify="left",
    )
    table.add_column("suspect attempt", overflow="fold")
    table.add_column("accepted")
    table.add_column("reasons", overflow="fold")
    for suspect in suspects[:_SUSPECTS]:
        word = "yes" if suspect.accepted else "no"
        table.add_row(Text(safe(suspect.id)), word, Text(safe(suspect.reasons)))
    return table


def token_tables(checked: TokenCheck) -> Iterator[Table]:
    """The tables of `forager tokens`: the counts, then the first attempts with rewrites if any."""
    table = Table(box=None, pad_edge=False)
    for name in ("", "all", "with ids", "rewritten"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name in ("attempts", "calls"):
        counts = (getattr(checked, name + end) for end in ("", "_with_ids", "_rewritten"))
        table.add_row(name, *(f"{count:,}" for count in counts))
    table.add_row("sequences", f"{checked.sequences:,}")
    table.add_row("ids", f"{checked.ids:,}")
    table.add_row("ids sampled", f"{checked.ids_sampled:,}")
    yield table
    if checked.first:
        places = Table(box=None, pad_edge=False, title="\nfirst rewrites", title_justify="left")
        places.add_column("id", overflow="fold")
        for name in ("rewrites", "first in turn", "after id", "which is in"):
            places.add_column(name, justify="right", no_wrap=True)
        for rewrite in checked.first:
            where = "the last answer" if rewrite.shared >= rewrite.prompt else "older history"
            cells = (f"{rewrite.rewrites:,}", str(rewrite.call + 1), f"{rewrite.shared:,}", where)
            places.add_row(Text(rewrite.id), *cells)
        yield places


class Tally:
    """Counts attempts; keeps the turns and seconds of each for the medians."""

    def __init__(self) -> None:
        self.attempts = 0
        self._resolved: defaultdict[str, int] = defaultdict(int)  # by task
        self._turns, self._seconds = array("I"), array("d")
        self._suspect = self._tokens = 0

    def add(self, summary: Summary) -> None:
        """Count an attempt."""
        self.attempts += 1
        self._resolved[summary.instance_id] += summary.resolved
        self._turns.append(summary.turns)
        self._seconds.append(summary.seconds)
        self._suspect += bool(summary.suspect)
        self._tokens += summary.tokens

    def row(self, name: str, model: str = "") -> ReportRow:
        """The counts as a row."""
        resolved = sum(self._resolved.values())
        low, high = wilson(resolved, self.attempts)
        return ReportRow(
            name=name,
            model=model,
            tasks=len(self._resolved),
            tasks_resolved=sum(count > 0 for count in self._resolved.values()),
            attempts=self.attempts,
            resolved=resolved,
            suspect=self._suspect,
            share=resolved / self.attempts if self.attempts else 0.0,
            share_low=low,
            share_high=high,
            turns_median=median(self._turns or [0]),
            seconds_median=median(self._seconds or [0.0]),
            tokens=self._tokens,
        )


def _cells(row: ReportRow) -> list[Text]:
    share = f"{row.share:.0%} ({row.share_low * 100:.0f}–{row.share_high * 100:.0f})"
    texts = [
        row.name,
        f"{row.tasks:,}",
        f"{row.attempts:,}",
        f"{row.resolved:,}",
        share.replace("%", " %"),
        f"{row.turns_median:g}",
        f"{row.seconds_median:.1f}",
        short(row.tokens),
    ]
    return [Text(text) for text in texts]
