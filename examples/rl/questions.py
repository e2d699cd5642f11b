"""Output prediction for the smallest models: what does a short function return for two numbers?

usage: questions.py OUT [--seed S] [--held-out N] [--worked N]

Writes OUT/tasks.jsonl, OUT/held-out.jsonl (no question is in both), and OUT/worked.jsonl: attempts
with the right answer, as if a model had made them, to train a base on before it learns by reward.
"""

import argparse
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from forager.environments.answer.prediction import OUTPUT, PredictionTask
from forager.environments.task import Labels
from forager.records import write_records
from forager.trajectories.record import ModelCall, Outcome, Timings, Trajectory, Usage

FUNCTIONS: dict[str, tuple[str, Callable[[int, int], object]]] = {
    "larger": ("max(a, b)", max),
    "smaller": ("min(a, b)", min),
    "less": ("a < b", lambda a, b: a < b),
    "last": ("a % 10", lambda a, _: a % 10),
    "tens": ("b // 10", lambda _, b: b // 10),
    "swapped": ("b, a", lambda a, b: (b, a)),
    "sorted": ("sorted([a, b])", lambda a, b: sorted([a, b])),
    "plus": ("a + b", lambda a, b: a + b),
}
LARGEST = 99


def questions(seed: int) -> Iterator[PredictionTask]:
    """Yield all questions in an order by seed."""
    every = [
        (name, first, second)
        for name in FUNCTIONS
        for first in range(LARGEST + 1)
        for second in range(LARGEST + 1)
    ]
    random.Random(seed).shuffle(every)
    for name, first, second in every:
        yield question(name, first, second)


def question(name: str, first: int, second: int) -> PredictionTask:
    """A function, its arguments and what it returns."""
    body, function = FUNCTIONS[name]
    code = f"def f(a, b):\n    return {body}\n"
    return PredictionTask(
        instance_id=f"{name}-{first}-{second}",
        environment=OUTPUT,
        kind=OUTPUT,
        problem_statement=f"{code}\nf({first}, {second})",
        labels=Labels(family=name, functions=[f"{name}:{first}:{second}"]),
        code=code,
        input=f"{first}, {second}",
        output=repr(function(first, second)),
    )


def worked(task: PredictionTask) -> Trajectory:
    """An attempt with the right answer."""
    return Trajectory(
        id=f"{task.instance_id}.0",
        instance_id=task.instance_id,
        attempt=0,
        environment=task.environment,
        kind=task.kind,
        repo="",
        labels=task.labels,
        model="worked",
        syntax="text",
        image="",
        image_digest="",
        started_at="",
        messages=[
            {"role": "user", "content": task.problem_statement},
            {"role": "assistant", "content": f"[ANSWER]{task.output}[/ANSWER]"},
        ],
        model_calls=[ModelCall(message=1, usage=Usage(), seconds=0)],
        tool_calls=[],
        outcome=Outcome(exit_reason="answered", answer=task.output, resolved=True, reward=1),
        usage=Usage(),
        timings=Timings(),
        version="",
    )


def main() -> None:
    """Write the questions."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held-out", type=int, default=500)
    parser.add_argument("--worked", type=int, default=8000)
    given = parser.parse_args()
    every = list(questions(given.seed))
    held_out, rest = every[: given.held_out], every[given.held_out :]
    given.output.mkdir(parents=True, exist_ok=True)
    write_records(given.output / "held-out.jsonl", held_out)
    write_records(given.output / "tasks.jsonl", rest)
    write_records(given.output / "worked.jsonl", map(worked, rest[: given.worked]))


if __name__ == "__main__":
    main()
