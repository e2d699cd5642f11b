"""The steps in the build container: install the project, remove the traces."""

import json
import re
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from forager.environments.repository.objects import ATTRIBUTES
from forager.errors import BuildError
from forager.images.collection import ask_in
from forager.images.distributions import distribution
from forager.images.git import IDENTITY
from forager.images.layout import import_root, likely_tests, links_outside, modules, project_name
from forager.images.recipe import Recipe
from forager.images.source import Source, tracked_files
from forager.images.suite import find_suite
from forager.images.workbench import (
    OWNED_BY_ROOT,
    PYTHON,
    TOOLS,
    VENV,
    Workbench,
    archive,
    telling_lines,
    tree_archive,
)
from forager.programs import copies, copy_name, names, program
from forager.sandboxes.sandbox import WORKDIR

_TIME = 946684800  # of all files: 2000-01-01, the date of the commits of tasks
# Exactly one commit: no history, remote or reflog that could hold an answer. Files that the build
# left in the tree are excluded, so that a diff holds only the agent's work.
_REPOSITORY = f"""set -e
cd {WORKDIR}
rm -rf .git
git -c init.templateDir= init -q -b main .
git config core.hooksPath /dev/null
mkdir -p .git/info && printf %s {shlex.quote(ATTRIBUTES)} >.git/info/attributes
xargs -0 -r sh -c 'for f; do [ -e "$f" ] || [ -L "$f" ] && printf "%s\\0" "$f"; done; true' sh \\
    <{TOOLS}/files >/tmp/present
git --literal-pathspecs add -f --pathspec-from-file=/tmp/present --pathspec-file-nul
git -c core.logAllRefUpdates=false commit -q --allow-empty --no-gpg-sign -m 'Initial commit'
git config --unset core.hooksPath
"""
# The tree gets one modification time: a bug that is put in later gets it, too, and does not show.
_CLEAN = f"""cd {WORKDIR}
git ls-files -z -o -- '*.py[co]' ':(glob)**/__pycache__/**' | xargs -0 -r rm -f
find . -name __pycache__ -type d -empty -delete
for name in build dist .eggs .pytest_cache .mypy_cache .ruff_cache .hypothesis .tox .nox; do
    [ -n "$(git ls-files -- "$name" | head -1)" ] || rm -rf "$name"
done
rm -rf ~/.cache ~/.local ~/.config ~/.cargo ~/.npm
mkdir -p .git/info
git ls-files --others --exclude-standard --directory | sed 's|^|/|' >.git/info/exclude
rm -rf .git/logs .git/ORIG_HEAD
find . ! -path ./.git/index -exec touch -h -d @{_TIME} {{}} +
"""
# Prints, as JSON, files outside the working tree that equal a file of the project, and modules of
# its name in site-packages.
_COPIES = f"""
import hashlib, json, os, sys
sources, names = json.load(open("{TOOLS}/modules.json"))
def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).digest()
sizes, own = set(), set()
for source in sources:
    path = os.path.join("{WORKDIR}", source)
    if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) > 200:
        sizes.add(os.path.getsize(path))
        own.add(digest(path))
found = []
for top in ("{VENV}", "/home", "/root", "/opt", "/usr/local", "/srv", "/var"):
    for directory, children, files in os.walk(top):
        children[:] = [c for c in children if os.path.join(directory, c) != "{TOOLS}"]
        if os.path.basename(directory) == "site-packages":
            found += [os.path.join(directory, c) for c in children if c in names]
            found += [os.path.join(directory, f) for f in files if f.partition(".")[0] in names]
        for name in files:
            path = os.path.join(directory, name)
            try:
                if not os.path.islink(path) and os.path.getsize(path) in sizes:
                    if digest(path) in own:
                        found.append(path)
            except OSError:
                pass
print(json.dumps(sorted(set(found))))
"""
_FACTS = """
import importlib.metadata, platform
packages = {d.name for d in importlib.metadata.distributions()}
print("facts", platform.python_version(), len(packages))
"""


