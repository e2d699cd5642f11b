"""Rewards: what a graded attempt is worth to the learner.

A reward function takes a task and a graded attempt, and returns a number, or None if the attempt
says nothing. Third parties add functions through the entry point group `forager.rewards`:

    [project.entry-points."forager.rewards"]
    mine = "my_package.rewards:mine"

Attempts that infrastructure ended are never graded, so no function sees them. Suspect attempts get
the reward of a failure, whatever the function says.
"""

from collections.abc import Callable
from math import isfinite

from forager.environments.task import Task
from forager.errors import UsageError
from forager.plugins import plugins
from forager.trajectories.record import Trajectory

Reward = Callable[[Task, Trajectory], float | None]
FAILURE = -1.0
_ALIKE = 0.5  # from this similarity on, CWM counts a patch as near


def outcome(task: Task, attempt: Trajectory) -> float:
    """+1 if resolved, else -1."""
    del task
    return 1.0 if attempt.outcome.resolved else FAILURE


def similarity(task: Task, attempt: Trajectory) -> float:
    """CWM's for training: +1 if resolved, 0 for a patch like the reference, else -1."""
    if attempt.outcome.similarity >= _ALIKE and not attempt.outcome.resolved:
        return 0.0
    return outcome(task, attempt)


def evaluation_similarity(task: Task, attempt: Trajectory) -> float:
    """CWM's for evaluation: 0 if resolved, -0.5 for a patch like the reference, else -1."""
    return (similarity(task, attempt) - 1) / 2


def cases(task: Task, attempt: Trajectory) -> float:
    """The share of passed cases or tests, from -1 (none) to +1 (all)."""
    tests = attempt.outcome.tests
    if attempt.outcome.resolved or not tests:
        return outcome(task, attempt)
    passed = sum(result == "passed" for result in tests.values())
    return 2 * passed / len(tests) - 1


REWARDS: dict[str, Reward] = {
    "outcome": outcome,
    "similarity": similarity,
    "evaluation-similarity": evaluation_similarity,
    "cases": cases,
}


def reward_named(name: str) -> Reward:
    """The reward function of this name. Raises UsageError."""
    functions = dict(REWARDS)
    for plugin, origin, function in plugins("forager.rewards"):
        if plugin in functions:
            raise UsageError(f"{origin} takes the name of another reward")
        functions[plugin] = function
    if name not in functions:
        raise UsageError(f"no reward {name!r} is installed; there are {', '.join(functions)}")
    return functions[name]


def reward_of(function: Reward, task: Task, attempt: Trajectory) -> float | None:
    """The reward of an attempt; None if it leaves its group. Raises UsageError for no number."""
    if attempt.outcome.suspect and not attempt.outcome.resolved:
        return FAILURE
    reward = function(task, attempt)
    if reward is not None and not isfinite(reward):
        raise UsageError(f"the reward of {attempt.id} is {reward}; rewards are finite numbers")
    return reward
