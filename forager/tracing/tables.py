"""Traces as Parquet: one file, or a directory for `datasets.load_dataset` and the Hub."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from forager.atomic import new_directory, new_file
from forager.tracing.export import ExportedTraces, TraceExport, exported_rows

TABLES = ("parquet", "hf")
"""Formats that attempts have as well."""
_BATCH = 4 << 20  # characters of texts in a row group
_CARD = """\
---
configs:
- config_name: default
  data_files: data/train-*.parquet
tags:
- code
- execution-traces
---
# Execution traces by forager

{rows:,} executions of {sources:,} projects, one a row. `text` is {view}. Values are shown without \
running code of the program; addresses and secrets are removed. Licences of the traced code, with \
the number of rows: {licences}.
"""
_TEXTS = {"cwm": "CWM's text (arXiv 2510.02387)", "compact": "what has changed, event by event"}


def write_table(
    directories: Sequence[Path],
    output: Path,
    format: str,
    view: str,
    chosen: TraceExport,
) -> ExportedTraces:
    """Write traces with the text of a view (`cwm` or `compact`), a row group in memory at a time.

    Raises UsageError, StoreError.
    """
    left_out = Counter[str]()
    facts = _Facts()
    rows = facts.of(exported_rows(directories, view, chosen, left_out))
    if format == "parquet":
        with new_file(output) as part:
            _write(rows, part)
    else:
        with new_directory(output) as part:
            (part / "data").mkdir()
            _write(rows, part / "data" / "train-00000-of-00001.parquet")
            (part / "README.md").write_text(facts.card(view), encoding="utf-8")
    return ExportedTraces(facts.rows, left_out)


class _Facts:
    """Counts rows, projects and licences for the card."""

    def __init__(self) -> None:
        self.rows = 0
        self._sources: set[str] = set()
        self._licences = Counter[str]()

    def of(self, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield rows, and count them."""
        for row in rows:
            self.rows += 1
            self._sources.add(row["source"])
            self._licences[row["licence"] or "unknown"] += 1
            yield row

    def card(self, view: str) -> str:
        """The card of the data set."""
        licences = ", ".join(f"{name} {count:,}" for name, count in self._licences.most_common())
        return _CARD.format(
            rows=self.rows, sources=len(self._sources), view=_TEXTS[view], licences=licences
        )


def _write(rows: Iterator[dict[str, Any]], path: Path) -> None:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    text = pa.string()
    names = ("id", "kind", "name", "source", "licence", "python", "outcome")
    columns: dict[str, Any] = dict.fromkeys(names, text)
    schema = pa.schema({**columns, "truncated": pa.list_(text), "text": text})
    with ParquetWriter(path, schema, compression="zstd") as file:
        for batch in _batches(rows):
            file.write_batch(pa.RecordBatch.from_pylist(batch, schema))


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row["text"])
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