_PYTEST = f"{PYTHON} -c 'import pytest'"
_COMPILE = f"{PYTHON} -m compileall -q {VENV}/lib >/dev/null"
_SOURCES = f"{TOOLS}/programs"  # forager's
_COMPILED = f"{TOOLS}/cache/programs"  # in the agent's directory
_OLD_SETUPTOOLS = "setuptools<81"
_NO_PKG_RESOURCES = "No module named 'pkg_resources'"  # setup.py imports it
_NEWER_PYTEST = "uv pip install --upgrade pytest py"


class Installed(NamedTuple):
    """The result of an install."""

    recipe: Recipe  # as far as it worked
    commit: str
    dropped: list[str]
    notes: list[str]
    python_version: str
    package_count: int


def install(
    bench: Workbench,
    tree: Path,
    source: Source,
    recipe: Recipe,
    *,
    reduce: bool,
    report: Callable[[str], None],
) -> Installed:
    """Install a source tree in the bench.

    `reduce` skips requirements that cannot be installed, which suits an inferred recipe, but not
    one that a person wrote. Raises BuildError with the lines of the log that say why.
    """
    files = _bring(bench, tree, source)
    if recipe.system:
        report(f"installing {' '.join(recipe.system)}")
        _install_system(bench, recipe.system)
    variables = {**_versions(tree, source.version), **recipe.variables}
    worked: list[str] = []
    dropped: list[str] = []
    for command in recipe.install:
        report(command)
        done, lost = _install_step(bench, command, variables, reduce=reduce)
        worked += done
        dropped += lost
    if reduce and bench.run(_PYTEST, directory="/").code:
        report("the pytest that the project asks for does not load: taking a newer one")
        worked += _install_step(bench, _NEWER_PYTEST, variables, reduce=reduce)[0]
    recipe = recipe.model_copy(update={"install": worked})
    if dropped and not any(_is_project(command) for command in worked):
        recipe = _by_path(recipe, tree)
    recipe, notes = _without_copies(bench, tree, files, recipe)
    bench.check(_PYTEST, failure="pytest is not installed")
    if reduce:
        recipe, told = _with_tests(bench, tree, files, recipe, report)
        recipe, notes = _without_copies(bench, tree, files, recipe)
        notes = [*told, *notes]
    commit = _seal(bench)
    output = bench.check(f"{PYTHON} -c {shlex.quote(_FACTS)}")
    facts = re.search(r"^facts ([\w.+]{1,20}) (\d{1,6})$", output, re.M)
    version, count = (facts[1], int(facts[2])) if facts else ("", 0)
    return Installed(recipe, commit, dropped, notes, version, count)


def _bring(bench: Workbench, tree: Path, source: Source) -> list[str]:
    """Put the tracked files into the bench as a repository of one commit, with a version tag."""
    files = tracked_files(tree)
    # Not by the engine, which refuses links that lead outside.
    bench.put(archive({"tree.tar": (tree_archive(tree, files), 0o644)}), TOOLS)
    bench.check(f"tar -x -p -f {TOOLS}/tree.tar -C {WORKDIR}")
    bench.check(f"rm {TOOLS}/tree.tar", user="root")
    names = "".join(f"{name}\0" for name in files).encode(errors="surrogateescape")
    bench.put(archive({"files": (names, 0o644)}), TOOLS)
    _make_repository(bench)
    if re.fullmatch(r"[\w.]+", source.version):
        version = source.version
        bench.check(f"git tag {version} && git tag v{version}", directory=WORKDIR)
    return files


def _make_repository(bench: Workbench) -> None:
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in IDENTITY.items())
    bench.check(exports + _REPOSITORY, failure="the repository cannot be made")


def _install_system(bench: Workbench, packages: list[str]) -> None:
    bench.check(
        "export DEBIAN_FRONTEND=noninteractive; apt-get update -q && "
        f"apt-get install -y -q --no-install-recommends {shlex.join(packages)} && "
        "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb",
        user="root",
        failure=f"Debian lacks some of {' '.join(packages)}: correct `system` in the recipe",
    )


