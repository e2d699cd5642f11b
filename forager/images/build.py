"""From a SOURCE to an image whose tests pass.

The steps: fetch, infer the recipe, install in a build container, look for copies of the project
outside the repository, ask pytest for the tests, reduce the repository to one commit, commit the
image, run the tests twice in fresh sandboxes, and slowly those that ask a clock. Code of the
project runs in containers only: with network until then, without in the tests. No cache is shared
between builds, so that no project can write into another's.
"""

import hashlib
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import docker
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from forager.errors import BuildError, SourceError
from forager.images.base import PYTHON_LABEL, ensure_base
from forager.images.builder import Builder, RecipeFailed, RepairStep
from forager.images.image import Image, stored
from forager.images.infer import infer
from forager.images.layout import monorepo_packages, required_python
from forager.images.reasons import explained
from forager.images.recipe import Recipe
from forager.images.repairs import Repairs
from forager.images.rules import RULES
from forager.images.settings import BuildSettings
from forager.images.slowed import with_slow_failures
from forager.images.source import Source, fetch, tracked_files
from forager.images.unproven import accepted, identity
from forager.images.workshop import RecipeTrial, Workshop
from forager.locks import locked
from forager.paths import data_directory
from forager.records import RecordWriter
from forager.sandboxes.engine import connect
from forager.scratch import scratch
from forager.text import ending

_PYTHONS = ("3.12", "3.13", "3.11", "3.14", "3.10", "3.9", "3.8")  # the most likely to work first
_DEFAULT = BuildSettings()


def build(
    source: str,
    *,
    recipe: Recipe | None = None,
    settings: BuildSettings = _DEFAULT,
    builders: Sequence[Builder] = (RULES,),
    report: Callable[[str], None] = lambda _: None,
) -> Image:
    """Build the image of a source, or return the one that the same source and recipe gave before.

    Without a `recipe`, the project's files give one, and the `builders` repair it where it fails.
    `report` receives each step. Raises SourceError for a source that holds no tests, BuildError
    (with the log's telling lines) for one that does not come to pass.
    """
    started = time.monotonic()
    client = connect()
    with scratch("source") as directory:
        tree = directory / "testbed"
        report(f"fetching {source}")
        fetched = fetch(source, tree)
        chosen = recipe or _inferred(source, tree)
        if memory := settings.memory_bytes:
            chosen = chosen.model_copy(update={"memory": memory})
        base = ensure_base(client, chosen.python, report)
        if recipe is None:
            chosen, base = _suited(client, tree, chosen, base, report)
        key = _key(fetched, chosen, identity(client, base), tree)
        with locked(f"image-{key}"):
            known = stored(key)
            if known and not settings.force and identity(client, known.digest):
                report(f"{known.reference} was built before")
                return accepted(known, settings.minimum_pass)
            with Workshop(client, fetched, tree, key, settings, report) as workshop:
                trial = _tried(workshop, chosen, None if recipe else builders)
                return _proven(source, tree, trial, settings, started)


def _tried(workshop: Workshop, recipe: Recipe, builders: Sequence[Builder] | None) -> RecipeTrial:
    """Try a recipe as a person wrote it, or an inferred one, which the builders repair."""
    if builders is None:
        trial = workshop.attempt(recipe, search=False)
        try:
            return workshop.confirm(trial)
        except BaseException:
            trial.remove()
            raise
    path = data_directory() / "repairs.jsonl"

    def record(step: RepairStep) -> None:
        with RecordWriter(path, wait=True) as file:
            file.append(step)

    return Repairs(workshop, recipe, record).run(builders)


def _proven(
    source: str, tree: Path, trial: RecipeTrial, settings: BuildSettings, started: float
) -> Image:
    """Record the image of a trial. Raises BuildError with the reason if it is not sound."""
    first, second, sound = trial.first, trial.second, trial.failure.sound
    if trial.unproven is None or first is None or second is None or not sound:
        trial.remove()
        packages = [] if "#subdirectory=" in source else monorepo_packages(tree)
        failure = trial.failure.model_copy(update={"packages": packages})
        raise explained(source, failure) from RecipeFailed(failure)
    left = started + settings.timeout - time.monotonic()
    try:
        second = with_slow_failures(tree, trial.unproven, first, second, left)
    except BaseException:
        trial.remove()
        raise
    return trial.unproven.prove(first, second, settings.minimum_pass, started)


def _inferred(source: str, tree: Path) -> Recipe:
    """Infer the recipe. Whatever the files of a project do to that, it is the project's fault."""
    try:
        return infer(tree)
    except SourceError as error:
        raise SourceError(f"{source}: {error}") from None
    except Exception as error:
        place = ending(traceback.format_exc())
        raise SourceError(
            f"{source}: no recipe can be inferred from its files, write one for --recipe: {place}"
        ) from error


def _suited(
    client: docker.DockerClient,
    tree: Path,
    recipe: Recipe,
    base: str,
    report: Callable[[str], None],
) -> tuple[Recipe, str]:
    """Choose another Python if the project excludes the base's and another is available."""
    wanted = required_python(tree)
    version = client.images.get(base).labels.get(PYTHON_LABEL, "")
    try:
        if not wanted or SpecifierSet(wanted).contains(version):
            return recipe, base
        fitting = [minor for minor in _PYTHONS if SpecifierSet(wanted).contains(f"{minor}.9")]
    except InvalidSpecifier:
        fitting = []
    for python in fitting:
        try:
            found = ensure_base(client, python, report)
        except BuildError:  # neither a registry nor Debian nor uv has it
            continue
        return recipe.model_copy(update={"python": python}), found
    report(f"the project requires Python {wanted}; trying the base's {version}")
    return recipe, base


def _key(source: Source, recipe: Recipe, base: str, tree: Path) -> str:
    text = "\0".join(
        (source.name, source.digest, recipe.model_dump_json(exclude_defaults=True), base)
    )
    if any(name.endswith((".pyc", ".pyo")) for name in tracked_files(tree)):
        text += "\0byte code"  # which earlier images lack
    return hashlib.sha256(text.encode()).hexdigest()[:16]
