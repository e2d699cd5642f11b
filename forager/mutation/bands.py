"""Which bugs are hard enough but not too hard: a band for each measure of difficulty."""

from typing import Literal

from pydantic import field_validator

from forager.environments.repository.mutation import Difficulty
from forager.records import Record

Choice = bool | Literal["any"]


class Bands(Record):
    """The measures of difficulty that a bug needs to become a task.

    A band is "2..5", "2.." or "..0.5", both ends included; an empty string accepts any number.
    If a measure of a bug is unknown, only the empty band accepts it.
    """

    failing: str = ""
    share: str = "..0.5"
    calls: str = ""
    files: str = ""
    patch_lines: str = ""
    in_traceback: Choice = "any"
    at_import: Choice = False

    @field_validator("failing", "share", "calls", "files", "patch_lines")
    @classmethod
    def _is_band(cls, value: str) -> str:
        try:
            low, high = _ends(value)
        except ValueError:
            raise ValueError(f'{value!r} is not a band: write "2..5", "2.." or "..5"') from None
        if low > high:
            raise ValueError(f"the band {value!r} is empty: {low:g} is more than {high:g}")
        return value

    def missed(self, difficulty: Difficulty) -> str:
        """Return the name of the first band that the bug lies outside, or ""."""
        for name, band in self:
            value = getattr(difficulty, name)
            if isinstance(band, str):
                outside = band not in ("", "any") and not _within(value, band)
            else:
                outside = value is not band
            if outside:
                return name
        return ""


def _within(value: float | None, band: str) -> bool:
    low, high = _ends(band)
    return value is not None and low <= value <= high


def _ends(band: str) -> tuple[float, float]:
    if not band:
        return float("-inf"), float("inf")
    low, dots, high = band.partition("..")
    if not dots or not (low or high):
        raise ValueError(band)
    return float(low or "-inf"), float(high or "inf")
