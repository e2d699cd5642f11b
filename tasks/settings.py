"""What decides which bugs become tasks, beyond the command line's options: a TOML file."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from forager.errors import UsageError
from forager.mutation.bands import Bands
from forager.records import Record
from forager.trajectories.record import Sampling

_Count = Annotated[int, Field(ge=1)]
_TABLES: dict[str, type[Record]] = {"difficulty": Bands, "sampling": Sampling}


class Settings(Record):
    """Which bugs become tasks, and how a model writes."""

    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {}, description="Families take turns in this proportion; the others are left out."
    )
    targets: dict[str, _Count] = Field(
        {}, description="Tasks of each family; the others are left out."
    )
    per_function: _Count | None = Field(None, description="Most tasks of one function.")
    per_file: _Count | None = Field(None, description="Most tasks of one file.")
    difficulty: Bands = Bands()
    sampling: Sampling = Sampling()

    def shares(self) -> dict[str, float] | None:
        """The weights of the families; None: even."""
        counts = {family: float(count) for family, count in self.targets.items()}
        return self.weights or counts or None


def load(path: Path) -> Settings:
    """Read a settings file; UsageError names the key that is wrong."""
    try:
        return Settings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            known = _TABLES.get(str(first["loc"][0]), Settings)
            message = f"no such key; there are {', '.join(known.model_fields)}"
        raise UsageError(f"{path}: {key}: {message}") from None
