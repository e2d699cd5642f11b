"""Parquet columns of a data set, by the names that TRL, verl and other trainers use.

    id          string         id of the attempt, with `#2`, `#3` … for its further samples
    input_ids   list<int32>    token ids
    loss_mask   list<int8>     1: predicted with loss from the tokens before it; 0: context
    logprobs    list<float>    log-probability under the model that sampled the token, 0 for tokens
                               that it did not sample; null unless each token with loss has one
    advantages  list<float>    advantage of each token; null if nothing has computed any
    versions    list<int32>    version of the policy that sampled the token, -1 for other tokens;
                               null outside reinforcement learning
    origin      string         tokens: ids as the server returned them; messages: rendered

The five lists of a row have the same length. Data sets of schema version 1 called the first two
`ids` and `trained` (list<bool>), and had neither log-probabilities nor advantages.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from forager.errors import UsageError

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

SCHEMA_VERSION = 2
PER_TOKEN = ("input_ids", "loss_mask", "logprobs", "advantages", "versions")
_EARLIER_NAMES = {"input_ids": "ids", "loss_mask": "trained"}
_REQUIRED = ("input_ids", "loss_mask")


def schema() -> "pyarrow.Schema":
    """The columns in their order."""
    import pyarrow as pa

    ids, mask, numbers = (pa.list_(kind) for kind in (pa.int32(), pa.int8(), pa.float32()))
    text = pa.string()
    lists = dict(zip(PER_TOKEN, (ids, mask, numbers, numbers, ids), strict=True))
    return pa.schema({"id": text, **lists, "origin": text})


def read_columns(
    path: Path, file: "ParquetFile", wanted: Sequence[str], group: int | None = None
) -> "pyarrow.Table":
    """Read columns of a file (or of one row group), cast to `schema`.

    Columns that the file lacks are null. Raises UsageError if it lacks token ids or masks, or if
    lists of a row differ in length.
    """
    import pyarrow as pa

    there = file.schema_arrow.names
    names = {name: _name_in(there, name) for name in wanted}
    if missing := [name for name in _REQUIRED if name in names and names[name] is None]:
        raise UsageError(f"{path} has no column {missing[0]}; export the data set again")
    stored = [name for name in names.values() if name]
    table = file.read(stored) if group is None else file.read_row_group(group, stored)
    columns = {
        name: _cast(table.column(stored), schema().field(name).type)
        if stored
        else pa.nulls(len(table), schema().field(name).type)
        for name, stored in names.items()
    }
    _check_lengths(path, columns)
    return pa.Table.from_arrays([*columns.values()], [*columns])  # `pa.table` imports pandas


def _cast(column: "pyarrow.ChunkedArray", type: "pyarrow.DataType") -> "pyarrow.ChunkedArray":
    """The column as the type; Arrow's functions take 0.4 s to load, which trainings wait for."""
    return column if column.type == type else column.cast(type)


def _name_in(there: Sequence[str], name: str) -> str | None:
    """What a file calls a column; None if it has none."""
    return next((known for known in (name, _EARLIER_NAMES.get(name)) if known in there), None)


def _check_lengths(path: Path, columns: "dict[str, pyarrow.ChunkedArray]") -> None:
    there = [columns[name] for name in PER_TOKEN if name in columns]
    per_token = [column for column in there if column.null_count < len(column)]
    if any(part.values.null_count for column in per_token for part in column.chunks):
        raise UsageError(f"{path}: null stands among the numbers; export the data set again")
    if not per_token or _are_alike(per_token):
        return
    import pyarrow.compute as compute

    lengths = {
        name: compute.list_value_length(columns[name]) for name in PER_TOKEN if name in columns
    }
    ids = lengths.pop("input_ids")
    for name, found in lengths.items():
        wrong = compute.indices_nonzero(compute.fill_null(compute.not_equal(found, ids), False))
        if len(wrong):
            row = wrong[0].as_py()
            raise UsageError(
                f"{path}: row {row} has {found[row]} {name} for {ids[row]} input_ids; "
                "export the data set again"
            )


def _are_alike(columns: "Sequence[pyarrow.ChunkedArray]") -> bool:
    """Whether no row is null and lists are stored with the same offsets, so have equal lengths.

    Arrow finds this without the functions whose import takes long, also that of pandas.
    """
    first, *others = ([part.offsets for part in column.chunks] for column in columns)
    return not any(column.null_count for column in columns) and all(
        len(offsets) == len(first)
        and all(one.equals(two) for one, two in zip(offsets, first, strict=True))
        for offsets in others
    )
