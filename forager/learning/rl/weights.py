"""The weights that the sampler has: those of the last step, or the base before the first one."""

from collections.abc import Callable
from pathlib import Path

from forager.errors import StoreError
from forager.learning.rl.learner import Learner
from forager.learning.rl.sampler import Sampler, VersionGate
from forager.learning.saved import digest

_LOAD = "load"  # why requests are held back


class PolicyWeights:
    """Loads the weights of a step into the sampler, between requests, which `gate` lets through.

    `announce` is called with the step whose weights are loaded.
    """

    def __init__(
        self, learner: Learner, sampler: Sampler, base: Path, announce: Callable[[int], None]
    ) -> None:
        self._learner, self._sampler, self._base = learner, sampler, base
        self._announce = announce
        self.gate = VersionGate()

    def check(self, step: int, wanted: str) -> None:
        """Wait until the weights of a step are there.

        Raises StoreError if their digest is not the wanted one.
        """
        self._learner.wait(step)
        path = self._learner.model(step)
        if digest(path) != wanted:
            raise StoreError(f"{path} has changed since it was trained; delete it, and run again")

    def load(self, step: int) -> None:
        """Load the weights of a step; 0 is the base."""
        self.gate.close(_LOAD)
        try:
            self._sampler.load(self._learner.model(step) if step else self._base, step)
            self.gate.version = step
            self._announce(step)
        finally:
            self.gate.open(_LOAD)
