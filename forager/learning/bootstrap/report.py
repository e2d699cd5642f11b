"""Report of a bootstrap: its rounds in comparison, as tables, Markdown, JSON and a curve."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

from forager.evaluation.estimates import Estimate, wilson
from forager.evaluation.findings.grid import Cell, Findings, Grid, GridColumn, number, share, text
from forager.learning.bootstrap.manifest import Evaluation, Round, Stage
from forager.trajectories.store import Run
from forager.version import VERSION

_STAGES = ("attempts", "teach", "filter", "dataset", "train", "serve", "evaluate")


def rounds_report(
    output: Path, base: Evaluation, rounds: Sequence[Round], stages: Sequence[Stage]
) -> Findings:
    """The tables of a bootstrap."""
    grids = [
        _success(base, rounds),
        _families([base, *_candidates(rounds)]),
        _learned(rounds),
        _drops(rounds),
        _costs(stages),
    ]
    return Findings(
        runs=[output.name],
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=VERSION,
        grids=[grid for grid in grids if grid.rows],
    )


def _success(base: Evaluation, rounds: Sequence[Round]) -> Grid:
    first: list[Cell] = [base.model.name, *_ends(base.success), None, None, None, base.model.name]
    rows = [first]
    for made in rounds:
        name, nothing = made.current.model.name, [None] * 7
        if made.candidate is None or made.promotion is None:
            rows.append([f"round-{made.number}", *nothing, f"{name} (no attempt was kept)"])
            continue
        gain = made.promotion.gain
        rows.append(
            [
                made.candidate.model.name,
                *_ends(made.candidate.success),
                gain.mean,
                gain.low,
                gain.high,
                name + ("" if made.promotion.accepted else " (rolled back)"),
            ]
        )
    return Grid(
        name="success",
        title="Success on the held-out tasks",
        note="Gain: over the model that was current, paired by task. Intervals are for means over "
        "tasks, clustered by function or repository (arXiv 2411.00640).",
        columns=[
            text("model"),
            GridColumn(title="tasks"),
            *map(share, ("share", "low", "high", "gain", "gain low", "gain high")),
            text("current then"),
        ],
        rows=rows,
    )


def _candidates(rounds: Sequence[Round]) -> list[Evaluation]:
    return [made.candidate for made in rounds if made.candidate]


def _ends(success: Estimate) -> list[Cell]:
    return [success.tasks, success.mean, max(0.0, success.low), min(1.0, success.high)]


def _families(evaluated: Sequence[Evaluation]) -> Grid:
    """Success of each model on the held-out tasks, by family."""
    found: defaultdict[tuple[str, str], list[bool]] = defaultdict(list)
    for evaluation in evaluated:
        for attempt in Run(Path(evaluation.run.path)).summaries():
            found[attempt.family, evaluation.model.name].append(attempt.resolved)
    rows: list[list[Cell]] = []
    for family, name in sorted(found, key=lambda key: key[0]):
        resolved = found[family, name]
        low, high = wilson(sum(resolved), len(resolved))
        rows.append([family, name, len(resolved), sum(resolved), fmean(resolved), low, high])
    return Grid(
        name="families",
        title="Held-out success by family",
        note="Wilson intervals, which treat attempts as independent.",
        columns=[
            text("family"),
            text("model"),
            GridColumn(title="attempts"),
            GridColumn(title="resolved"),
            *map(share, ("share", "low", "high")),
        ],
        rows=rows,
    )


def _learned(rounds: Sequence[Round]) -> Grid:
    """Attempts and training data of each round."""
    rows: list[list[Cell]] = []
    for made in rounds:
        run, data, training = made.attempts, made.dataset, made.training
        rows.append(
            [
                made.number,
                made.policy.name,
                run.attempts,
                run.resolved,
                run.resolved / run.attempts if run.attempts else None,
                run.suspect,
                made.taught.attempts if made.taught else None,
                made.taught.resolved if made.taught else None,
                made.kept.attempts,
                data.samples if data else 0,
                data.trained if data else 0,
                made.init.name,
                training.steps if training else 0,
                training.tokens if training else 0,
            ]
        )
    return Grid(
        name="learnt",
        title="Training data of each round",
        columns=[
            GridColumn(title="round"),
            text("attempts by"),
            GridColumn(title="attempts"),
            GridColumn(title="resolved"),
            share("share"),
            GridColumn(title="suspect"),
            GridColumn(title="taught"),
            GridColumn(title="of these resolved"),
            GridColumn(title="kept"),
            GridColumn(title="samples"),
            GridColumn(title="trained tokens", kind="tokens"),
            text("trained from"),
            GridColumn(title="steps"),
            GridColumn(title="tokens seen", kind="tokens"),
        ],
        rows=rows,
    )


def _drops(rounds: Sequence[Round]) -> Grid:
    rows: list[list[Cell]] = [
        [made.number, count.name, count.given, count.dropped, count.changed]
        for made in rounds
        for count in made.filtering.counts
    ]
    titles = ("given", "dropped", "changed")
    return Grid(
        name="drops",
        title="Drops by filter",
        columns=[
            GridColumn(title="round"),
            text("filter"),
            *(GridColumn(title=title) for title in titles),
        ],
        rows=rows,
    )


def _costs(stages: Iterable[Stage]) -> Grid:
    """Seconds and tokens of each stage, summed over all processes that worked on it."""
    groups: defaultdict[tuple[int, str], list[Stage]] = defaultdict(list)
    for stage in stages:
        groups[stage.round, stage.stage].append(stage)
    order = sorted(groups, key=lambda key: (key[0], _STAGES.index(key[1])))
    rows: list[list[Cell]] = []
    for key in order:
        group = groups[key]
        shares = [stage.overhead for stage in group if stage.overhead is not None]
        seconds = sum(stage.seconds for stage in group)
        tokens = sum(stage.tokens for stage in group)
        name = str(key[0]) if key[0] >= 0 else "base"
        rows.append([name, key[1], seconds, tokens or None, shares[-1] if shares else None])
    return Grid(
        name="stages",
        title="Seconds and tokens of each stage",
        note="Overhead: share of the workers' time outside model, commands and tests. Time of "
        "killed processes is not included.",
        columns=[
            text("round"),
            text("stage"),
            number("seconds"),
            GridColumn(title="tokens", kind="tokens"),
            share("overhead"),
        ],
        rows=rows,
    )


def draw_curve(path: Path, base: Evaluation, rounds: Sequence[Round]) -> None:
    """Draw success on the held-out tasks over the rounds, with intervals, as SVG."""
    from matplotlib.figure import Figure

    tried = [(made, made.candidate) for made in rounds if made.candidate]
    names = ["base", *(str(made.number) for made, _ in tried)]
    found = [base.success, *(candidate.success for _, candidate in tried)]
    kept = [True, *(made.current == candidate for made, candidate in tried)]
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(names, [success.mean for success in found], color="#3b6fb6", zorder=1)
    for name, success, accepted in zip(names, found, kept, strict=True):
        low, high = success.mean - max(0.0, success.low), min(1.0, success.high) - success.mean
        axes.errorbar(
            name,
            success.mean,
            yerr=[[low], [high]],
            color="#3b6fb6" if accepted else "#b9483b",
            fmt="o" if accepted else "x",
            capsize=4,
        )
    axes.set(xlabel="round (x: rolled back)", ylabel=f"success on {found[0].tasks} held-out tasks")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="svg", metadata={"Date": None})
