"""The rounds of a bootstrap side by side: as tables, Markdown, JSON and a curve."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

from forager import __version__
from forager.evaluation.estimates import Estimate, wilson
from forager.evaluation.findings.grid import Cell, Column, Findings, Grid, number, share, text
from forager.learning.bootstrap.lineage import Evaluated, Round, Stage
from forager.trajectories.store import Run

_STAGES = ("attempts", "teach", "filter", "dataset", "train", "serve", "evaluate")


def rounds_report(
    output: Path, base: Evaluated, rounds: Sequence[Round], stages: Sequence[Stage]
) -> Findings:
    """All tables of a bootstrap."""
    grids = [
        _success(base, rounds),
        _families([base, *_candidates(rounds)]),
        _learnt(rounds),
        _drops(rounds),
        _spent(stages),
    ]
    return Findings(
        runs=[output.name],
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        grids=[grid for grid in grids if grid.rows],
    )


def _success(base: Evaluated, rounds: Sequence[Round]) -> Grid:
    first: list[Cell] = [base.model.name, *_ends(base.success), None, None, None, base.model.name]
    rows = [first]
    for each in rounds:
        name, nothing = each.current.model.name, [None] * 7
        if each.candidate is None or each.gate is None:
            rows.append([f"round-{each.number}", *nothing, f"{name} (no attempt was kept)"])
            continue
        gain = each.gate.gain
        rows.append(
            [
                each.candidate.model.name,
                *_ends(each.candidate.success),
                gain.mean,
                gain.low,
                gain.high,
                name + ("" if each.gate.accepted else " (rolled back)"),
            ]
        )
    return Grid(
        name="success",
        title="Success on the held-out tasks",
        note="Gain: over the model that was current, task by task. Intervals are of means over "
        "tasks, clustered by function or repository (arXiv 2411.00640).",
        columns=[
            text("model"),
            Column(title="tasks"),
            *map(share, ("share", "low", "high", "gain", "gain low", "gain high")),
            text("current then"),
        ],
        rows=rows,
    )


def _candidates(rounds: Sequence[Round]) -> list[Evaluated]:
    return [each.candidate for each in rounds if each.candidate]


def _ends(success: Estimate) -> list[Cell]:
    return [success.tasks, success.mean, max(0.0, success.low), min(1.0, success.high)]


def _families(evaluated: Sequence[Evaluated]) -> Grid:
    """The held-out success of each model by family."""
    found: defaultdict[tuple[str, str], list[bool]] = defaultdict(list)
    for each in evaluated:
        for one in Run(Path(each.run.path)).summaries():
            found[one.family, each.model.name].append(one.resolved)
    rows: list[list[Cell]] = []
    for family, name in sorted(found, key=lambda key: key[0]):
        resolved = found[family, name]
        low, high = wilson(sum(resolved), len(resolved))
        rows.append([family, name, len(resolved), sum(resolved), fmean(resolved), low, high])
    return Grid(
        name="families",
        title="Held-out success by family",
        note="Intervals are Wilson's; they take attempts as independent.",
        columns=[
            text("family"),
            text("model"),
            Column(title="attempts"),
            Column(title="resolved"),
            *map(share, ("share", "low", "high")),
        ],
        rows=rows,
    )


def _learnt(rounds: Sequence[Round]) -> Grid:
    """What each round attempted and learnt from."""
    rows: list[list[Cell]] = []
    for each in rounds:
        made, data, training = each.attempts, each.dataset, each.training
        rows.append(
            [
                each.number,
                each.policy.name,
                made.attempts,
                made.resolved,
                made.resolved / made.attempts if made.attempts else None,
                each.taught.attempts if each.taught else None,
                each.taught.resolved if each.taught else None,
                each.kept.attempts,
                data.samples if data else 0,
                data.trained if data else 0,
                each.init.name,
                training.steps if training else 0,
                training.tokens if training else 0,
            ]
        )
    return Grid(
        name="learnt",
        title="What each round learnt from",
        columns=[
            Column(title="round"),
            text("attempts by"),
            Column(title="attempts"),
            Column(title="resolved"),
            share("share"),
            Column(title="taught"),
            Column(title="of these resolved"),
            Column(title="kept"),
            Column(title="samples"),
            Column(title="trained tokens", kind="tokens"),
            text("trained from"),
            Column(title="steps"),
            Column(title="tokens seen", kind="tokens"),
        ],
        rows=rows,
    )


def _drops(rounds: Sequence[Round]) -> Grid:
    rows: list[list[Cell]] = [
        [each.number, count.name, count.given, count.dropped, count.changed]
        for each in rounds
        for count in each.filtering.counts
    ]
    titles = ("came", "dropped", "changed")
    return Grid(
        name="drops",
        title="Drops by filter",
        columns=[Column(title="round"), text("filter"), *(Column(title=one) for one in titles)],
        rows=rows,
    )


def _spent(stages: Iterable[Stage]) -> Grid:
    """Seconds and tokens of each stage; one that was cut off and gone on with adds up."""
    groups: defaultdict[tuple[int, str], list[Stage]] = defaultdict(list)
    for one in stages:
        groups[one.round, one.stage].append(one)
    order = sorted(groups, key=lambda key: (key[0], _STAGES.index(key[1])))
    rows: list[list[Cell]] = []
    for key in order:
        each = groups[key]
        shares = [one.overhead for one in each if one.overhead is not None]
        seconds, tokens = sum(one.seconds for one in each), sum(one.tokens for one in each)
        name = str(key[0]) if key[0] >= 0 else "base"
        rows.append([name, key[1], seconds, tokens or None, shares[-1] if shares else None])
    return Grid(
        name="stages",
        title="Seconds and tokens of each stage",
        note="Overhead: the share of the workers' time that neither model nor commands nor "
        "tests took. What a killed process had spent is not counted.",
        columns=[
            text("round"),
            text("stage"),
            number("seconds"),
            Column(title="tokens", kind="tokens"),
            share("overhead"),
        ],
        rows=rows,
    )


def draw_curve(path: Path, base: Evaluated, rounds: Sequence[Round]) -> None:
    """Draw the held-out success over the rounds, with its intervals, as SVG."""
    from matplotlib.figure import Figure

    tried = [(each, each.candidate) for each in rounds if each.candidate]
    names = ["base", *(str(each.number) for each, _ in tried)]
    found = [base.success, *(candidate.success for _, candidate in tried)]
    kept = [True, *(each.current == candidate for each, candidate in tried)]
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(names, [each.mean for each in found], color="#3b6fb6", zorder=1)
    for name, each, accepted in zip(names, found, kept, strict=True):
        low, high = each.mean - max(0.0, each.low), min(1.0, each.high) - each.mean
        axes.errorbar(
            name,
            each.mean,
            yerr=[[low], [high]],
            color="#3b6fb6" if accepted else "#b9483b",
            fmt="o" if accepted else "x",
            capsize=4,
        )
    axes.set(xlabel="round (x: rolled back)", ylabel=f"resolved of {found[0].tasks} held-out tasks")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="svg", metadata={"Date": None})
