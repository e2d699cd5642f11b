"""Files that the tree lacks: those of git submodules."""

from forager.errors import SourceError
from forager.images.builder import Diagnosis, SourceProject
from forager.images.layout import project_name
from forager.images.recipe import Recipe
from forager.images.rules.rule import Proposals
from forager.images.sdist import list_releases
from forager.images.submodules import missing_submodules


def submodules(project: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose the sdist of the same version, else of the newest, for the submodules' files."""
    name = project_name(project.tree)
    if recipe.submodules or failure.sound or not name or not missing_submodules(project.tree):
        return
    try:
        versions = [release.version for release in list_releases(name)]
    except SourceError:
        return
    same = [version for version in versions if version == project.source.version]
    for version in [*same, *versions[-1:]][:1]:
        chosen = recipe.model_copy(update={"submodules": f"{name}=={version}"})
        yield chosen, f"submodules are empty: taking their files from the sdist of {version}"
