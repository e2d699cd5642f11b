"""Tests patches for a selection among attempts, without the tests that decide the grade.

The repository's own tests are those that the agent sees. By default only those count that pass
before any patch: a test that fails there may be the one that decides. The written tests (see
`reproducing`) and the own tests of a patch run in one sandbox, a fresh one for each patch.
"""

from collections.abc import Sequence
from contextlib import closing

from forager.environments.environment import AnswerTrial, OwnTests, TestBaseline
from forager.environments.repository.applying import apply_answer
from forager.environments.repository.guards import run_guarded
from forager.environments.repository.patches import changes_by_file
from forager.environments.repository.reproducing import problem_of, said_by
from forager.environments.repository.task import Guards, RepositoryTask
from forager.environments.repository.testing import run_tests
from forager.environments.repository.workspace import open_task
from forager.environments.task import Labels
from forager.sandboxes.sandbox import USER, Limits, SandboxFactory


def without_truth(task: RepositoryTask) -> RepositoryTask:
    """The task as it may be known before it is graded."""
    return task.model_copy(
        update={
            "patch": "",
            "test_patch": "",
            "FAIL_TO_PASS": [],
            "PASS_TO_PASS": [],
            "hints_text": "",
            "guards": None,
            "mutation": None,
            "fix": None,
            "labels": Labels(),
        }
    )


def canonical(patch: str) -> str:
    """The changed lines of each file, in the order of their names."""
    changes = changes_by_file(patch)
    return "\n".join(
        line
        for path in sorted(changes)
        for line in [f"diff {path}", *map(str.rstrip, _changed(changes[path]))]
    )


def _changed(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.startswith(("+", "-"))]


def baseline(
    task: RepositoryTask,
    own: OwnTests,
    written: Sequence[str],
    limits: Limits,
    sandboxes: SandboxFactory,
) -> TestBaseline:
    """Run the suite and the written tests on the broken repository, in one sandbox.

    A written test shows the fault by CWM's rule: it parses, and prints only `Issue reproduced`
    within 120 s.
    """
    with closing(open_task(task, limits, sandbox=sandboxes, for_agent=False)[0]) as opened:
        shows = [
            not problem_of(text) and said_by(opened, task.setup, text) == "reproduced"
            for text in written
        ]
        outcomes = run_tests(opened, task.setup).outcomes if own != "none" else {}
    names = [
        name
        for name, outcome in outcomes.items()
        if "::" in name and (own == "all" or outcome == "passed")
    ]
    return TestBaseline(own=sorted(names), shows=shows)


def trial(
    task: RepositoryTask,
    patch: str,
    own: Sequence[str],
    written: Sequence[str],
    limits: Limits,
    sandboxes: SandboxFactory,
) -> AnswerTrial:
    """Run own tests and written tests on the part of a patch that a grade would apply."""
    nothing = AnswerTrial(own=0, written=[False] * len(written))
    with closing(open_task(task, limits, sandbox=sandboxes, for_agent=False)[0]) as opened:
        applied = apply_answer(opened, task, patch)
        if applied.problem:
            return nothing.model_copy(update={"problem": applied.problem})
        tests = task.model_copy(update={"PASS_TO_PASS": list(own)})
        outcomes = run_guarded(opened, tests, Guards(), applied.kept)[0].outcomes if own else {}
        user = USER if opened.elevate() else ""
        said = [said_by(opened, task.setup, text, user) for text in written]
    return AnswerTrial(
        own=sum(outcomes.get(name) == "passed" for name in own),
        written=[words == "resolved" for words in said],
    )
