"""Settings of the makers of tasks; a TOML file gives those of mutate-fix (`--config`)."""

from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field

from forager.config import load_settings
from forager.mutation.bands import Bands
from forager.records import Record
from forager.trajectories.record import Sampling

_Count = Annotated[int, Field(ge=1)]


class MutateFixSettings(Record):
    """Which bugs become tasks, and how a model samples."""

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


class IssueFixSettings(Record):
    """Which commits may be fixes, and how long proofs may take."""

    max_files: int = Field(
        20,
        ge=2,
        validation_alias=AliasChoices("max_files", "most_files"),
        description="Maximum number of files of a fix.",
    )
    suite_seconds: float = Field(
        120.0,
        ge=0,
        description="Run only the changed test files if the whole suite takes longer than this.",
    )
    build_timeout: float = Field(
        900.0, gt=0, description="Seconds that the installation of an image may take."
    )
    max_fix_names: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Most that a problem statement may have of the names that the fix introduces.",
    )
    max_fix_run: int = Field(
        6, ge=0, description="Most words in a row that it may share with lines of the fix."
    )
    max_test_run: int = Field(
        7, ge=0, description="Most words in a row that it may share with lines of the tests."
    )


def load(path: Path) -> MutateFixSettings:
    """Read a settings file. Raises UsageError that names the wrong key."""
    return load_settings(path, MutateFixSettings)
