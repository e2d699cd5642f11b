"""How many tasks are still wanted of a family, a file, a function."""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping

from forager.mutation.candidates import Candidate


class Room:
    """Counts what was taken against what may be taken."""

    def __init__(
        self, targets: Mapping[str, int], per_function: int | None, per_file: int | None
    ) -> None:
        self._targets = targets
        self._per_function = per_function
        self._per_file = per_file
        self._taken: Counter[Hashable] = Counter()

    def has(self, candidate: Candidate) -> bool:
        """Whether a candidate may still become a task."""
        bounds = self._bounds(candidate)
        return all(bound is None or self._taken[key] < bound for key, bound in bounds)

    def take(self, candidate: Candidate) -> None:
        """A candidate became a task."""
        self._taken.update(key for key, _ in self._bounds(candidate))

    def is_full(self, families: set[str]) -> bool:
        """Whether there are targets, and those of these families are reached."""
        wanted = families & self._targets.keys()
        return bool(self._targets) and all(
            self._taken[family] >= self._targets[family] for family in wanted
        )

    def _bounds(self, candidate: Candidate) -> Iterator[tuple[Hashable, int | None]]:
        yield candidate.family, self._targets.get(candidate.family)
        if not candidate.parts:  # the parts of a combined bug were counted as they were taken
            yield ("file", candidate.file), self._per_file
            yield ("function", candidate.file, candidate.function), self._per_function
