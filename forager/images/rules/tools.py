"""Build tools and pytest in the versions that a project expects."""

import re
import shlex

from forager.images.builder import Diagnosis, SourceProject
from forager.images.distributions import distribution, missing_modules
from forager.images.layout import read_toml, strings, table
from forager.images.recipe import Recipe
from forager.images.reducing import is_project
from forager.images.rules.rule import Proposals, with_commands

# Build constraints, by what a log says of newer versions.
_CONSTRAINTS = {
    r"No module named '?pkg_resources": "setuptools<81",
    r"use_2to3 is invalid|error in .{1,80} setup command: use_2to3": "setuptools<58",
    r"Cython\.Compiler\.Errors|Cython\.Distutils.{0,40}old_build_ext|cython_sources": "cython<3",
    r"No module named '?distutils\.(msvccompiler|ccompiler)|setuptools\.command\.(test|build_py)'|"
    r"No module named 'setuptools\.(?:command\.test|_distutils)|bdist_wininst": "setuptools<60",
    r"module 'configparser' has no attribute 'SafeConfigParser'|"
    r"Invalid (?:dash|version)|InvalidVersion|License-Files|project\.license": "setuptools<66",
}
_OLDER = ("pytest<9", "pytest<8", "pytest<7")  # forager's runner works with pytest 6
_PYTEST_TOO_NEW = re.compile(  # in the message of an error: tracebacks always name pytest's files
    r"^(?!.*\.py:\d+: in).*\b(?:ImportError|AttributeError|TypeError|\w*Warning)\b.*"
    r"(?:_pytest\b|PluginValidation|PytestRemovedIn|PytestDeprecation|pluggy\b|"
    r"keyword argument '(?:path|fspath)'|'fspath')|"
    r"PluginValidationError|PytestRemovedIn\w+|Direct construction of \S+ has been deprecated",
    re.MULTILINE,
)


def build_tools(_: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose constraints for the tools that build the project or its dependencies."""
    if failure.stage != "install" or not failure.command.startswith("uv pip install"):
        return
    for pattern, constraint in _CONSTRAINTS.items():
        if match := re.search(pattern, failure.log):
            changed = _constrained(failure.command, constraint)
            yield (
                _replaced(recipe, failure.command, changed),
                f"{match[0]}: builds with {constraint}",
            )


def without_isolation(project: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose to build in the environment itself if the build imports what it does not state."""
    if failure.stage != "install" or not is_project(failure.command):
        return
    missing = {
        requirement
        for name in missing_modules(failure.log)
        if (requirement := distribution(project.tree, name))
    }
    if not missing or "--no-build-isolation" in failure.command:
        return
    stated = strings(
        table(read_toml(project.tree, "pyproject.toml"), "build-system").get("requires")
    )
    needed = ["setuptools<81", "wheel", *stated, *sorted(missing)]
    changed = failure.command.replace("uv pip install", "uv pip install --no-build-isolation", 1)
    recipe = _replaced(recipe, failure.command, changed)
    yield (
        with_commands(recipe, f"uv pip install {shlex.join(needed)}", first=True),
        f"the build imports {', '.join(sorted(missing))}, which it does not state",
    )


def pytest_anew(_: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose a newer pytest if the one that the project asks for does not load."""
    if failure.stage == "install" and "import pytest" in failure.command:
        yield (
            with_commands(recipe, "uv pip install --upgrade pytest py"),
            "the pytest that the project asks for does not load",
        )


def older_pytest(_: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose the pytests before if the tests do not work with this one."""
    commands = [f"uv pip install --upgrade '{older}' py" for older in _OLDER]
    tried = max(
        (commands.index(word) + 1 for word in recipe.install if word in commands), default=0
    )
    new = _PYTEST_TOO_NEW.search(f"{failure.message}\n{failure.log}")
    if new and failure.stage != "install":
        for command in commands[tried:]:
            reason = f"the tests are older than this pytest: {new[0][:200]}"
            yield with_commands(recipe, command), reason


def _constrained(command: str, constraint: str) -> str:
    """The command with one more constraint of its builds."""
    before = re.search(r"--build-constraints <\(printf '%s\\n' ([^)]*)\)", command)
    if before:
        return command.replace(before[1], f"{before[1]} {shlex.quote(constraint)}", 1)
    option = f"--build-constraints <(printf '%s\\n' {shlex.quote(constraint)})"
    return command.replace("uv pip install", f"uv pip install {option}", 1)


def _replaced(recipe: Recipe, command: str, changed: str) -> Recipe:
    install = [changed if word == command else word for word in recipe.install]
    return recipe.model_copy(update={"install": install})
