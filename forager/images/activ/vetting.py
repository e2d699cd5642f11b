"""From a project's workflow to one that `act` may run: a job, the jobs it needs, and nothing else.

`act` runs on the host and obeys what a workflow says: containers of any image with any options
(`container`, `services`, `docker://`), actions of Node or Docker, or the host itself. So only keys
that are known to be harmless are copied, and every action is replaced by a directory of ours: a
stand-in, or a copy of the project's own composite action, vetted the same way. A job cannot change
these, as act reads them on the host.
"""

import json
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from forager.images.activ.actions import OF_ACTIONS, STAND_INS
from forager.images.activ.commands import is_check, step_points
from forager.images.activ.matrix import Row, chosen_row, retargeted_text
from forager.images.activ.ranking import LikelyJob
from forager.images.activ.workflow import BadWorkflow, mapping
from forager.images.source import tracked_files
from forager.text import safe

_OWNER = "forager"  # of the actions that act sees
_MOST_STEPS = 80
_MOST_JOBS = 6
_DEEPEST = 4  # composite actions in each other
_MOST_OWN = 30  # of the project
_MOST_FILES, _LARGEST = 500, 1 << 20  # of a composite action
_NAME = re.compile(r"[A-Za-z_][\w-]{0,99}")
_SHELL = re.compile(r"(bash|sh|python)\b[\w .{}/-]*")
_HASHES = re.compile(r"hashFiles\([^()]{0,2000}\)")  # which need Node
_NEEDED = re.compile(r"\bneeds\.([\w-]{1,100})")
_MANAGED = ("UV_PYTHON_PREFERENCE", "UV_MANAGED_PYTHON", "UV_PYTHON_DOWNLOADS")  # Pythons of uv
_RUNNER = "ubuntu-latest"
_CHECKOUT = "actions/checkout@v4"  # which act does itself: it copies the tree
_CHECKOUTS = ("actions/checkout", "re-actors/checkout-python-sdist")

Values = dict[str, Any]


class Vetted(NamedTuple):
    """A workflow that may run, as JSON, which is YAML."""

    text: str
    event: str
    inputs: dict[str, str]
    actions: dict[str, Path]
    """Directories by the names under which the workflow uses them."""
    unknown: list[str]
    """Actions that do nothing here, though nobody knows that they may."""
    row: Row


def vetted(
    tree: Path,
    candidate: LikelyJob,
    python: str,
    into: Path,
    *,
    name: str = "activ",
    system: Sequence[str] = (),
) -> Vetted:
    """Return what runs a candidate's job with this Python, as a workflow of this name.

    Actions are written below `into`. `system` are Debian packages that the job begins with.
    """
    vetting = _Vetting(tree, python, into)
    jobs = vetting.jobs(candidate)
    event = "workflow_dispatch" if candidate.inputs else "push"
    stated = {name: {"type": "string", "default": ""} for name in candidate.inputs}
    content = {
        "name": name,
        "on": {event: {"inputs": stated}} if stated else event,
        "env": _variables(candidate.workflow.content.get("env"), python),
        **_defaults(candidate.workflow.content.get("defaults")),
        "jobs": jobs,
    }
    if system:
        first = {"run": f"apt-get install {shlex.join(system)}", "continue-on-error": True}
        jobs[candidate.job]["steps"].insert(0, first)
    row = jobs[candidate.job].get("strategy", {}).get("matrix", {}).get("include", [{}])[0]
    text = json.dumps(content)
    return Vetted(text, event, candidate.inputs, vetting.actions, sorted(vetting.unknown), row)


