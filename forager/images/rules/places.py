"""Directories and variables that a project expects of its machine."""

import re
from pathlib import Path

from forager.images.builder import Diagnosis, SourceProject
from forager.images.layout import read_text
from forager.images.recipe import OWN_DIRECTORIES, Recipe
from forager.images.rules.rule import Proposals, with_variables

_DENIED = re.compile(r"(?:Permission denied|No such file or directory): '/([a-z][\w-]{0,40})[/']")
_KEY = re.compile(r"KeyError: '([A-Z][A-Z0-9_]{2,40})'")
_NAME = r"[\"'`$]*([A-Z][A-Z0-9]{1,20}(?:_[A-Z0-9]{1,20}){1,6})[\"'`]*"
_TOLD = re.compile(
    rf"{_NAME} (?:as an )?env(?:ironment)?[ -]?var(?:iable)?s?\b|"
    rf"\benv(?:ironment)?[ -]?var(?:iable)?s? {_NAME}|{_NAME} (?:must be|is not|not|isn't) set\b",
)
_CONFTESTS = (".", "test", "tests")  # folders; of their errors a log has only the last line
_MOST = 8


def directories(_: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose the directories at the root that tests want to write to."""
    found = {f"/{match[1]}" for match in _DENIED.finditer(failure.log)}
    new = sorted(found - {*recipe.directories, *OWN_DIRECTORIES})[:_MOST]
    if new:
        changed = recipe.model_copy(update={"directories": [*recipe.directories, *new]})
        yield changed, f"there is no directory {', '.join(new)}"


def variables(project: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose variables that the environment lacks, with the values that the project's CI gives."""
    if failure.stage == "install":
        return
    names = {match[match.lastindex or 0] for match in _TOLD.finditer(failure.log)}
    read = [failure.log, *(read_text(project.tree / name, "conftest.py") for name in _CONFTESTS)]
    if any("environ" in text for text in read):
        names |= {match[1] for match in _KEY.finditer(failure.log)}
    if names := names - {*recipe.variables}:
        found = {name: _stated(project.tree, name) for name in sorted(names)[:_MOST]}
        yield with_variables(recipe, found), f"the environment lacks {', '.join(found)}"


def _stated(tree: Path, name: str) -> str:
    """The value of a variable in the files that configure tests; `test` if none states one."""
    paths = [*(tree / ".github" / "workflows").glob("*.y*ml"), *tree.glob(".env*")]
    paths += [tree / "tox.ini", tree / "Makefile", tree / "docker-compose.yml"]
    for path in sorted(paths):
        text = read_text(path.parent, path.name)
        found = re.search(
            rf"^\s*(?:export )?{name}\s*[:=]\s*['\"]?([\w.:/@+-]+)", text, re.MULTILINE
        )
        if found:
            return found[1]
    return "test"
