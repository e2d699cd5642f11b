"""From a SOURCE to an image whose tests pass.

The steps: fetch, infer the recipe, install in a build container, look for copies of the project
outside the repository, ask pytest for the tests, reduce the repository to one commit, commit the
image, run the tests twice in fresh sandboxes. Code of the project runs in containers only: with
network until then, without in the tests. No cache is shared between builds, so that no project can
write into another's.
"""

import hashlib
import json
import re
import shlex
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import docker
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from forager.errors import BuildError, SourceError
from forager.images.base import CHANGES, PYTHON_LABEL, ensure_base
from forager.images.image import Image, stored
from forager.images.infer import infer
from forager.images.install import install
from forager.images.layout import required_python
from forager.images.recipe import Recipe, options
from forager.images.settings import BuildSettings
from forager.images.source import Source, fetch, tracked_files
from forager.images.unproven import UnprovenImage, accepted, identity
from forager.images.workbench import Workbench
from forager.locks import locked
from forager.sandboxes.engine import connect
from forager.scratch import scratch
from forager.text import ending

_PYTHONS = ("3.12", "3.13", "3.11", "3.14", "3.10", "3.9", "3.8")  # the most likely to work first
_DEFAULT = BuildSettings()
_PYTEST_TOO_NEW = r"_pytest\b|PluginValidationError|PytestRemovedIn|PytestDeprecation|pluggy\b"


def build(
    source: str,
    *,
    recipe: Recipe | None = None,
    settings: BuildSettings = _DEFAULT,
    report: Callable[[str], None] = lambda _: None,
) -> Image:
    """Build the image of a source, or return the one that the same source and recipe gave before.

    `report` receives each step. Raises SourceError for a source that holds
    no tests, BuildError (with the log's telling lines) for one that does not come to pass.
    """
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
        builder = _Builder(client, fetched, tree, base, settings, report)
        try:
            return builder.build(chosen, reduce=recipe is None)
        except BuildError as error:
            if recipe is not None or not re.search(_PYTEST_TOO_NEW, error.log):
                raise
        report("the tests are older than this pytest: trying one before")
        older = [*chosen.install, "uv pip install --upgrade 'pytest<9' py"]
        return builder.build(chosen.model_copy(update={"install": older}), reduce=True)


class _Builder(NamedTuple):
    """The inputs that all builds of one source share."""

    client: docker.DockerClient
    source: Source
    tree: Path
    base: str
    settings: BuildSettings
    report: Callable[[str], None]

    def build(self, recipe: Recipe, *, reduce: bool) -> Image:
        """Return the image of this recipe: an earlier one, or a new one."""
        started = time.monotonic()
        key = _key(self.source, recipe, identity(self.client, self.base), self.tree)
        with locked(f"image-{key}"):
            known = stored(key)
            if known and not self.settings.force and identity(self.client, known.digest):
                self.report(f"{known.reference} was built before")
                return accepted(known, self.settings.minimum_pass)
            unproven = self._installed(recipe, key, reduce=reduce)
            return unproven.prove(self.settings.minimum_pass, started)

    def _installed(self, recipe: Recipe, key: str, *, reduce: bool) -> UnprovenImage:
        """Install the project and commit the image, still without a name."""
        memory = max(recipe.memory, 2 << 30)  # compilers need more than tests
        with Workbench(
            self.client, self.base, memory=memory, timeout=self.settings.timeout
        ) as bench:
            try:
                installed = install(
                    bench, self.tree, self.source, recipe, reduce=reduce, report=self.report
                )
            except SourceError as error:
                raise SourceError(f"{self.source.given}: {error}") from None
            except BuildError as error:
                raise BuildError(f"{self.source.given}: {error}", error.log) from error
            digest = bench.commit(
                [
                    *CHANGES,
                    f"LABEL forager.image={key}",
                    f"LABEL forager.source={json.dumps(self.source.given)}",
                    # so that plain `pytest` works inside
                    f"ENV PYTEST_ADDOPTS={_quoted(shlex.join(options(recipe.tests)))}",
                ]
            )
        return UnprovenImage(
            self.client, self.source, self.base, key, installed, digest, self.report
        )


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
        python = fitting[0]
        return recipe.model_copy(update={"python": python}), ensure_base(client, python, report)
    except (InvalidSpecifier, IndexError, BuildError):
        report(f"the project requires Python {wanted}; trying the base's {version}")
        return recipe, base


def _key(source: Source, recipe: Recipe, base: str, tree: Path) -> str:
    text = "\0".join((source.name, source.digest, recipe.model_dump_json(), base))
    if any(name.endswith((".pyc", ".pyo")) for name in tracked_files(tree)):
        text += "\0byte code"  # which earlier images lack
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _quoted(text: str) -> str:
    """Quote a value for the ENV instruction, which expands variables."""
    return json.dumps(text).replace("$", "\\$")
