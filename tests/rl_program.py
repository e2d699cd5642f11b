"""A small reinforcement learning run; test_rl.py runs it here and in processes that it kills.

usage: rl_program.py DIRECTORY RUN, with a base in DIRECTORY/base

An untrained model solves nothing, so a reward of this program stands for the tests: whether the
answer has more letters than half of its characters.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forager.environments.answer.prediction import OUTPUT, PredictionTask
from forager.environments.task import Task
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.local_sampler import LocalSampler
from forager.learning.rl.rewards import REWARDS
from forager.learning.rl.run import reinforce
from forager.learning.rl.sampler import Sampler
from forager.learning.rl.settings import RlSettings
from forager.trajectories.record import Trajectory

SMALL: dict[str, Any] = {
    "tasks": ["tasks.jsonl"],
    "steps": 4,
    "groups": 2,
    "group_size": 4,
    "staleness": 0,
    "reward": {"function": "letters"},
    "objective": {"constant": 64},
    "rollout": {"workers": 8, "sampling": {"max_tokens": 8}},
    "train": {
        "learning_rate": 1e-3,
        "pack_length": 256,
        "batch_size": 1,
        "checkpoint_every": 2,
        "precision": "fp32",
    },
}
TASKS = [
    PredictionTask(
        instance_id=f"q{number}",
        environment=OUTPUT,
        problem_statement=f"f({number}) == ??",
        code="def f(a):\n    return a\n",
        input=str(number),
        output=str(number),
    )
    for number in range(12)
]


def letters(task: Task, attempt: Trajectory) -> float:
    """+1 for an answer of which at least half are letters, else -1."""
    del task
    text = attempt.messages[-1]["content"]
    return 1.0 if 2 * sum(map(str.isalpha, text)) >= len(text) else -1.0


REWARDS["letters"] = letters


def settings(base: Path, **given: Any) -> RlSettings:
    """Settings of the small run."""
    return RlSettings.model_validate(SMALL | {"base": str(base)} | given)


def run(
    base: Path,
    output: Path,
    *,
    make_sampler: Callable[[Path, RlSettings], Sampler] | None = None,
    tasks: list[Any] = TASKS,
    overlap: bool = False,
    **given: Any,
) -> None:
    """Run to the end."""
    asked = settings(base, **given)
    made = (make_sampler or local)(base, asked)
    with made as sampler:
        reinforce(asked, tasks, RlLayout(output), base, sampler, {}, overlap=overlap, hold=0.01)


def local(base: Path, asked: RlSettings) -> Sampler:
    """The sampler in this process."""
    del asked
    return LocalSampler(base, "float32")


if __name__ == "__main__":
    run(Path(sys.argv[1]) / "base", Path(sys.argv[2]))
