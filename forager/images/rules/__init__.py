"""The builder `rules`: mends what a log names, without a model."""

from collections.abc import Iterator, Sequence

from forager.images.builder import Diagnosis, RecipeChange, SourceProject
from forager.images.recipe import Recipe
from forager.images.rules.dates import dates, lock_file, old_python, other_python
from forager.images.rules.endings import crashes, long_suites, memory
from forager.images.rules.files import submodules
from forager.images.rules.modules import display, django, extras, fixtures, imports
from forager.images.rules.places import directories, variables
from forager.images.rules.rule import Rule
from forager.images.rules.services import services
from forager.images.rules.system import system_packages
from forager.images.rules.tools import build_tools, older_pytest, pytest_anew, without_isolation

_FIRST: tuple[tuple[str, Rule], ...] = (  # nothing is known of tests that did not run
    ("memory", memory),
    ("crashes", crashes),
    ("long suite", long_suites),
)
_ADDING: tuple[tuple[str, Rule], ...] = (  # which do not disturb each other
    ("system packages", system_packages),
    ("missing modules", imports),
    ("plug-ins", fixtures),
    ("display", display),
    ("services", services),
    ("directories", directories),
    ("variables", variables),
)
_OTHERS: tuple[tuple[str, Rule], ...] = (
    ("extras", extras),
    ("submodules", submodules),
    ("build tools", build_tools),
    ("build without isolation", without_isolation),
    ("Django settings", django),
    ("pytest anew", pytest_anew),
    ("older pytest", older_pytest),
    ("other Python", other_python),
    ("versions of the lock file", lock_file),
    ("versions of the date", dates),
    ("Python of the date", old_python),
)


_ENOUGH = 0.97  # share of passing tests from which a better one is not worth another build


class RuleBuilder:
    """Proposes what the rules that add something make together, then each rule's own changes."""

    name = "rules"

    def changes(
        self, project: SourceProject, recipe: Recipe, failure: Diagnosis
    ) -> Iterator[RecipeChange]:
        """Yield changes; the rules look at the failure and at the project's files."""
        if failure.sound and failure.passing >= _ENOUGH * failure.run:
            return
        yield from _each(_FIRST, project, recipe, failure)
        yield from _together(project, recipe, failure)
        yield from _each((*_ADDING, *_OTHERS), project, recipe, failure)


def _each(
    rules: Sequence[tuple[str, Rule]], project: SourceProject, recipe: Recipe, failure: Diagnosis
) -> Iterator[RecipeChange]:
    for name, rule in rules:
        for changed, reason in rule(project, recipe, failure):
            yield RecipeChange(changed, name, reason)


def _together(project: SourceProject, recipe: Recipe, failure: Diagnosis) -> Iterator[RecipeChange]:
    names, reasons = [], []
    for name, rule in _ADDING:
        for changed, reason in rule(project, recipe, failure):
            recipe = changed
            names.append(name)
            reasons.append(reason)
    if len(names) > 1:
        yield RecipeChange(recipe, ", ".join(names), "; ".join(reasons))


RULES = RuleBuilder()
