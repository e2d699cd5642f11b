"""What a rule is."""

from collections.abc import Callable, Iterator

from forager.images.builder import Diagnosis, SourceProject
from forager.images.recipe import Recipe

Proposals = Iterator[tuple[Recipe, str]]
"""Changed recipes, each with the reason."""
Rule = Callable[[SourceProject, Recipe, Diagnosis], Proposals]


def with_packages(recipe: Recipe, packages: list[str]) -> Recipe:
    """The recipe with more Debian packages."""
    return recipe.model_copy(update={"system": list(dict.fromkeys([*recipe.system, *packages]))})


def with_commands(recipe: Recipe, *commands: str, first: bool = False) -> Recipe:
    """The recipe with more install commands, at the end or before the others."""
    install = [*commands, *recipe.install] if first else [*recipe.install, *commands]
    return recipe.model_copy(update={"install": install})


def with_variables(recipe: Recipe, variables: dict[str, str]) -> Recipe:
    """The recipe with more variables."""
    return recipe.model_copy(update={"variables": {**recipe.variables, **variables}})
