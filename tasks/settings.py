"""Settings of mutate-fix tasks that a TOML file gives (`--settings`)."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from forager.config import load_settings
from forager.mutation.bands import Bands
from forager.records import Record
from forager.trajectories.record import Sampling

_Count = Annotated[int, Field(ge=1)]


class Settings(Record):
    """Which bugs become tasks, and how a model writes."""

    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {}, description="Proportion in which families take turns; the others are left out."
    )
    targets: dict[str, _Count] = Field(
        {}, description="Number of tasks of each family; the others are left out."
    )
    per_function: int | None = Field(
        None, ge=1, description="Maximum number of tasks of one function."
    )
    per_file: int | None = Field(None, ge=1, description="Maximum number of tasks of one file.")
    difficulty: Bands = Bands()
    sampling: Sampling = Sampling()

    def shares(self) -> dict[str, float] | None:
        """The weights of the families; None if they take turns evenly."""
        counts = {family: float(count) for family, count in self.targets.items()}
        return self.weights or counts or None


def load(path: Path) -> Settings:
    """Read a settings file; UsageError names the key that is wrong."""
    return load_settings(path, Settings)
