"""Data sets as the Hugging Face Hub lays them out: Parquet or JSON Lines, and a card.

`datasets.load_dataset(DIRECTORY)` loads them. The card is generated from the attempts while they
are written: counts, filters, licences, contamination, and how to load them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from forager.atomic import new_directory
from forager.trajectories.export import AttemptOrigin, needed
from forager.trajectories.record import Trajectory

if TYPE_CHECKING:
    import pyarrow

_PARQUET_FILES = "data/train-*.parquet"
FILE_SIZE = 400 << 20  # bytes per file, about what the Hub's own tools write
_UNKNOWN = "unknown"


@dataclass
class DatasetFacts:
    """Counts attempts as they pass."""

    origin: AttemptOrigin
    attempts: int = 0
    resolved: int = 0
    suspect: int = 0
    tasks: set[str] = field(default_factory=set)
    models: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    transforms: Counter[str] = field(default_factory=Counter)
    licences: dict[str, str] = field(default_factory=dict)
    contaminated: dict[str, str] = field(default_factory=dict)

    def of(self, attempts: Iterable[Trajectory]) -> Iterator[Trajectory]:
        """The attempts, each counted once it was taken."""
        for attempt in attempts:
            yield attempt
            self._count(attempt)

    def _count(self, attempt: Trajectory) -> None:
        self.attempts += 1
        self.resolved += attempt.outcome.resolved
        self.suspect += bool(attempt.outcome.suspect)
        self.tasks.add(attempt.instance_id)
        self.models[attempt.model] += 1
        self.kinds[attempt.kind or attempt.environment] += 1
        self.ends[attempt.outcome.exit_reason] += 1
        self.transforms.update(set(attempt.transforms))
        task = self.origin.tasks.get(attempt.instance_id)
        self.licences[attempt.repo or attempt.environment] = (task and task.licence) or _UNKNOWN
        if task and task.contaminated:
            self.contaminated[attempt.repo] = task.contaminated

    def card(self, title: str, files: str, columns: str) -> str:
        """The card of a data set with these files and columns, in Markdown."""
        share = f" ({self.resolved / self.attempts:.0%})" if self.attempts else ""
        counts = {
            "attempts": f"{self.attempts:,}",
            "tasks": f"{len(self.tasks):,}",
            "resolved": f"{self.resolved:,}{share}",
            "suspect": f"{self.suspect:,}",
            "models": _listed(self.models),
            "kinds of tasks": _listed(self.kinds),
            "how attempts ended": _listed(self.ends),
        }
        chosen = [*self.origin.choices, *(f"transform `{name}`" for name in self.transforms)]
        parts = [
            _front(files, self.attempts),
            f"# {title}\n",
            f"{self.attempts:,} graded attempts at software engineering tasks, written by forager. "
            "A row is an attempt. `resolved` is a fact and not a filter: hidden tests decided it "
            "in a fresh sandbox. A suspect answer passes all tests and may forge its result; it is "
            "not resolved unless someone accepted it.\n",
            "## Load it\n",
            "```python\nfrom datasets import load_dataset\n\n"
            'attempts = load_dataset("DIRECTORY or owner/name", split="train")\n```\n',
            f"## Columns\n\n{columns}\n",
            "## Counts\n",
            _table(("what", "count"), counts.items()),
            "## Filters\n",
            "\n".join(f"- {choice}" for choice in chosen) or "None: all attempts of the runs.",
            "\n## Licences\n",
            "The licence of a project holds for its code in the attempts.\n",
            _table(("project", "licence"), sorted(self.licences.items())),
            "## Contamination\n",
            self._contamination(),
        ]
        return "\n".join(parts).rstrip() + "\n"

    def _contamination(self) -> str:
        if self.contaminated:
            warning = "Do not train on these projects if you evaluate on the benchmarks.\n\n"
            return warning + _table(("project", "reason"), sorted(self.contaminated.items()))
        known = self.tasks & set(self.origin.tasks)
        if known != self.tasks:
            return f"Unknown for {len(self.tasks - known):,} tasks, whose records are not here."
        return "No task is of a project on forager's list of benchmarks."


def write_data_set(
    target: Path,
    batches: "Iterable[pyarrow.RecordBatch]",
    schema: "pyarrow.Schema",
    facts: DatasetFacts,
    title: str,
    columns: str,
) -> int:
    """Write a directory with Parquet files and a card of this title; return the number of rows.

    `facts` count the attempts as the batches are taken. Raises UsageError if pyarrow is missing.
    """
    with new_directory(target) as part:
        count = _write_parquet(batches, schema, part)
        card = facts.card(title, _PARQUET_FILES, columns)
        (part / "README.md").write_text(card, encoding="utf-8")
    return count


def _write_parquet(
    batches: "Iterable[pyarrow.RecordBatch]", schema: "pyarrow.Schema", part: Path
) -> int:
    """Write `data/train-*.parquet` into a directory; return the number of rows."""
    with needed("pyarrow"):
        from pyarrow.parquet import ParquetWriter
    count = files = 0
    file = None
    data = part / "data"
    data.mkdir()
    for batch in batches:
        if file is None:
            path = data / f"train-{files:05}.parquet"
            file = ParquetWriter(path, schema, compression="zstd")
            files += 1
        file.write_batch(batch)
        count += batch.num_rows
        if path.stat().st_size >= FILE_SIZE:
            file.close()
            file = None
    if file is not None:
        file.close()
    return count


def _front(files: str, count: int) -> str:
    """The front matter that the Hub reads."""
    bounds = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
    size = next((name for most, name in bounds.items() if count < most), "1M<n<10M")
    return f"""---
configs:
- config_name: default
  data_files:
  - split: train
    path: {files}
license: other
task_categories: [text-generation]
size_categories: [{size}]
tags: [agent, trajectories, code, forager]
---
"""


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common(20))


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    """Two columns in Markdown; texts of projects cannot leave their cell."""
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in rows]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
