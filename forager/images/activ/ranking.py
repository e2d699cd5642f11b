"""Which jobs run a project's tests, the most likely first."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from forager.images.activ.commands import step_points
from forager.images.activ.matrix import chosen_row, guessed
from forager.images.activ.workflow import BadWorkflow, Workflow, workflows
from forager.text import safe

_MOST_CANDIDATES = 4
_CALLED = "./.github/workflows/"
_ELSEWHERE = re.compile(r"\W*(windows|macos|mac)\b", re.IGNORECASE)
_NAMES = (  # of jobs, with points
    (re.compile(r"lint|\bdocs?\b|style|format|typing|mypy|typecheck|pre-commit|static"), -6),
    (re.compile(r"release|publish|deploy|wheel|codeql|scorecard|zizmor|fuzz|bench|codspeed"), -6),
    (re.compile(r"downstream|upstream|e2e|nightly|windows|macos|pypy|conda|alpine|arm\b"), -4),
    (re.compile(r"integration|min(imum|imal)|lowest|oldest|free-?thread|cover|build|package"), -2),
    (re.compile(r"\bunit|\btests?\b|testing|pytest"), 3),
    (re.compile(r"\bci\b|check|python"), 1),
)


class LikelyJob(NamedTuple):
    """A job that may run the tests."""

    workflow: Workflow
    job: str
    inputs: dict[str, str]
    """What a calling workflow gives to the job's."""
    score: int

    @property
    def title(self) -> str:
        """The job, for people."""
        return safe(f"{self.job} of {self.workflow.name.rpartition('/')[2]}")


class Ranking(NamedTuple):
    """The likely jobs, and the files that cannot be read."""

    candidates: list[LikelyJob]
    problems: list[str]


def ranked(tree: Path, python: str) -> Ranking:
    """Return the jobs that recognisably run tests, the most likely first."""
    read = list(workflows(tree))
    whole = {found.name: found for found in read if isinstance(found, Workflow)}
    found = [job for workflow in whole.values() for job in _of(tree, workflow, whole, python)]
    unique = {(job.workflow.name, job.job): job for job in sorted(found, key=lambda job: job.score)}
    best = sorted(unique.values(), key=lambda candidate: -candidate.score)
    problems = [str(problem) for problem in read if isinstance(problem, BadWorkflow)]
    return Ranking(best[:_MOST_CANDIDATES], problems)


def _of(
    tree: Path, workflow: Workflow, whole: dict[str, Workflow], python: str
) -> Iterator[LikelyJob]:
    """Yield the jobs of a workflow, and those that they call, with points."""
    if not (events := workflow.events):
        return
    usual = 4 if {"push", "pull_request", "pull_request_target"} & set(events) else 0
    for name, job in workflow.jobs.items():
        called = whole.get(str(job.get("uses", "")).replace(_CALLED, ".github/workflows/", 1))
        if called is not None:
            inputs = _inputs(called, job.get("with"), python)
            for inner, steps in called.jobs.items():
                points = _points(tree, called, inner, steps, python)
                if points:
                    yield LikelyJob(called, inner, inputs, points + usual)
        elif points := _points(tree, workflow, name, job, python):
            inputs = _inputs(workflow, None, python)
            yield LikelyJob(workflow, name, inputs, points + usual)


def _inputs(workflow: Workflow, given: Any, python: str) -> dict[str, str]:
    """What a workflow gets as inputs: what the caller gives, else the defaults."""
    stated: dict[str, str] = {}
    for event in ("workflow_dispatch", "workflow_call"):
        settings = workflow.events.get(event)
        inputs = settings.get("inputs") if isinstance(settings, dict) else None
        for name, known in inputs.items() if isinstance(inputs, dict) else ():
            stated[name] = str(known.get("default", "")) if isinstance(known, dict) else ""
    given = given if isinstance(given, dict) else {}
    stated |= {name: value for name, value in given.items() if isinstance(value, str)}
    return {name: guessed(name, value, python) for name, value in stated.items()}


def _points(tree: Path, workflow: Workflow, name: str, job: dict[str, Any], python: str) -> int:
    """The points of a job; 0 for one that runs no tests that are recognised, or not on Linux."""
    steps = job.get("steps")
    runs = [step_points(tree, step) for step in steps] if isinstance(steps, list) else []
    best = max(runs, default=0)
    if not best:
        return 0
    names = f"{name} {job.get('name', '')} {workflow.name} {workflow.content.get('name', '')}"
    names = names.replace("_", " ").replace(workflow.name[:18], " ").lower()
    strategy = job.get("strategy")
    row = chosen_row(strategy.get("matrix"), python) if isinstance(strategy, dict) else {}
    named = sum(points for sign, points in _NAMES if sign.search(names))
    if any(_ELSEWHERE.match(str(text)) for text in (job.get("runs-on"), *row.values())):
        return 0
    more = 2 if row else 0
    more -= 2 * sum(key in job for key in ("services", "container"))
    return max(1, 20 + best + named + more)
