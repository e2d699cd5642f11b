"""How attempts at one task differ, and how runs compare on the tasks that they share."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import comb
from statistics import mean

from forager.evaluation.estimates import estimate, pass_at_k
from forager.evaluation.findings.gather import ReportedAttempt
from forager.evaluation.findings.grid import Grid, GridColumn, number, share, text

MIXED = 40  # most tasks in the list


def pass_grid(seen: Sequence[ReportedAttempt]) -> Grid:
    """The table of pass@k by model; every task has the same weight."""
    models: defaultdict[str, dict[str, list[ReportedAttempt]]] = defaultdict(dict)
    for attempt in seen:
        models[attempt.summary.model].setdefault(attempt.summary.instance_id, []).append(attempt)
    rows = [
        [
            model,
            k,
            *_estimate([pass_at_k(len(attempts), _resolved(attempts), k) for attempts in chosen]),
        ]
        for model, tasks in sorted(models.items())
        for k, chosen in _by_k(list(tasks.values()))
    ]
    return Grid(
        name="pass_at_k",
        title="pass@k",
        note="The unbiased estimator (Chen et al. 2021, arXiv 2107.03374), the mean over tasks "
        "with k attempts or more; intervals are of that mean (1.96 standard errors over tasks).",
        columns=[text("model"), GridColumn(title="k"), GridColumn(title="tasks"), share("pass@k"),
                 share("low"), share("high")],
        rows=rows,
    )  # fmt: skip


def agreement_grid(seen: Sequence[ReportedAttempt]) -> Grid:
    """The table of tasks by number of attempts and of resolved attempts."""
    counts = Counter(
        (len(attempts), _resolved(attempts))
        for attempts in by_task(seen).values()
        if len(attempts) > 1
    )
    return Grid(
        name="agreement",
        title="Attempts at the same task",
        note=_agreement(seen),
        columns=[
            GridColumn(title="attempts"),
            GridColumn(title="resolved"),
            GridColumn(title="tasks"),
        ],
        rows=[[*key, count] for key, count in sorted(counts.items())],
    )


def mixed(seen: Sequence[ReportedAttempt]) -> list[list[ReportedAttempt]]:
    """The attempts at each task that some attempts resolve and others do not."""
    return [
        attempts for attempts in by_task(seen).values() if 0 < _resolved(attempts) < len(attempts)
    ]


def mixed_grid(seen: Sequence[ReportedAttempt]) -> Grid:
    """The table of tasks that some attempts resolve and others do not."""
    found = mixed(seen)
    listed = sorted(found, key=lambda attempts: abs(_resolved(attempts) / len(attempts) - 0.5))[
        :MIXED
    ]
    return Grid(
        name="mixed",
        title="Tasks with both outcomes",
        note=f"{len(listed)} of {len(found)}, the most even ones first."
        " Attempts that are shown below are links.",
        columns=[text("task"), GridColumn(title="attempts"), GridColumn(title="resolved"),
                 GridColumn(title="patches"), text("turns"), text("resolved by"), text("not by")],
        rows=[_mixed_row(attempts) for attempts in listed],
    )  # fmt: skip


def rounds_grid(seen: Sequence[ReportedAttempt]) -> Grid:
    """The table of each run against the previous one, on the tasks that both attempted."""
    runs: defaultdict[str, list[ReportedAttempt]] = defaultdict(list)
    for attempt in seen:
        runs[attempt.run].append(attempt)
    return Grid(
        name="rounds",
        title="Run against run",
        note="At the tasks that both attempted. `better` and `worse` count tasks by the share of "
        "attempts that resolve them; p is the two-sided sign test over these.",
        columns=[text("before"), text("after"), GridColumn(title="tasks"), share("share before"),
                 share("share after"), GridColumn(title="better"), GridColumn(title="worse"),
                 number("p")],
        rows=[
            _pair_row(before, after, old, new)
            for (before, old), (after, new) in pairwise(
                (name, by_task(attempts)) for name, attempts in runs.items()
            )
            if old.keys() & new.keys()
        ],
    )  # fmt: skip


def by_task(seen: Sequence[ReportedAttempt]) -> dict[str, list[ReportedAttempt]]:
    """The attempts at each task."""
    tasks: dict[str, list[ReportedAttempt]] = {}
    for attempt in seen:
        tasks.setdefault(attempt.summary.instance_id, []).append(attempt)
    return tasks


def _by_k(tasks: list[list[ReportedAttempt]]) -> Iterator[tuple[int, list[list[ReportedAttempt]]]]:
    """Yield k = 1, 2, 4, … up to the most attempts at a task, with the tasks that have k."""
    most = max(map(len, tasks))
    for k in sorted({*(1 << n for n in range(most.bit_length())), most}):
        if chosen := [attempts for attempts in tasks if len(attempts) >= k]:
            yield k, chosen


def _estimate(shares: list[float]) -> list[float | int]:
    """The number of tasks, their mean, and the ends of its 95 % interval."""
    tasks = {str(number): share for number, share in enumerate(shares)}
    found = estimate(tasks, {task: task for task in tasks})
    return [found.tasks, found.mean, found.low, found.high]


def _resolved(attempts: Sequence[ReportedAttempt]) -> int:
    return sum(attempt.summary.resolved for attempt in attempts)


def _agreement(seen: Sequence[ReportedAttempt]) -> str:
    """A sentence on how many pairs of attempts at one task agree."""
    pairs = same = alike = 0
    for attempts in by_task(seen).values():
        n = len(attempts)
        pairs += comb(n, 2)
        same += sum(comb(count, 2) for count in (_resolved(attempts), n - _resolved(attempts)))
        alike += sum(comb(c, 2) for c in Counter(attempt.patch for attempt in attempts).values())
    if not pairs:
        return "No task has more than one attempt."
    return (
        f"Of {pairs:,} pairs of attempts at the same task {same / pairs:.0%} have the same outcome "
        f"and {alike / pairs:.0%} the same patch."
    ).replace("%", " %")


def _mixed_row(attempts: list[ReportedAttempt]) -> list[str | int | float | None]:
    turns = [attempt.summary.turns for attempt in attempts]
    ids = {
        outcome: " ".join(f"{attempt.summary.attempt}@{attempt.run}" for attempt in attempts
                          if attempt.summary.resolved is outcome)
        for outcome in (True, False)
    }  # fmt: skip
    patches = len({attempt.patch for attempt in attempts})
    name = attempts[0].summary.instance_id
    return [name, len(attempts), _resolved(attempts), patches, f"{min(turns)}–{max(turns)}",
            ids[True], ids[False]]  # fmt: skip


def _pair_row(
    before: str,
    after: str,
    old: dict[str, list[ReportedAttempt]],
    new: dict[str, list[ReportedAttempt]],
) -> list[str | int | float | None]:
    shares = [
        (_resolved(old[task]) / len(old[task]), _resolved(new[task]) / len(new[task]))
        for task in old.keys() & new.keys()
    ]
    better = sum(after_share > before_share for before_share, after_share in shares)
    worse = sum(after_share < before_share for before_share, after_share in shares)
    sides = [mean(side) for side in zip(*shares, strict=True)]
    return [before, after, len(shares), *sides, better, worse, _sign_test(better, worse)]


def _sign_test(better: int, worse: int) -> float | None:
    """The two-sided sign test: the p-value of the split; None without any difference."""
    n = better + worse
    if n == 0:
        return None
    tail = sum(comb(n, k) for k in range(min(better, worse) + 1))
    return min(1.0, float(2 * tail / (1 << n)))
