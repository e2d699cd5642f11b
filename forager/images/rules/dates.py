"""Versions of the lock file or of the commit's date, for projects that today's versions break."""

import re
from datetime import date

from forager.images.builder import Diagnosis, SourceProject
from forager.images.pins import lock_files
from forager.images.reasons import reason_of
from forager.images.recipe import Recipe
from forager.images.rules.rule import Proposals, with_commands

_DRIFT = (
    r"No solution found|Failed to build `|cannot import name|has no attribute|unexpected keyword|"
    r"DeprecationWarning|TypeError|ImportError|ModuleNotFoundError|positional argument|removed in"
)
_NOT_DRIFT = ("network", "service", "time limit", "memory", "settings")
_MOST_LOCKS = 2  # that are tried
_PYTHON_3_11 = date(2022, 10, 24)
_OLD_PYTHON, _NEW_PYTHON = "3.9", "3.13"  # which Debian has
_REMOVED = re.compile(  # by Pythons after 3.9
    r"module 'collections' has no attribute|cannot import name '\w+' from 'collections'|"
    r"module 'asyncio' has no attribute 'coroutine'|module 'inspect' has no attribute 'getargspec'|"
    r"No module named '(?:imp|asynchat|asyncore|smtpd|distutils|formatter|parser)'|"
    r"got an unexpected keyword argument 'loop'"
)
_ADDED = re.compile(  # by Pythons after 3.11
    r"cannot import name '(?:override|TypeAliasType|ReadOnly|TypeIs|deprecated|batched)' from "
    r"'(?:typing|warnings|itertools)'|requires a different Python|f-string: expecting '}'|"
    r"SyntaxError: expected '\('|Python>=3\.1[2-4]"
)


def lock_file(project: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose the versions of the project's own lock file."""
    if recipe.lock or recipe.exclude_newer or not _is_drift(failure):
        return
    for name in lock_files(project.tree)[:_MOST_LOCKS]:
        yield (
            recipe.model_copy(update={"lock": name}),
            f"today's versions do not work: those of {name}",
        )


def dates(project: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose the versions of the commit's date, with today's pytest and with that date's."""
    day = project.source.old_day
    if day is None or recipe.exclude_newer or recipe.lock or not _is_drift(failure):
        return
    dated = recipe.model_copy(update={"exclude_newer": day.isoformat()})
    reason = f"today's versions do not work: those of {day}"
    yield dated, reason
    if failure.stage != "install":
        yield with_commands(dated, "uv pip install --upgrade pytest", first=True), reason


def old_python(project: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose the Python of the commit's date."""
    day = project.source.old_day
    if day is None or day > _PYTHON_3_11 or recipe.python or not _is_drift(failure):
        return
    old = recipe.model_copy(
        update={"python": _OLD_PYTHON, "exclude_newer": recipe.exclude_newer or day.isoformat()}
    )
    yield old, f"the commit of {day} is older than the newer Pythons"


def other_python(_: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose an older Python for what newer ones removed, a newer one for what they added."""
    if failure.sound or recipe.python:
        return
    for pattern, python in ((_REMOVED, _OLD_PYTHON), (_ADDED, _NEW_PYTHON)):
        if match := pattern.search(f"{failure.message}\n{failure.log}"):
            changed = recipe.model_copy(update={"python": python})
            yield changed, f"{match[0]}: trying Python {python}"


def _is_drift(failure: Diagnosis) -> bool:
    if failure.sound or reason_of(failure).name in _NOT_DRIFT:
        return False
    most_fail = failure.stage == "test" and failure.broken is None
    return most_fail or re.search(_DRIFT, failure.log) is not None
