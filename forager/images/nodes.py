"""Builds of images on the nodes of a Ray cluster. Their records and failures come back."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import forager.errors
from forager.errors import BuildError, ForagerError, NodeLost
from forager.images.build import build
from forager.images.builder import Builder, Diagnosis, RecipeFailed, diagnosis_of
from forager.images.harvest import check_space
from forager.images.image import Image
from forager.images.recipe import Recipe
from forager.images.settings import BuildSettings
from forager.sandboxes.delivery import publish
from forager.sandboxes.engine import connect

_GIB = 2.0  # of a build whose settings name no memory
_LOSSES = 3  # nodes that may be lost under one build


class _Failure(NamedTuple):
    """An error of a build, as values that every process can read."""

    kind: str
    message: str
    log: str
    diagnosis: Diagnosis | None

    def error(self) -> ForagerError:
        """The error again."""
        kind = getattr(forager.errors, self.kind, BuildError)
        error: ForagerError = kind(self.message, self.log) if self.log else kind(self.message)
        if self.diagnosis:
            error.__cause__ = RecipeFailed(self.diagnosis)
        return error


def builds_on(
    ray: Any,
    settings: BuildSettings,
    builders: Sequence[Builder],
    *,
    recipe: Recipe | None = None,
    keep_free: int = 0,
) -> Callable[[str], Image]:
    """Return a function that builds a source on some node, and raises what `build` raises.

    Threads may call it at the same time; Ray finds a node that has room. Raises NodeLost if nodes
    are lost again and again. A node builds nothing with fewer than `keep_free` bytes on its disk.
    """
    memory = round((settings.memory or _GIB) * 2**30)
    remote = ray.remote(num_cpus=1, memory=memory, max_retries=_LOSSES)(_built)

    def make(source: str) -> Image:
        try:
            result = ray.get(remote.remote(source, settings, [*builders], recipe, keep_free))
        except ray.exceptions.RayTaskError:
            raise  # a bug
        except ray.exceptions.RayError as error:
            raise NodeLost(f"{source}: the node that built it is gone: {error}") from error
        if isinstance(result, _Failure):
            raise result.error()
        return Image.model_validate(result)

    return make


def _built(
    source: str,
    settings: BuildSettings,
    builders: list[Builder],
    recipe: Recipe | None,
    keep_free: int,
) -> Image | _Failure:
    """Build on this node, and put the image where the others find it."""
    try:
        check_space(connect(), keep_free)
        image = build(source, recipe=recipe, settings=settings, builders=builders)
        if settings.images:
            publish(image.reference, settings.images)
    except ForagerError as error:
        kind = BuildError if isinstance(error, RecipeFailed) else type(error)
        return _Failure(kind.__name__, str(error), getattr(error, "log", ""), diagnosis_of(error))
    return image
