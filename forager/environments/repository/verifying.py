"""Grades an answer inside the container of a Harbor task, by the same code as everywhere.

`tests/test.sh` of an exported task runs `main` as root. What the agent left in /testbed becomes a
patch, as at the end of an attempt of forager; then `grading` judges it in a restored container
(`sandboxes/own_container`). The archive of the agent's files holds the bug in the only commit, so
each sandbox first takes the bug out again: from there on all is as in a fresh image.

In Harbor's separate mode, `[[verifier.collect]]` has packed /testbed in the agent's container, and
this one is another. In its shared mode the same packing happens here.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from forager.environments.environment import AttemptAnswer, Grade
from forager.environments.repository.grading import grade
from forager.environments.repository.taking import read_base, take_patch
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.workspace import open_task
from forager.errors import ForagerError, SandboxError, TaskError
from forager.sandboxes.own_container import AS_AGENT, OwnContainer, end_processes
from forager.sandboxes.sandbox import WORKDIR, Limits, Sandbox, SandboxFactory

COLLECTED = "/logs/artifacts/testbed.tgz"
"""Where the agent's working tree is, if Harbor collected it."""
COLLECT = f"mkdir -p /logs/artifacts && tar -C {WORKDIR} --exclude=./.git -czf {COLLECTED} ."
"""Packs the working tree. Git's own directory stays: the taking of a patch does not trust it."""
_REWARDS = Path("/logs/verifier")
_ANSWER = "/tmp/forager-answer"  # the agent's tree, next to the restored one
_PATCH = "/tmp/forager-bug.patch"
_TAKE_OUT = "git update-index -q --refresh; git apply -R --index --whitespace=nowarn"


def main() -> None:
    """Write the reward of the answer in this container: 1 if it is resolved, else 0.

    The argument is the directory of tests. Exit code 1, and no reward, if nothing can be judged.
    """
    tests = Path(sys.argv[1])
    os.chdir("/")
    shutil.rmtree(_REWARDS / "reward.txt", ignore_errors=True)
    (_REWARDS / "reward.txt").unlink(missing_ok=True)
    try:
        task = RepositoryTask.model_validate_json((tests / "task.json").read_bytes())
        _hide(tests)
        judged = judge(task)
    except ForagerError as error:
        raise SystemExit(f"not graded: {error}") from error
    end_processes()
    _write("grade.json", judged.model_dump_json())
    _write("reward.txt", f"{judged.resolved:d}\n")
    print(f"resolved: {judged.resolved}", judged.cause, *judged.suspect, sep="\n")


def judge(task: RepositoryTask) -> Grade:
    """Take the answer out of the working tree, and grade it. Raises SandboxError."""
    end_processes()
    packed = _packed()
    limits, sandboxes = Limits(), _sandboxes(task)
    answer = _taken(task, packed, limits, sandboxes)
    if answer.problem:
        return Grade(resolved=False, reward=-1, cause=answer.problem)
    try:
        return grade(task, answer.text, limits, sandbox=sandboxes)
    except (SandboxError, TaskError) as error:
        if not grade(task, task.patch, limits, sandbox=sandboxes).resolved:
            raise  # the container is at fault, not the answer
        return Grade(resolved=False, reward=-1, cause=str(error))


def _hide(tests: Path) -> None:
    """Keep the hidden tests and the reference from the code under test. Raises SandboxError."""
    for path in (tests, *tests.rglob("*")):
        os.chown(path, 0, 0, follow_symlinks=False)
    tests.chmod(0o700)
    command = [*AS_AGENT, "/usr/bin/test", "-r", str(tests / "task.json")]
    if not subprocess.run(command, check=False).returncode:
        raise SandboxError(f"the code under test can read {tests}; copy it instead of mounting it")


def _packed() -> bytes:
    """The agent's working tree as an archive."""
    collected = Path(COLLECTED)
    if not collected.is_file() or collected.is_symlink():
        done = subprocess.run(["/bin/bash", "-c", COLLECT], capture_output=True, check=False)
        if done.returncode > 1:  # 1: a file changed meanwhile
            raise SandboxError(f"cannot pack {WORKDIR}: {done.stderr.decode()[-300:]}")
    return collected.read_bytes()


def _sandboxes(task: RepositoryTask) -> SandboxFactory:
    """Restores the container for each sandbox, and takes the bug out of it."""

    def start(
        image: str, *, limits: Limits | None = None, environment: Mapping[str, str] = {}
    ) -> Sandbox:
        del image, limits  # the container and its bounds are Harbor's
        sandbox = OwnContainer(environment)
        if task.setup_patch:
            sandbox.write(_PATCH, task.setup_patch.encode("utf-8", "surrogateescape"))
            done = sandbox.run(f"( {_TAKE_OUT} {_PATCH} ); code=$?; rm -f {_PATCH}; (exit $code)")
            if done.exit_code:
                raise SandboxError(f"the bug cannot be taken out: {done.output[-300:]}")
        return sandbox

    return start


def _taken(
    task: RepositoryTask, packed: bytes, limits: Limits, sandboxes: SandboxFactory
) -> AttemptAnswer:
    """The patch between the task's commit and the packed tree."""
    base = read_base(task, limits, sandboxes)
    opened, commit = open_task(task, limits, sandbox=sandboxes)
    with closing(opened):
        unpack = f"mkdir -m 700 {_ANSWER} && tar -xpzf - -C {_ANSWER}"
        command = [*AS_AGENT, "/bin/bash", "-c", unpack]
        done = subprocess.run(command, input=packed, capture_output=True, check=False)
        if done.returncode:
            return AttemptAnswer(problem=f"the tree cannot be read: {done.stderr.decode()[-300:]}")
        return take_patch(opened, commit, _ANSWER, lambda: base)


def _write(name: str, text: str) -> None:
    """Write a file that nobody else has prepared."""
    _REWARDS.mkdir(parents=True, exist_ok=True)
    path = _REWARDS / name
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o644), "w", encoding="utf-8") as file:
        file.write(text)
