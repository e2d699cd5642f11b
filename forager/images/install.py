"""The steps in the build container: install the project, ask for its tests, seal the result."""

import re
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from forager.environments.repository.services import packages_of, starting
from forager.errors import BuildError, SourceError
from forager.images.builder import RecipeFailed, failed
from forager.images.collection import ask_in
from forager.images.distributions import distribution
from forager.images.host import has_torch_index
from forager.images.layout import likely_tests, links_outside, project_name, read_text
from forager.images.own_copies import by_path, without_copies
from forager.images.pins import constraints
from forager.images.recipe import Recipe
from forager.images.reducing import Steps, is_project
from forager.images.sealing import make_repository, seal
from forager.images.soundness import test_functions
from forager.images.source import Source, tracked_files
from forager.images.suite import find_suite, stated_suite
from forager.images.vetting import Vetting
from forager.images.workbench import (
    PYTHON,
    TOOLS,
    WITHOUT_LISTS,
    Workbench,
    archive,
    tree_archive,
)
from forager.sandboxes.sandbox import WORKDIR

_FACTS = """
import importlib.metadata, platform
packages = {d.name for d in importlib.metadata.distributions()}
print("facts", platform.python_version(), len(packages))
"""
_PINS = "constraints.txt"
_PYTEST = f"{PYTHON} -c 'import pytest'"


class Installed(NamedTuple):
    """The result of an install."""

    recipe: Recipe
    stated: Recipe
    """The recipe as far as it worked, before pytest was asked for tests."""
    commit: str
    dropped: list[str]
    notes: list[str]
    python_version: str
    package_count: int
    clean: bool
    """Whether the commands of the recipe were the only ones that ran."""


def install(
    bench: Workbench,
    tree: Path,
    source: Source,
    recipe: Recipe,
    *,
    search: bool,
    reduce: bool,
    report: Callable[[str], None],
) -> Installed:
    """Install a source tree in the bench.

    `search` asks pytest for the tests that the recipe does not state, installs what they need, and
    protects them; `reduce` skips requirements that cannot be installed. Both suit an inferred
    recipe, but not one that a person wrote. Raises RecipeFailed.
    """
    files = _bring(bench, tree, source)
    vetting = Vetting(bench, tree, files, recipe) if recipe.untrusted else None
    if packages := debian_packages(recipe):
        report(f"installing {' '.join(packages)}")
        _install_system(bench, packages)
    if recipe.directories:
        bench.check(f"install -d -o agent -g agent {shlex.join(recipe.directories)}", user="root")
    if recipe.lock:
        _pin(bench, tree, recipe.lock)
    steps = Steps(bench, install_variables(tree, source, recipe), report)
    for command in recipe.install:
        steps.run(command, reduce=reduce)
    stated = recipe = _as_it_worked(recipe, steps, tree)
    if vetting:
        vetting.check()  # before the tests are looked for, which takes longer
    try:
        recipe, notes = without_copies(bench, tree, files, recipe)
        _check_pytest(bench)
        if search:
            recipe, told = _with_tests(steps, bench, tree, files, recipe)
            recipe, notes = without_copies(bench, tree, files, recipe)
            notes = [*told, *notes]
    except RecipeFailed as error:
        error.recipe, error.dropped = stated, steps.dropped
        raise
    if vetting:
        vetting.purge()
    commit = seal(bench)
    if vetting:
        vetting.check()
    version, count = _facts(bench)
    return Installed(recipe, stated, commit, steps.dropped, notes, version, count, steps.clean)


def _as_it_worked(recipe: Recipe, steps: Steps, tree: Path) -> Recipe:
    """The recipe of the commands that worked."""
    recipe = recipe.model_copy(update={"install": [*steps.worked]})
    whole = not steps.dropped or any(map(is_project, steps.worked))
    return recipe if whole else by_path(recipe, tree)


def _check_pytest(bench: Workbench) -> None:
    loaded = bench.run(_PYTEST, directory="/")
    if loaded.code:
        raise failed("install", "pytest cannot be imported", loaded.output, command=_PYTEST)


def _facts(bench: Workbench) -> tuple[str, int]:
    """The version of Python, and the number of installed distributions."""
    output = bench.check(f"{PYTHON} -c {shlex.quote(_FACTS)}")
    facts = re.search(r"^facts ([\w.+]{1,20}) (\d{1,6})$", output, re.M)
    return (facts[1], int(facts[2])) if facts else ("", 0)


