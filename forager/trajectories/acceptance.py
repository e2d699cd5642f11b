"""Which suspect attempts count as resolved.

An attempt is suspect if it passes all tests, but its answer contains code that only a forger of
results needs. It counts as failed. A person who has read its patch accepts it with `forager replay
RUN/ID --accept`, which tags it `accepted` in `RUN/marks.jsonl`, or accepts all suspect attempts
for one command with `--accept-suspect`. Records on the disk do not change: readers apply the
acceptance.
"""

from pathlib import Path
from typing import Any

from forager.trajectories.marks import Marks
from forager.trajectories.record import Trajectory

ACCEPTED = "accepted"
"""The tag of attempts that a person accepts."""

_REWARD = 1.0


class Acceptance:
    """The suspect attempts of a run or file that count as resolved: all, or those tagged so."""

    def __init__(self, source: Path | None = None, *, everything: bool = False) -> None:
        self._marks = Marks(source) if source else None
        self._everything = everything

    @property
    def ids(self) -> frozenset[str]:
        """The attempts that a person accepted; `everything` accepts others as well."""
        if self._marks is None:
            return frozenset()
        self._marks.refresh()
        return self._marks.ids([ACCEPTED])

    def columns(self) -> dict[str, str]:
        """SQL for the fields of a summary that acceptance changes; `accepted` holds the ids."""
        chosen = "1" if self._everything else "id IN (SELECT id FROM temp.accepted)"
        taken = f"suspect <> '' AND {chosen}"
        return {
            "resolved": f"(resolved OR ({taken}))",
            "reward": f"CASE WHEN NOT resolved AND {taken} THEN {_REWARD} ELSE reward END",
        }

    def applied(self, attempt: Trajectory) -> Trajectory:
        """The attempt, resolved if it is suspect and accepted."""
        outcome = attempt.outcome
        if outcome.resolved or not outcome.suspect:
            return attempt
        if not (self._everything or attempt.id in self.ids):
            return attempt
        update: dict[str, Any] = {"resolved": True, "reward": _REWARD}
        return attempt.model_copy(update={"outcome": outcome.model_copy(update=update)})
