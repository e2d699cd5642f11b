"""The results of an evaluation: pass@k with intervals, tokens and cost."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import Field

from forager.evaluation.estimates import Estimate, estimate, pass_at_k
from forager.records import Record
from forager.trajectories.record import Usage
from forager.trajectories.summary import Summary


class AttemptTotals(Record):
    """How many attempts were made, and what they took."""

    attempts: int
    prompt_tokens: int
    completion_tokens: int
    money: float | None = Field(None, description="Their cost; null without prices.")


class EvaluationResult(AttemptTotals):
    """What the attempts at some tasks resolved and took.

    `pass_at` holds the estimate of each k over the tasks with k attempts or more.
    """

    pass_at: dict[int, Estimate]


def evaluated(
    summaries: Iterable[Summary],
    clusters: Mapping[str, str],
    ks: Sequence[int],
    cost: Callable[[str, Usage], float] | None = None,
) -> EvaluationResult:
    """Count the attempts at the tasks that have a cluster."""
    made: Counter[str] = Counter()
    resolved: Counter[str] = Counter()
    spent, money = Usage(), 0.0
    for summary in summaries:
        if summary.instance_id not in clusters:
            continue
        made[summary.instance_id] += 1
        resolved[summary.instance_id] += summary.resolved
        usage = Usage(
            prompt_tokens=summary.prompt_tokens, completion_tokens=summary.completion_tokens
        )
        spent += usage
        money += cost(summary.model, usage) if cost else 0.0
    return EvaluationResult(
        pass_at={
            k: estimate(
                {
                    task: pass_at_k(count, resolved[task], k)
                    for task, count in made.items()
                    if count >= k
                },
                clusters,
            )
            for k in ks
        },
        attempts=made.total(),
        prompt_tokens=spent.prompt_tokens,
        completion_tokens=spent.completion_tokens,
        money=money if cost else None,
    )
