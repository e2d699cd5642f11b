"""Install commands, whole or by parts: what remains of one that fails."""

import re
import shlex
from collections.abc import Callable, Mapping

from forager.images.builder import failed
from forager.images.workbench import BenchResult, Workbench, decisive_line

_TIMED_OUT = (124, 137)


class Steps:
    """The install commands that ran in a bench."""

    def __init__(
        self, bench: Workbench, variables: dict[str, str], report: Callable[[str], None]
    ) -> None:
        self._bench = bench
        self._variables = variables
        self.report = report
        self.worked: list[str] = []
        self.dropped: list[str] = []
        """What was left out, each with the reason."""
        self.clean = True

    def run(self, command: str, *, reduce: bool) -> None:
        """Run a command, or with `reduce` the parts that work. Raises RecipeFailed."""
        self.report(command)
        step = self._try(command)
        if not step.code:
            return
        if step.code in _TIMED_OUT:
            message = f"`{command[:80]}` took too long or too much memory"
            raise failed("install", message, step.output, command=command)
        if not reduce:
            raise failed("install", f"`{command[:80]}` failed", step.output, command=command)
        before = len(self.worked)
        parts = _parts(command)
        for part in parts:
            if (result := self._try(part)).code:
                self._drop(part, result)
        if is_project(command) and not any(map(is_project, self.worked[before:])):
            self._dependencies_only(command, step)
        elif not parts:
            self._drop(command, step)

    def add(self, requirement: str) -> bool:
        """Install a requirement that the project does not state; return whether that worked."""
        command = f"uv pip install {shlex.quote(requirement)}"
        self.report(command)
        return not self._try(command).code

    def _try(self, command: str) -> BenchResult:
        step = self._bench.run(command, variables=variables_of(command, self._variables))
        if step.code:
            self.clean = False
        else:
            self.worked.append(command)
        return step

    def _drop(self, command: str, step: BenchResult) -> None:
        self.dropped.append(f"{command}: {decisive_line(step.output)}")

    def _dependencies_only(self, command: str, step: BenchResult) -> None:
        """Install the dependencies of a project that cannot be built, to import it by its path."""
        fallback = "uv pip install -r pyproject.toml"
        if self._try(fallback).code:
            what = (
                "the project cannot be installed; write how into a recipe and give it with --recipe"
            )
            raise failed("install", what, step.output, command=command)
        for name in extras_of(command):
            self._try(f"{fallback} --extra {shlex.quote(name)}")
        self._drop(command, step)


def extras_of(command: str) -> list[str]:
    """Return the extras in `uv pip install -e '.[a,b]'`."""
    found = re.search(r"-e '?\.\[(.*?)\]", command)
    return found[1].split(",") if found else []


def variables_of(command: str, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of an install command: a dependency that is built has its own version."""
    own = is_project(command)
    return {name: value for name, value in variables.items() if own or "VERSION" not in name}


def is_project(command: str) -> bool:
    """Whether a command installs the project itself."""
    return re.search(r"(^|\s)(-e|--editable)\b", command) is not None


def _parts(command: str) -> list[str]:
    """Split an install command: the project alone, then each extra; else each requirement."""
    words = shlex.split(command)
    if words[:3] != ["uv", "pip", "install"]:
        return []
    if extras := extras_of(command):
        bare = re.sub(r"'?\.\[.*?\]'?", ".", command)
        return [bare, *(bare.replace("-e .", f"-e '.[{name}]'") for name in extras)]
    if len(words) > 4 and not any(word.startswith("-") for word in words[3:]):
        return [f"uv pip install {shlex.quote(word)}" for word in words[3:]]
    return []
