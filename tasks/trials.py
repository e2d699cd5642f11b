"""Tries patches in the images of their tasks: does git apply them, one after the other?"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from forager.environments.repository.task import RepositoryTask
from forager.errors import EngineError, SandboxError
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import Limits, Sandbox, SandboxFactory

_OPEN = 4  # sandboxes at the same time
_SAID = 120  # characters of git's message
# The index becomes what the tracked files are, as images of data sets may differ from their commit.
_BEGIN = "cp .git/index {place}.index && {git} add -u"
_APPLY = "{git} apply --cached --whitespace=nowarn {option} {place}.patch"


class PatchTrials:
    """Sandboxes of images on this machine, in which patches are tried."""

    def __init__(self, sandboxes: SandboxFactory = docker_sandbox) -> None:
        self._sandboxes = sandboxes
        self._opened: dict[str, Sandbox | None] = {}  # None for an image that is not here
        self._has_engine = True

    def problem(self, task: RepositoryTask) -> str | None:
        """Why the patches of a task do not apply, or ""; None if its image is not here."""
        if not self._has_engine:
            return None
        try:
            sandbox = self._sandbox(task.image)
            return None if sandbox is None else _problem(sandbox, task)
        except EngineError:
            self._has_engine = False
        except (SandboxError, OSError):
            self._close(task.image)
            self._opened[task.image] = None
        return None

    def close(self) -> None:
        """Remove the sandboxes."""
        for image in list(self._opened):
            self._close(image)

    def _sandbox(self, image: str) -> Sandbox | None:
        if image not in self._opened:
            opened = [name for name, sandbox in self._opened.items() if sandbox]
            for name in opened[: len(opened) - _OPEN + 1]:
                self._close(name)
            self._opened[image] = self._sandboxes(image, limits=Limits())
        return self._opened[image]

    def _close(self, image: str) -> None:
        if sandbox := self._opened.pop(image, None):
            sandbox.close()


@contextmanager
def trials() -> Iterator[PatchTrials]:
    """Trials whose sandboxes go at the end."""
    made = PatchTrials()
    try:
        yield made
    finally:
        made.close()


def _problem(sandbox: Sandbox, task: RepositoryTask) -> str:
    """What git says of the first patch that does not apply, or ""."""
    place = f"/tmp/forager.{secrets.token_hex(8)}"
    trial = _Trial(sandbox, place)
    try:
        if begun := trial.run(_BEGIN):
            raise SandboxError(begun)
        if task.setup_patch and (said := trial.apply(task.setup_patch)):
            return f"its setup_patch does not apply: {said}"
        alone = trial.apply(task.test_patch, "--check") if task.test_patch else ""
        if said := trial.apply(task.patch):
            return f"its patch does not apply: {said}"
        if alone and (said := trial.apply(task.test_patch, "--check")):
            return f"its test_patch does not apply: {said}"
        return ""
    finally:
        sandbox.run(f"rm -f {place}.*")


class _Trial:
    """An index of its own in a sandbox."""

    def __init__(self, sandbox: Sandbox, place: str) -> None:
        self._sandbox, self._place = sandbox, place

    def apply(self, patch: str, option: str = "") -> str:
        """Apply a patch to the index, or only check it; return what git says against it."""
        self._sandbox.write(f"{self._place}.patch", patch.encode())
        return self.run(_APPLY, option)

    def run(self, command: str, option: str = "") -> str:
        """Run a command of git; return the first line of its message if it fails."""
        git = f"GIT_INDEX_FILE={self._place}.index git"
        done = self._sandbox.run(command.format(git=git, place=self._place, option=option))
        if not done.exit_code:
            return ""
        lines = done.output.strip().splitlines() or ["no message"]
        return lines[0].replace(f"{self._place}.patch", "patch")[:_SAID]
