"""How many more tasks a family, a file and a function may have."""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping

from forager.mutation.candidates import Candidate, Sketch


class Quota:
    """Counts tasks against `targets` by family and the limits per function and file."""

    def __init__(
        self, targets: Mapping[str, int], per_function: int | None, per_file: int | None
    ) -> None:
        self._targets = targets
        self._per_function = per_function
        self._per_file = per_file
        self._taken: Counter[Hashable] = Counter()

    def has(self, candidate: Candidate | Sketch) -> bool:
        """Whether a candidate may still become a task."""
        bounds = self._bounds(candidate)
        return all(bound is None or self._taken[key] < bound for key, bound in bounds)

    def take(self, candidate: Candidate) -> None:
        """Count a candidate that became a task."""
        self._taken.update(key for key, _ in self._bounds(candidate))

    def is_full(self, families: set[str]) -> bool:
        """Whether targets exist and these families have reached theirs."""
        wanted = families & self._targets.keys()
        return bool(self._targets) and all(
            self._taken[family] >= self._targets[family] for family in wanted
        )

    def _bounds(self, candidate: Candidate | Sketch) -> Iterator[tuple[Hashable, int | None]]:
        yield candidate.family, self._targets.get(candidate.family)
        if not candidate.parts:  # the parts of a combined bug were counted as single bugs
            yield ("file", candidate.file), self._per_file
            yield ("function", candidate.file, candidate.function), self._per_function