class _Vetting:
    """Replaces actions, and counts the unknown ones."""

    def __init__(self, tree: Path, python: str, into: Path) -> None:
        self._tree, self._python, self._into = tree, python, into
        self.actions: dict[str, Path] = {}
        self.unknown: set[str] = set()
        self._tracked = tracked_files(tree)
        self._own_kinds: dict[str, str] = {}  # by folder; empty for one that does nothing

    def jobs(self, candidate: LikelyJob) -> dict[str, Values]:
        """The job, and those whose outputs or artifacts it may use, without conditions."""
        known = candidate.workflow.jobs
        found: dict[str, Values] = {}
        waiting = [candidate.job]
        while waiting and len(found) < _MOST_JOBS:
            name = waiting.pop(0)
            job = known.get(name)
            if job is None or name in found:
                continue
            needs = _needs(job)
            steps = job.get("steps")
            if name == candidate.job:
                steps = _up_to_tests(self._tree, steps)
            found[name] = self._job(job, steps, [need for need in needs if need in known])
            waiting += needs
        for job in found.values():
            job["needs"] = [need for need in job["needs"] if need in found]
        return found

    def _job(self, job: Values, steps: Any, needs: list[str]) -> Values:
        strategy = job.get("strategy")
        matrix = strategy.get("matrix") if isinstance(strategy, dict) else None
        row = chosen_row(matrix, self._python, json.dumps(job))
        made: Values = {
            "runs-on": _RUNNER,
            "needs": needs,
            "env": _variables(job.get("env"), self._python),
            **_defaults(job.get("defaults")),
            "outputs": _variables(job.get("outputs"), self._python),
            "steps": list(self._steps(steps, 0)),
        }
        if not any(step.get("uses") == _CHECKOUT for step in made["steps"]):
            made["steps"].insert(0, {"uses": _CHECKOUT, "continue-on-error": True})
        return made | ({"strategy": {"matrix": {"include": [row]}}} if row else {})

    def _steps(self, steps: Any, depth: int) -> Iterator[Values]:
        """Yield the steps as they may run; each may fail, as the tests may be yet to come."""
        for step in steps[:_MOST_STEPS] if isinstance(steps, list) else []:
            if not isinstance(step, dict):
                continue
            made = self._run(step, depth) if "run" in step else self._use(step, depth)
            if not made:
                continue
            for key in ("if", "name"):
                if isinstance(step.get(key), str):
                    made[key] = _text(step[key])
            if isinstance(step.get("id"), str) and _NAME.fullmatch(step["id"]):
                made["id"] = step["id"]
            variables = _variables(step.get("env"), self._python)
            yield made | {"env": variables, "continue-on-error": True}

    def _run(self, step: Values, depth: int) -> Values:
        if not isinstance(step["run"], str):
            return {}
        made = {"run": retargeted_text(_text(step["run"]), self._python)}
        shell = step.get("shell")
        if isinstance(shell, str):
            if not _SHELL.fullmatch(shell):
                return {}  # of Windows
            made["shell"] = shell
        elif depth:
            made["shell"] = "bash"
        if isinstance(step.get("working-directory"), str):
            made["working-directory"] = _text(step["working-directory"])
        return made

    def _use(self, step: Values, depth: int) -> Values:
        used = step.get("uses")
        if not isinstance(used, str):
            return {}
        given = _variables(step.get("with"), self._python)
        name = used.partition("@")[0].strip().lower()
        if name in _CHECKOUTS and "repository" not in given:
            path = {"path": given["path"]} if "path" in given else {}
            return {"uses": _CHECKOUT, "with": path}
        if used.startswith("./") and depth < _DEEPEST:
            kind, stated = self._own(used, depth), given
        else:
            kind = OF_ACTIONS.get(name, "")
            stated = (
                {key: given[key] for key in STAND_INS[kind].inputs if key in given} if kind else {}
            )
        if not kind:
            self.unknown.add(safe(used)[:100])
            kind = "nothing"
        if kind in STAND_INS:
            self._keep(kind, STAND_INS[kind].action())
        return {"uses": f"{_OWNER}/{kind}@v1", "with": stated}

    def _own(self, used: str, depth: int) -> str:
        """Copy a composite action of the project; return its name here, or nothing."""
        place = PurePosixPath(used.removeprefix("./").partition("@")[0])
        if place.is_absolute() or ".." in place.parts:
            return ""
        if str(place) in self._own_kinds or len(self._own_kinds) >= _MOST_OWN:
            return self._own_kinds.get(str(place), "")
        self._own_kinds[str(place)] = ""  # meanwhile, for one that uses itself
        self._own_kinds[str(place)] = kind = self._vetted(place, depth)
        return kind

    def _vetted(self, place: PurePosixPath, depth: int) -> str:
        kind = f"own-{len(self._own_kinds)}"
        for name in ("action.yml", "action.yaml"):
            try:
                content = mapping(self._tree, str(place / name))
            except BadWorkflow:
                continue
            if action := self._composite(content, depth):
                self._copy(self._tree / place, kind)
                self._keep(kind, action)
                return kind
        return ""

    def _composite(self, content: Values, depth: int) -> Values:
        runs = content.get("runs")
        if not isinstance(runs, dict) or runs.get("using") != "composite":
            return {}
        return {
            "name": "own",
            "description": "own",
            "inputs": _declared(content.get("inputs"), "default"),
            "outputs": _declared(content.get("outputs"), "value"),
            "runs": {"using": "composite", "steps": [*self._steps(runs.get("steps"), depth + 1)]},
        }

    def _copy(self, folder: Path, kind: str) -> None:
        """Copy the files next to an action, which its commands may run."""
        into = self._into / kind
        names = [name for name in self._tracked if (self._tree / name).is_relative_to(folder)]
        for name in names[:_MOST_FILES]:
            path = self._tree / name
            to = into / path.relative_to(folder)
            if path.is_symlink() or path.stat().st_size > _LARGEST:
                continue
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, to)

    def _keep(self, kind: str, action: Values) -> None:
        folder = self._into / kind
        folder.mkdir(exist_ok=True)
        (folder / "action.yaml").unlink(missing_ok=True)
        (folder / "action.yml").write_text(json.dumps(action))
        self.actions[f"{_OWNER}/{kind}@v1"] = folder


