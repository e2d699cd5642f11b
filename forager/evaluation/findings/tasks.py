"""How attempts at one task differ, and how runs compare at the tasks that they share."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import comb, sqrt
from statistics import mean, stdev

from forager.evaluation.estimates import pass_at_k
from forager.evaluation.findings.gather import Seen
from forager.evaluation.findings.grid import Column, Grid, number, share, text

MIXED = 40  # tasks that are listed


def pass_grid(seen: Sequence[Seen]) -> Grid:
    """pass@k by model; each task counts the same."""
    models: defaultdict[str, dict[str, list[Seen]]] = defaultdict(dict)
    for one in seen:
        models[one.summary.model].setdefault(one.summary.instance_id, []).append(one)
    rows = [
        [model, k, *_estimate([pass_at_k(len(one), _resolved(one), k) for one in chosen])]
        for model, tasks in sorted(models.items())
        for k, chosen in _by_k(list(tasks.values()))
    ]
    return Grid(
        name="pass_at_k",
        title="pass@k",
        note="The unbiased estimator (Chen et al. 2021, arXiv 2107.03374), the mean over tasks "
        "with k attempts or more; intervals are of that mean (1.96 standard errors over tasks).",
        columns=[text("model"), Column(title="k"), Column(title="tasks"), share("pass@k"),
                 share("low"), share("high")],
        rows=rows,
    )  # fmt: skip


def agreement_grid(seen: Sequence[Seen]) -> Grid:
    """How many of its attempts resolve a task."""
    counts = Counter((len(one), _resolved(one)) for one in by_task(seen).values() if len(one) > 1)
    return Grid(
        name="agreement",
        title="Attempts at the same task",
        note=_agreement(seen),
        columns=[Column(title="attempts"), Column(title="resolved"), Column(title="tasks")],
        rows=[[*key, count] for key, count in sorted(counts.items())],
    )


def mixed(seen: Sequence[Seen]) -> list[list[Seen]]:
    """The attempts at each task that some resolve and some do not."""
    return [one for one in by_task(seen).values() if 0 < _resolved(one) < len(one)]


def mixed_grid(seen: Sequence[Seen]) -> Grid:
    """Tasks that some attempts resolve and others do not."""
    found = mixed(seen)
    listed = sorted(found, key=lambda one: abs(_resolved(one) / len(one) - 0.5))[:MIXED]
    return Grid(
        name="mixed",
        title="Tasks with both outcomes",
        note=f"{len(listed)} of {len(found)}, the most even ones first."
        " Attempts that are shown below are links.",
        columns=[text("task"), Column(title="attempts"), Column(title="resolved"),
                 Column(title="patches"), text("turns"), text("resolved by"), text("not by")],
        rows=[_mixed_row(one) for one in listed],
    )  # fmt: skip


def rounds_grid(seen: Sequence[Seen]) -> Grid:
    """Each run against the one before, at the tasks that both attempted."""
    runs: defaultdict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        runs[one.run].append(one)
    return Grid(
        name="rounds",
        title="Run against run",
        note="At the tasks that both attempted. `better` and `worse` count tasks by the share of "
        "attempts that resolve them; p is the two-sided sign test over these.",
        columns=[text("before"), text("after"), Column(title="tasks"), share("share before"),
                 share("share after"), Column(title="better"), Column(title="worse"),
                 number("p")],
        rows=[
            _pair_row(before, after, old, new)
            for (before, old), (after, new) in pairwise(
                (name, by_task(attempts)) for name, attempts in runs.items()
            )
            if old.keys() & new.keys()
        ],
    )  # fmt: skip


def by_task(seen: Sequence[Seen]) -> dict[str, list[Seen]]:
    """The attempts at each task."""
    tasks: dict[str, list[Seen]] = {}
    for one in seen:
        tasks.setdefault(one.summary.instance_id, []).append(one)
    return tasks


def _by_k(tasks: list[list[Seen]]) -> Iterator[tuple[int, list[list[Seen]]]]:
    """1, 2, 4, … up to the most attempts at a task, with the tasks that have as many."""
    most = max(map(len, tasks))
    for k in sorted({*(1 << n for n in range(most.bit_length())), most}):
        if chosen := [one for one in tasks if len(one) >= k]:
            yield k, chosen


def _estimate(shares: list[float]) -> list[float | int]:
    """The number of tasks, their mean, and the ends of its interval."""
    middle = mean(shares)
    margin = 1.96 * stdev(shares) / sqrt(len(shares)) if len(shares) > 1 else 1.0
    return [len(shares), middle, max(0.0, middle - margin), min(1.0, middle + margin)]


def _resolved(attempts: Sequence[Seen]) -> int:
    return sum(one.summary.resolved for one in attempts)


def _agreement(seen: Sequence[Seen]) -> str:
    """Of the pairs of attempts at one task, those that agree."""
    pairs = same = alike = 0
    for attempts in by_task(seen).values():
        n = len(attempts)
        pairs += comb(n, 2)
        same += sum(comb(count, 2) for count in (_resolved(attempts), n - _resolved(attempts)))
        alike += sum(comb(c, 2) for c in Counter(one.patch for one in attempts).values())
    if not pairs:
        return "No task has more than one attempt."
    return (
        f"Of {pairs:,} pairs of attempts at the same task {same / pairs:.0%} have the same outcome "
        f"and {alike / pairs:.0%} the same patch."
    ).replace("%", " %")


def _mixed_row(attempts: list[Seen]) -> list[str | int | float | None]:
    turns = [one.summary.turns for one in attempts]
    ids = {
        outcome: " ".join(f"{one.summary.attempt}@{one.run}" for one in attempts
                          if one.summary.resolved is outcome)
        for outcome in (True, False)
    }  # fmt: skip
    patches = len({one.patch for one in attempts})
    name = attempts[0].summary.instance_id
    return [name, len(attempts), _resolved(attempts), patches, f"{min(turns)}–{max(turns)}",
            ids[True], ids[False]]  # fmt: skip


def _pair_row(
    before: str, after: str, old: dict[str, list[Seen]], new: dict[str, list[Seen]]
) -> list[str | int | float | None]:
    shares = [
        (_resolved(old[task]) / len(old[task]), _resolved(new[task]) / len(new[task]))
        for task in old.keys() & new.keys()
    ]
    better = sum(two > one for one, two in shares)
    worse = sum(two < one for one, two in shares)
    sides = [mean(side) for side in zip(*shares, strict=True)]
    return [before, after, len(shares), *sides, better, worse, _sign_test(better, worse)]


def _sign_test(better: int, worse: int) -> float | None:
    """The two-sided chance of a split at least as uneven, where both sides are as likely."""
    n = better + worse
    if n == 0:
        return None
    tail = sum(comb(n, k) for k in range(min(better, worse) + 1))
    return min(1.0, float(2 * tail / (1 << n)))
