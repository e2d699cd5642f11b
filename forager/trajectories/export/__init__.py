"""Attempts in the formats of other software, one attempt in memory at a time.

A format is a module with a function `write(attempts, target)` that returns the number of attempts
it wrote. That of a data set takes their origin, too. Other packages add such functions as entry
points of `forager.exporters`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from forager.errors import UsageError
from forager.plugins import plugins

if TYPE_CHECKING:
    from forager.environments.task import Task
    from forager.trajectories.record import Trajectory

_GROUP = "forager.exporters"
Write = Callable[["Iterable[Trajectory]", Path], int]

FORMATS = {
    "parquet": "one file with a row per attempt; messages and calls are nested columns",
    "jsonl": "one file with a line per attempt, in the format of forager",
    "hf": "a directory for `datasets.load_dataset` and the Hugging Face Hub",
    "adp": "the same, as trajectories of the Agent Data Protocol 1.5",
    "swe-smith": "the same, in the columns of SWE-smith's trajectories",
    "open-swe-traces": "the same, in the columns of Open-SWE-Traces",
    "sharegpt": "a directory that serves as `dataset_dir` of LLaMA-Factory",
    "atif": "a directory with a file per attempt, in Harbor's ATIF 1.8",
    "swe-agent": "directories of SWE-agent's .traj and .pred files, one per attempt number",
    "swe-bench": "a directory of SWE-bench predictions, one file per attempt number",
}


DATA_SETS = ("hf", "adp", "swe-smith", "open-swe-traces")
"""Formats that are data sets of the Hub, with a card that tells where attempts come from."""


@dataclass(frozen=True)
class AttemptOrigin:
    """Where the attempts of an export come from.

    `tasks` are those of their runs by instance_id; `choices` say how the attempts were chosen.
    """

    tasks: "Mapping[str, Task]" = field(default_factory=dict)
    choices: Sequence[str] = ()


def formats() -> dict[str, str]:
    """The formats with a line about each, those of entry points of `forager.exporters` included."""
    others = entry_points(group=_GROUP)
    return {**FORMATS, **{entry.name: f"of {entry.value.partition(':')[0]}" for entry in others}}


def writer(format: str, origin: AttemptOrigin) -> Write:
    """Import a format's `write`; a data set's card tells of the origin. Raises UsageError."""
    for plugin in plugins(_GROUP, format) if format not in FORMATS else ():
        found: Write = plugin.object
        return found
    write: Callable[..., int] = import_module(f"{__name__}.{format.replace('-', '_')}").write
    return partial(write, origin=origin) if format in DATA_SETS else write


@contextmanager
def needed(package: str) -> Iterator[None]:
    """Raise UsageError that says what to install if an import in the block fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(f"this format needs {package}: pip install -e '.[export]'") from error


def write_once(path: Path, text: str) -> None:
    """Write the file of one attempt. Raises UsageError if another attempt has taken the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(
            f"two attempts would be the file {path.name}; export the runs one by one"
        ) from None


def file_name(id: str) -> str:
    """Return an id as a file name; characters that a path may not hold are percent-encoded."""
    return quote(id, safe=" []()+,=@") if id not in (".", "..") else quote(id).replace(".", "%2E")
