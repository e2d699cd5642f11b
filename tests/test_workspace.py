"""What an agent finds: the files with the bug in them, and nothing of the code before."""

from collections.abc import Mapping

import pytest

from forager.environments.repository import workspace
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.workspace import open_task
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import Limits, Sandbox, SandboxFactory

LIMITS = Limits()
STATE = (
    "ls .git/lfs 2>&1; cat .git/HEAD; git status --porcelain; git reflog; "
    "git branch -a; git ls-files -s"
)

# What the bug replaces: the commit, its tree, and the file before.
KEEP = "git rev-parse HEAD HEAD^{tree} HEAD:kata HEAD:kata/core.py >/tmp/before"


def after(command: str) -> SandboxFactory:
    """Start sandboxes whose image differs by the effect of a command."""

    def start(
        image: str, *, limits: Limits = LIMITS, environment: Mapping[str, str] = {}
    ) -> Sandbox:
        opened = docker_sandbox(image, limits=limits, environment=environment)
        done = opened.run(f"( {command} )")
        assert done.exit_code == 0, done.output
        return opened

    return start


def found(task: RepositoryTask, command: str, *, for_agent: bool = True) -> tuple[str, list[str]]:
    """The commit and state that an agent finds, and remaining ids of the original code."""
    image = after(f"{command}; {KEEP}")
    opened, commit = open_task(task, LIMITS, sandbox=image, for_agent=for_agent)
    try:
        assert opened.run("git rev-list --all --reflog").output.split() == [commit]
        left = opened.run("git cat-file --batch-check </tmp/before | grep -v missing").output
        return commit + opened.run(STATE).output, left.splitlines()
    finally:
        opened.close()


@pytest.mark.parametrize(
    "command",
    [
        "true",
        "git gc -q",
        "git tag right",
        "git update-ref refs/notes/right HEAD:kata/core.py",
        "git remote add origin https://localhost/kata",
        "git checkout -q --detach",
        "echo change >>kata/core.py; git stash -q",
        "git worktree add -q -b other /tmp/other",
        "mkdir -p .git/lfs/objects; git cat-file blob HEAD:kata/core.py >.git/lfs/objects/right",
        "git pack-refs --all; git branch -m other",
        "git commit -q --allow-empty -m second",
        "cp -r .git/objects /tmp/o; echo /tmp/o >.git/objects/info/alternates",
        "printf '#!/bin/sh\\nexit 1\\n' >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit",
    ],
)
def test_nothing_of_the_code_before_is_left(
    kata_task: RepositoryTask, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent finds one commit, always the same, whatever the image contains."""
    state, left = found(kata_task, f"mkdir -p .git/hooks .git/objects/info; {command}")
    assert left == []
    monkeypatch.setattr(workspace, "_REPLACE", "false")
    assert found(kata_task, "true") == (state, [])


def test_a_commit_is_replaced_in_place(
    kata_task: RepositoryTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images made here get the commit in place, which saves reading each file.

    Grading finds the same, and no stale byte code either.
    """
    monkeypatch.setattr(workspace, "_ANEW", "false")
    state, left = found(kata_task, "true")
    assert left == []
    cached = "mkdir -p kata/__pycache__; touch kata/__pycache__/core.cpython-311.pyc"
    assert found(kata_task, cached, for_agent=False) == (state, [])
