"""The labels of repository tasks."""

import io
from collections.abc import Sequence

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from forager.environments.repository.mutation import Difficulty, Mutation, Part
from forager.environments.task import Labels


def repository_labels(kind: str, repo: str, mutation: Mutation | None, patch: str = "") -> Labels:
    """The labels of a task: of its mutation, else its kind and the files that its fix changes."""
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
    """What is known of how hard a bug is to find; yes and no become 1 and 0."""
    if difficulty is None:
        return {}
    return {name: float(value) for name, value in difficulty if value is not None}


def _changed_files(patch: str) -> list[str]:
    """Paths that a patch changes; none of one that is malformed."""
    try:
        return [file.path for file in PatchSet(io.StringIO(patch, newline="\n"))]
    except UnidiffParseError:
        return []
