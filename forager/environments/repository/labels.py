"""Computes the labels of repository tasks."""

from collections.abc import Sequence

from unidiff.errors import UnidiffParseError

from forager.environments.repository.mutation import Difficulty, Mutation, Part
from forager.environments.repository.patches import parsed
from forager.environments.task import Labels


def repository_labels(kind: str, repo: str, mutation: Mutation | None, patch: str = "") -> Labels:
    """The labels of a task from its mutation, or else from its kind and the files of its fix."""
    if mutation is None:
        places = [f"{repo}:{path}" for path in _changed_files(patch)]
        return Labels(family=kind, repository=repo, functions=places)
    parts: Sequence[Mutation | Part] = mutation.parts or [mutation]
    return Labels(
        family=mutation.family,
        operator=mutation.operator,
        repository=repo,
        functions=sorted({f"{repo}:{part.file}:{part.function}" for part in parts}),
        location=f"{mutation.file}:{mutation.line}",
        difficulty={"bugs": len(parts), **_measures(mutation.difficulty)},
    )


def _measures(difficulty: Difficulty | None) -> dict[str, float]:
    """The known measures of difficulty; True and False become 1 and 0."""
    if difficulty is None:
        return {}
    return {name: float(value) for name, value in difficulty if value is not None}


def _changed_files(patch: str) -> list[str]:
    """The paths that a patch changes; empty for a malformed patch."""
    try:
        return [file.path for file in parsed(patch)]
    except UnidiffParseError:
        return []