def _versions(tree: Path, version: str) -> dict[str, str]:
    """The variables that tell version tools the version, as there is no history to ask."""
    told = version or "0.0.0"
    name = re.sub(r"[-_.]+", "_", project_name(tree)).upper()
    scoped = {f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{name}": told} if name else {}
    general = ("SETUPTOOLS_SCM_PRETEND_VERSION", "PDM_BUILD_SCM_VERSION", "PBR_VERSION")
    more = ("HATCH_VCS_PRETEND_VERSION", "POETRY_DYNAMIC_VERSIONING_BYPASS")
    return scoped | dict.fromkeys((*general, *more), told)


def _install_step(
    bench: Workbench, command: str, variables: dict[str, str], *, reduce: bool
) -> tuple[list[str], list[str]]:
    """Run an install command, or the parts that work; return those, and the dropped ones."""
    if not _is_project(command):  # a dependency that is built has its own version
        variables = {name: value for name, value in variables.items() if "VERSION" not in name}
    step = bench.run(command, variables=variables)
    if not step.code:
        return [command], []
    if reduce and _NO_PKG_RESOURCES in step.output and (older := _with_old_setuptools(command)):
        return _install_step(bench, older, variables, reduce=reduce)
    parts = _parts(command) if reduce else []
    if step.code in (124, 137):
        raise BuildError(f"`{command[:80]}` took too long or too much memory", step.output[-2000:])
    if not reduce or (not parts and not _is_project(command)):
        if reduce:
            return [], [command]
        raise BuildError(f"`{command[:80]}` failed", telling_lines(step.output))
    worked: list[str] = []
    dropped: list[str] = []
    for part in parts:
        if bench.run(part, variables=variables).code:
            dropped.append(part)
        else:
            worked.append(part)
    if _is_project(command) and not any(_is_project(part) for part in worked):
        return _dependencies_only(bench, command, step.output)
    return worked, dropped


def _with_old_setuptools(command: str) -> str:
    """The command with builds by a setuptools that has pkg_resources; empty if it has them."""
    constrained = f"uv pip install --build-constraints <(echo {shlex.quote(_OLD_SETUPTOOLS)})"
    return "" if constrained in command else command.replace("uv pip install", constrained, 1)


def _dependencies_only(bench: Workbench, command: str, output: str) -> tuple[list[str], list[str]]:
    """Install the dependencies of a project that cannot be built, to import it by its path."""
    fallback = "uv pip install -r pyproject.toml"
    if bench.run(fallback).code:
        what = "the project cannot be installed; write how into a recipe and give it with --recipe"
        raise BuildError(what, telling_lines(output))
    extras = [f"{fallback} --extra {shlex.quote(name)}" for name in _extras(command)]
    return [fallback, *(extra for extra in extras if not bench.run(extra).code)], [command]


def _extras(command: str) -> list[str]:
    """Return the extras in `uv pip install -e '.[a,b]'`."""
    found = re.search(r"-e '?\.\[(.*?)\]", command)
    return found[1].split(",") if found else []


def _parts(command: str) -> list[str]:
    """Split an install command: the project alone, then each extra; else each requirement."""
    words = shlex.split(command)
    if words[:3] != ["uv", "pip", "install"]:
        return []
    if extras := _extras(command):
        return ["uv pip install -e .", *(f"uv pip install -e '.[{name}]'" for name in extras)]
    if len(words) > 4 and not any(word.startswith("-") for word in words[3:]):
        return [f"uv pip install {shlex.quote(word)}" for word in words[3:]]
    return []


def _is_project(command: str) -> bool:
    return re.search(r"(^|\s)(-e|--editable)\b", command) is not None


def _by_path(recipe: Recipe, tree: Path) -> Recipe:
    root = f"{WORKDIR}/{import_root(tree)}".rstrip("/")
    return recipe.model_copy(update={"variables": {"PYTHONPATH": root, **recipe.variables}})


def _with_tests(
    bench: Workbench,
    tree: Path,
    files: list[str],
    recipe: Recipe,
    report: Callable[[str], None],
) -> tuple[Recipe, list[str]]:
    """Ask pytest for the tests; add them, and the plug-ins that they need, to the recipe."""
    report("asking pytest which tests there are")
    installed: list[str] = []

    def add(requirement: str) -> bool:
        command = f"uv pip install {shlex.quote(requirement)}"
        report(command)
        worked = not bench.run(command, variables=recipe.variables).code
        installed.extend([command] if worked else [])
        return worked

    suite = find_suite(
        ask_in(bench, recipe.variables),
        add,
        partial(distribution, tree),
        files,
        likely_tests(tree),
        links_outside(tree, files),
    )
    added = {
        "install": [*recipe.install, *installed],
        "tests": suite.arguments,
        "protected": suite.protected,
    }
    return recipe.model_copy(update=added), suite.notes


def _without_copies(
    bench: Workbench, tree: Path, files: list[str], recipe: Recipe
) -> tuple[Recipe, list[str]]:
    """Make sure that no copy of the project, which would hold answers, is outside the tree."""
    sources = [name for name in files if name.endswith((".py", ".pyx", ".c"))]
    names = modules(tree)
    content = json.dumps([sources, names]).encode()
    bench.put(archive({"modules.json": (content, 0o644)}), TOOLS)
    command = f"python3 -I -c {shlex.quote(_COPIES)}"  # the system's Python, as root runs it
    copies = json.loads(bench.check(command, user="root"))
    own = [path for path in copies if _inside_site(path) in names]
    name = project_name(tree)
    if own and name:
        bench.run(f"uv pip uninstall {shlex.quote(name)}")
        recipe = _by_path(recipe, tree)
        copies = json.loads(bench.check(command, user="root"))
        own = [path for path in copies if _inside_site(path) in names]
    if own:
        raise BuildError(
            f"{own[0]} is a copy of the project: install the project with -e, so that bugs are "
            "put in and fixed in one place"
        )
    return recipe, [f"{path} equals a file of the project" for path in copies]


def _inside_site(path: str) -> str:
    """Return the module that a path in site-packages belongs to."""
    return path.partition("/site-packages/")[2].partition("/")[0].partition(".")[0]


def _seal(bench: Workbench) -> str:
    """Remove the build's files and processes, make the only commit, and return its id.

    Installed files become root's, so that no test or agent can change them. Their byte code is
    complete: nobody could add to it later.
    """
    bench.check("pkill -KILL -u agent; true", user="root")
    _make_repository(bench)
    bench.check(_CLEAN, failure="the working tree cannot be cleaned")
    bench.run(_COMPILE, directory="/")
    compiled = _compile_programs(bench)
    bench.check("pkill -KILL -u agent; true", user="root")
    bench.check(OWNED_BY_ROOT, user="root")
    if compiled:
        _keep_programs(bench)
    bench.check("rm -rf /root/.cache /root/.config /root/.local; true", user="root")
    commit = bench.check("git rev-parse HEAD", directory=WORKDIR).strip()
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise BuildError("the repository has no commit", commit[-1000:])
    return commit


def _compile_programs(bench: Workbench) -> bool:
    """Compile forager's programs with the image's Python; whether it could.

    Root runs nothing that the project installed, so the result is the agent's first.
    """
    bench.check(f"mkdir {_SOURCES}", user="root")
    sources = {copy_name(name): (program(name), 0o644) for name in names()}
    compiler = {"compiler": (program("compiler"), 0o644)}
    bench.put(archive(sources | compiler), _SOURCES)
    paths = " ".join(f"{_SOURCES}/{name}" for name in sources)
    command = f"{PYTHON} -I -S {_SOURCES}/compiler {_COMPILED} {paths}"
    return not bench.run(command, directory="/").code


def _keep_programs(bench: Workbench) -> None:
    """Copy the compiled programs to where sandboxes look for them, as root's."""
    paths = " ".join(f"{_COMPILED}/{copy_name(name)}" for name in names())
    bench.check(f"umask 022; install -D -m 644 -t {copies(PYTHON)} {paths}", user="root")