def _up_to_tests(tree: Path, steps: Any) -> list[Any]:
    """The steps without those that only check the code, and without those after the tests."""
    listed = steps if isinstance(steps, list) else []
    running = [at for at, step in enumerate(listed) if step_points(tree, step)]
    end = running[-1] + 1 if running else len(listed)
    return [step for step in listed[:end] if not is_check(step)]


def _needs(job: Values) -> list[str]:
    """The jobs whose outputs a job reads; with artifacts, all that it waits for."""
    stated = job.get("needs")
    listed = [stated] if isinstance(stated, str) else stated if isinstance(stated, list) else []
    text = json.dumps(job)
    if "download-artifact" in text:
        return [str(need) for need in listed]
    return [need for need in dict.fromkeys(_NEEDED.findall(text)) if need in listed]


def _variables(value: Any, python: str) -> dict[str, str]:
    """Names and values; what is nested is left out."""
    pairs = value.items() if isinstance(value, dict) else ()
    return {
        name: retargeted_text(_text(text), python)
        for name, text in pairs
        if isinstance(text, str) and len(name) <= 200 and name not in _MANAGED
    }


def _defaults(value: Any) -> Values:
    run = value.get("run") if isinstance(value, dict) else None
    run = run if isinstance(run, dict) else {}
    kept = {key: run[key] for key in ("working-directory",) if isinstance(run.get(key), str)}
    shell = run.get("shell")
    if isinstance(shell, str) and _SHELL.fullmatch(shell):
        kept["shell"] = shell
    return {"defaults": {"run": kept}} if kept else {}


def _declared(value: Any, key: str) -> Values:
    pairs = value.items() if isinstance(value, dict) else ()
    return {
        name: {"description": "", key: _text(str(known.get(key, "")))}
        for name, known in pairs
        if isinstance(known, dict)
    }


def _text(text: str) -> str:
    return _HASHES.sub("'0'", text)
