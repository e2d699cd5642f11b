"""The project of an image task on this machine, and what comes of the recipes for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from forager.config import resolve_settings
from forager.errors import (
    BuildError,
    EngineError,
    SandboxLost,
    SourceError,
    TaskError,
    Unreachable,
    UsageError,
)
from forager.images.agent_bench import RECIPE
from forager.images.builder import Diagnosis, SourceProject
from forager.images.recipe import Recipe
from forager.images.settings import BuildSettings
from forager.images.source import fetch
from forager.images.vetting import untrusted
from forager.images.workshop import Workshop
from forager.sandboxes.engine import connect
from forager.scratch import scratch
from forager.untrusted import Malformed, toml_value

_LONGEST = 1 << 20  # characters of a recipe
_SECONDS = 7200  # of all builds together in one attempt


def parsed(text: str) -> Recipe:
    """The recipe that a model wrote. Raises UsageError that says what is wrong."""
    if not text.strip():
        raise UsageError(f"{RECIPE} is missing, empty or too long")
    try:
        given = toml_value(text, _LONGEST)
    except Malformed as error:
        raise UsageError(f"{RECIPE} is not TOML: {error}") from None
    return untrusted(resolve_settings(Recipe, given, f"{RECIPE}: "))


@contextmanager
def fetched(
    source: str, digest: str = "", report: Callable[[str], None] = lambda _: None
) -> Iterator[SourceProject]:
    """A project for the time of the block.

    Raises SourceError, and TaskError if the source has other files than those of the digest.
    """
    with scratch("source") as directory:
        tree = directory / "testbed"
        found = fetch(source, tree)
        if digest not in ("", found.digest):
            raise TaskError(f"{source} has other files now than the task ({digest})")
        key = found.digest.partition(":")[2][:16]
        with Workshop(connect(), found, tree, key, BuildSettings(timeout=_SECONDS), report) as shop:

            def attempt(recipe: Recipe) -> Diagnosis:
                trial = shop.attempt(recipe, search=True)
                trial.remove()
                return trial.failure

            yield SourceProject(found, tree, attempt, report, shop.contents)


def attempted(project: SourceProject, recipe: Recipe) -> Diagnosis:
    """What comes of a recipe. Raises SandboxLost if the machine fails."""
    try:
        return project.attempt(recipe)
    except (EngineError, Unreachable) as error:
        raise SandboxLost(str(error)) from error
    except (BuildError, SourceError) as error:
        log = error.log if isinstance(error, BuildError) else ""
        return Diagnosis(stage="install", message=str(error), log=log)