def install_variables(tree: Path, source: Source, recipe: Recipe) -> dict[str, str]:
    """The variables of the install commands."""
    newest = {"UV_EXCLUDE_NEWER": recipe.exclude_newer} if recipe.exclude_newer else {}
    pinned = {"UV_CONSTRAINT": f"{TOOLS}/{_PINS}"} if recipe.lock else {}
    torch = {"UV_TORCH_BACKEND": "cpu"} if _names_torch(tree) and has_torch_index() else {}
    return {**_versions(tree, source.version), **newest, **pinned, **torch, **recipe.variables}


def _pin(bench: Workbench, tree: Path, lock: str) -> None:
    """Put the constraints of a lock file into the bench. Raises RecipeFailed if it has none."""
    pins = constraints(tree, lock)
    if not pins:
        raise failed("install", f"the lock file {lock} pins no versions of an index")
    bench.put(archive({_PINS: ("\n".join(pins).encode(), 0o644)}), TOOLS)


def _names_torch(tree: Path) -> bool:
    """Whether the project's requirements may bring PyTorch."""
    files = [*tree.glob("*requirements*.txt"), *tree.glob("requirements/*.txt")]
    files += [tree / name for name in ("pyproject.toml", "setup.py", "setup.cfg")]
    return any(re.search(r"\btorch", read_text(path.parent, path.name)) for path in files)


def _bring(bench: Workbench, tree: Path, source: Source) -> list[str]:
    """Put the tracked files into the bench as a repository of one commit, with a version tag."""
    files = tracked_files(tree)
    # Not by the engine, which refuses links that lead outside.
    bench.put(archive({"tree.tar": (tree_archive(tree, files), 0o644)}), TOOLS)
    bench.check(f"tar -x -p -f {TOOLS}/tree.tar -C {WORKDIR}")
    bench.check(f"rm {TOOLS}/tree.tar", user="root")
    names = "".join(f"{name}\0" for name in files).encode(errors="surrogateescape")
    bench.put(archive({"files": (names, 0o644)}), TOOLS)
    make_repository(bench)
    if tagging := version_tags(source):
        bench.check(tagging, directory=WORKDIR)
    return files


def version_tags(source: Source) -> str:
    """The command that tags the commit with the version, or "" if it has none."""
    version = source.version
    return f"git tag {version} && git tag v{version}" if re.fullmatch(r"[\w.]+", version) else ""


def debian_packages(recipe: Recipe) -> list[str]:
    """The Debian packages of a recipe, with those of its services."""
    return [*recipe.system, *packages_of(recipe.services)]


def _install_system(bench: Workbench, packages: list[str]) -> None:
    step = bench.run(
        f"export DEBIAN_FRONTEND=noninteractive; {bench.apt} update -q && "
        f"{bench.apt} install -y -q --no-install-recommends {shlex.join(packages)} && "
        + WITHOUT_LISTS,
        user="root",
        directory="/",
    )
    if step.code:
        message = f"Debian lacks some of {' '.join(packages)}: correct `system` in the recipe"
        raise failed("install", message, step.output, command="apt-get install")


def _versions(tree: Path, version: str) -> dict[str, str]:
    """The variables that tell version tools the version, as there is no history to ask."""
    told = version or "0.0.0"
    name = re.sub(r"[-_.]+", "_", project_name(tree)).upper()
    scoped = {f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{name}": told} if name else {}
    general = ("SETUPTOOLS_SCM_PRETEND_VERSION", "PDM_BUILD_SCM_VERSION", "PBR_VERSION")
    more = ("HATCH_VCS_PRETEND_VERSION", "POETRY_DYNAMIC_VERSIONING_BYPASS")
    return scoped | dict.fromkeys((*general, *more), told)


def _with_tests(
    steps: Steps, bench: Workbench, tree: Path, files: list[str], recipe: Recipe
) -> tuple[Recipe, list[str]]:
    """Ask pytest for the tests; add them, and the plug-ins that they need, to the recipe."""
    steps.report("asking pytest which tests there are")
    if recipe.services:
        bench.run(starting(recipe.services), directory="/")
    before = len(steps.worked)
    try:
        ask = ask_in(bench, recipe.variables)
        if recipe.tests:
            suite = stated_suite(ask, files, recipe.tests)
        else:
            suite = find_suite(
                ask,
                steps.add,
                partial(distribution, tree),
                files,
                test_functions(tree, likely_tests(tree)),
                links_outside(tree, files),
            )
    except (BuildError, SourceError) as error:
        log = f"{error}\n{getattr(error, 'log', '')}"
        raise failed("collect", str(error), log) from error
    added = {
        "install": [*recipe.install, *steps.worked[before:]],
        "tests": suite.arguments,
        "protected": recipe.protected or suite.protected,
    }
    return recipe.model_copy(update=added), suite.notes
