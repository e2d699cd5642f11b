"""The health of tasks: what to drop before time on a GPU is spent on them.

A task is probed once, and its record appended: shortcuts that must not pass, and the reference on a
quarter of a processor, which must. Solve rates come from runs that exist. From both follows why a
task is to be dropped.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

from pydantic import Field
from unidiff.errors import UnidiffParseError

from forager.agent import SERVERLESS
from forager.environments.environment import Grade, KnowsReference
from forager.environments.registry import environment_of
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.workspace import open_task
from forager.environments.task import Task
from forager.errors import TaskError
from forager.mutation.files import read_source
from forager.mutation.reach import edits_of
from forager.records import Record
from forager.sandboxes.sandbox import Limits, SandboxFactory
from forager.trajectories.summary import Summary
from tasks.contamination import contaminated
from tasks.shortcuts import shortcuts

LOADED_CPUS = 0.25
"""Processors of a reference under load."""
PASSES, UNSOLVED, SUSPECT = "resolved", "not resolved", "suspect"
_ENOUGH = 8  # attempts without a success after which a task counts as beyond all models


class ProbedTask(Record):
    """What the probes of one task showed."""

    instance_id: str
    repo: str = ""
    family: str = ""
    shortcuts: dict[str, str] = Field(
        {}, description="Verdict on each patch that solves nothing, such as `deleted subject`."
    )
    reference: list[str] = Field(
        [], description="Verdict on the reference on a quarter of a processor, each time."
    )
    causes: dict[str, str] = Field({}, description="Why a reference was refused, by its number.")
    contaminated: str = Field("", description="Why training sets should exclude the task.")
    problem: str = Field("", description="Why the task could not be probed.")


class SolveRate(NamedTuple):
    """Attempts of one model at one task."""

    resolved: int
    attempts: int


class TaskHealth(Record):
    """A probed task with solve rates, and why to drop it."""

    probed: ProbedTask
    rates: dict[str, SolveRate] = Field({}, description="By model.")
    drop: list[str] = Field([], description="Reasons; empty for a healthy task.")


def probe(task: Task, repeats: int, sandboxes: SandboxFactory) -> ProbedTask:
    """Probe a task in fresh sandboxes. Raises SandboxError if the machine fails."""
    environment = environment_of(task)
    limits = environment.limits(task, Limits())
    found = ProbedTask(
        instance_id=task.instance_id,
        repo=task.repo,
        family=task.labels.family,
        contaminated=task.contaminated or contaminated(task.repo),
    )
    try:
        patches = _shortcuts(task, limits, sandboxes) if isinstance(task, RepositoryTask) else {}
        answer = environment.reference(task) if isinstance(environment, KnowsReference) else ""
        slow = limits.model_copy(update={"cpus": LOADED_CPUS})
        graded = [
            environment.grade(task, answer, slow, sandboxes)
            for _ in range(repeats if answer else 0)
        ]
        return found.model_copy(
            update={
                "shortcuts": {
                    name: _verdict(environment.grade(task, patch, limits, sandboxes))
                    for name, patch in patches.items()
                },
                "reference": list(map(_verdict, graded)),
                "causes": _causes(graded),
            }
        )
    except TaskError as error:
        return found.model_copy(update={"problem": str(error)[:300]})


def _shortcuts(task: RepositoryTask, limits: Limits, sandboxes: SandboxFactory) -> dict[str, str]:
    """The shortcuts of a task, from the files as the agent sees them."""
    try:
        edits = edits_of(task.patch)
    except UnidiffParseError as error:
        raise TaskError(f"its patch is not a diff: {error}") from error
    sources: dict[str, str] = {}
    with closing(open_task(task, limits, sandbox=sandboxes, for_agent=False)[0]) as sandbox:
        for path in edits:
            try:
                text = read_source(sandbox.read(f"{task.setup.workdir}/{path}"))
            except OSError:  # the reference adds it
                continue
            if text is not None and path.endswith(".py"):
                sources[path] = text
    return shortcuts(sources, edits)


def _verdict(grade: Grade) -> str:
    return PASSES if grade.resolved else SUSPECT if grade.suspect else UNSOLVED


def _causes(graded: Sequence[Grade]) -> dict[str, str]:
    """What refused a reference: the cause, or the tests that did not pass."""
    told = {}
    for number, grade in enumerate(graded, 1):
        failed = [f"{test} {how}" for test, how in grade.tests.items() if how != "passed"]
        if not grade.resolved:
            told[str(number)] = grade.cause or "; ".join([*grade.suspect, *failed[:3]])
    return told


def solve_rates(attempts: Iterable[Summary]) -> dict[str, dict[str, SolveRate]]:
    """Rates by task and model. An attempt that continues another one does not count."""
    rates: defaultdict[str, dict[str, SolveRate]] = defaultdict(dict)
    for attempt in attempts:
        if not attempt.parent:
            before = rates[attempt.instance_id].get(attempt.model, SolveRate(0, 0))
            after = SolveRate(before.resolved + attempt.resolved, before.attempts + 1)
            rates[attempt.instance_id][attempt.model] = after
    return dict(rates)


def health(probed: ProbedTask, rates: Mapping[str, SolveRate]) -> TaskHealth:
    """A task with the reasons to drop it."""
    drop = [f"{name} passes" for name, how in probed.shortcuts.items() if how == PASSES]
    passed = probed.reference.count(PASSES)
    if probed.problem:
        drop.append("cannot be probed")
    elif probed.reference and not passed:
        drop.append("reference fails under load")
    elif passed < len(probed.reference):
        drop.append("flaky under load")
    if probed.contaminated:
        drop.append("contaminated")
    attempts = sum(rate.attempts for rate in rates.values())
    resolved = sum(rate.resolved for rate in rates.values())
    if attempts >= _ENOUGH and not resolved:
        drop.append(f"never solved in {_ENOUGH} attempts or more")
    models = {name: rate for name, rate in rates.items() if name not in SERVERLESS}
    tried = sum(rate.attempts for rate in models.values())
    if tried >= _ENOUGH and all(rate.resolved == rate.attempts for rate in models.values()):
        drop.append("always solved by the models")
    return TaskHealth(probed=probed, rates=dict(rates), drop=drop)
