"""Which jobs run a project's tests, the most likely first."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from forager.images.activ.matrix import chosen_row, guessed
from forager.images.activ.workflow import BadWorkflow, Workflow, workflows
from forager.images.layout import read_text

_MOST_CANDIDATES = 4
_MOST_SCRIPTS = 5  # files that a step runs and that are read
_CALLED = "./.github/workflows/"
_COMMANDS = (  # what runs tests, with points
    (re.compile(r"\bpytest\b(?! --version| --collect-only|-\w)|\bpy\.test\b"), 10),
    (re.compile(r"-m unittest\b|\bcoverage run\b|\bunit2\b"), 9),
    (re.compile(r"\btox\b(?!-|\.ini)"), 8),
    (re.compile(r"\b(nox|hatch test|hatch (-e \S+ )?run)\b"), 7),
    (re.compile(r"\b(uv|poetry|pdm|rye|poe|just|task|invoke|inv|pixi) .*\b\w*(test|cov)"), 7),
    (re.compile(r"\bmake .*\b(test|check|ci\b|coverage|unit)"), 6),
    (re.compile(r"\bsetup\.py test|manage\.py test|\b(trial|stestr|zope-testrunner|testr)\b"), 6),
    (re.compile(r"\b(run_?)?tests?(_\w+)?\.(py|sh)\b|\btesttools\.run\b"), 6),
)
_OTHER_TOX = re.compile(
    r"\b(tox|nox)\b.*(-e|--env|-s|--session)[ =]?\W*\w*"
    r"(lint|doc|mypy|flake|style|format|pep8|pkg|package|build|typ(ing|e)|pre-commit|black|ruff)"
)
_INSTALLS = re.compile(r"^\s*(python\S* -m |sudo |uv )*(pip\d?|pipx|apt(-get)?|uv tool) install\b")
_ELSEWHERE = re.compile(r"windows|macos|\bmac-", re.IGNORECASE)
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
        return f"{self.job} of {self.workflow.name.rpartition('/')[2]}"


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
    """The points of a job; 0 for one that runs no tests that are recognised."""
    steps = job.get("steps")
    runs = [_step_points(tree, step) for step in steps] if isinstance(steps, list) else []
    best = max(runs, default=0)
    if not best:
        return 0
    names = f"{name} {job.get('name', '')} {workflow.name} {workflow.content.get('name', '')}"
    names = names.replace("_", " ").replace(workflow.name[:18], " ").lower()
    strategy = job.get("strategy")
    row = chosen_row(strategy.get("matrix"), python) if isinstance(strategy, dict) else {}
    named = sum(points for sign, points in _NAMES if sign.search(names))
    system = str(job.get("runs-on", ""))
    elsewhere = -20 if _ELSEWHERE.search(f"{system} {list(row.values())}") else 0
    more = 2 if row else 0
    more -= 2 * sum(key in job for key in ("services", "container"))
    return max(1, 20 + best + named + elsewhere + more)


def _step_points(tree: Path, step: Any) -> int:
    if not isinstance(step, dict):
        return 0
    run = step.get("run")
    if not isinstance(run, str):
        used = str(step.get("uses", "")).lower()
        given = step.get("with")
        texts = [str(value) for value in given.values()] if isinstance(given, dict) else []
        return 5 if re.search(r"\b(tox|nox|pytest)\b", used) else _run_points("\n".join(texts))
    return max(_run_points(run), _run_points(_scripts(tree, run)) - 1)


def _run_points(text: str) -> int:
    lines = [line for line in text.splitlines() if not _INSTALLS.search(line)]
    return max((_line_points(line) for line in lines), default=0)


def _line_points(line: str) -> int:
    if _OTHER_TOX.search(line) or line.lstrip().startswith("#"):
        return 0
    return max((points for sign, points in _COMMANDS if sign.search(line)), default=0)


def _scripts(tree: Path, run: str) -> str:
    """The texts of the project's files that a command names."""
    words = dict.fromkeys(word.removeprefix("./") for word in re.findall(r"[\w./-]{3,100}", run))
    named = [word for word in words if "/" in word or word.endswith((".sh", ".py"))]
    return "\n".join(read_text(tree, word)[:20_000] for word in named[:_MOST_SCRIPTS])
