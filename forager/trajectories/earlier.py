"""Converts what earlier versions recorded, so that all readers see today's fields."""

from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo

from forager.environments.repository.labels import repository_labels
from forager.environments.repository.mutation import Mutation
from forager.environments.task import Labels


def _labels(given: Labels | dict[str, Any] | None, info: ValidationInfo) -> object:
    """Return labels, computed from a mutation if the attempt recorded one (null: a real bug)."""
    if isinstance(given, Labels) or (given is not None and "seed" not in given):
        return given
    mutation = None if given is None else Mutation.model_validate(given)  # which alone has a seed
    return repository_labels(info.data["kind"], info.data["repo"], mutation)


StoredLabels = Annotated[Labels, BeforeValidator(_labels)]
"""Labels, or the mutation from which they follow. Declare it after the fields `kind` and `repo`."""
