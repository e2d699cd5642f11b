"""The columns of data sets: other trainers load them, and earlier data sets still load."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from attempts import Settings, make_attempt
from chat_templates import OURS, SPECIALS, make_tokenizer
from earlier import unpack
from pyarrow import parquet
from tiny_models import make_dataset

from forager.errors import UsageError
from forager.learning.dataset import Dataset, DatasetSettings, Sample
from forager.learning.dataset.columns import PER_TOKEN, schema
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.dataset.write import export_dataset
from forager.learning.train.samples import Samples
from forager.trajectories.record import ModelCall, Trajectory
from forager.trajectories.store import Run

NOT_TRAINED = -100


@pytest.mark.filterwarnings("ignore")  # of TRL, torch and transformers
def test_trl_trains_on_a_data_set(tmp_path: Path, tiny_base: Path) -> None:
    """SFTTrainer takes the files after the documented rename, and its labels match our mask."""
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    ours = Dataset(make_dataset(tmp_path / "data", tiny_base, samples=6))
    rows = load_dataset(
        "parquet",
        data_files=str(ours.path / "*.parquet"),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    rows = rows.rename_column("loss_mask", "assistant_masks")
    config = SFTConfig(
        output_dir=str(tmp_path / "trl"),
        max_steps=1,
        per_device_train_batch_size=2,
        use_cpu=True,
        bf16=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = SFTTrainer(model=str(tiny_base), args=config, train_dataset=rows)
    prepared = trainer.train_dataset
    assert [row["input_ids"] for row in prepared] == [sample.input_ids for sample in ours]
    assert [row["labels"] for row in prepared] == [_labels(sample) for sample in ours]
    batch = trainer.data_collator([prepared[0], prepared[1]])
    lengths = [len(sample.input_ids) for sample in (ours[0], ours[1])]
    collated = [row[:length].tolist() for row, length in zip(batch["labels"], lengths, strict=True)]
    assert collated == [_labels(ours[0]), _labels(ours[1])]
    assert trainer.train().training_loss > 0


def _labels(sample: Sample) -> list[int]:
    pairs = zip(sample.input_ids, sample.loss_mask, strict=True)
    return [id if loss else NOT_TRAINED for id, loss in pairs]


def test_log_probabilities_of_the_server_are_kept(tmp_path: Path) -> None:
    """One per token that the model sampled, 0 elsewhere; null if the server left one out."""
    tokenizer = make_tokenizer(tmp_path / "tokenizer", OURS, SPECIALS["ours"])
    known, unknown = _sampled(tokenizer, "known"), _sampled(tokenizer, "unknown", logprobs=False)
    with Run.write(tmp_path / "run", Settings(), []) as writer:
        writer.append(known)
        writer.append(unknown)
    export_dataset([tmp_path / "run"], tmp_path / "data", tokenizer, DatasetSettings())
    with_logprobs, without = Dataset(tmp_path / "data")
    given = [number for call in known.model_calls for number in call.logprobs or ()]
    assert with_logprobs.logprobs is not None
    sampled = [
        logprob
        for logprob, loss in zip(with_logprobs.logprobs, with_logprobs.loss_mask, strict=True)
        if loss
    ]
    assert sampled == pytest.approx(given)
    assert sum(with_logprobs.logprobs) == pytest.approx(sum(given))
    assert without.logprobs is None
    assert with_logprobs.advantages is None


def _sampled(tokenizer: Path, id: str, *, logprobs: bool = True) -> Trajectory:
    """An attempt with the token ids of a server."""
    loaded, attempt = Tokenizer(tokenizer), make_attempt(id, syntax="text")
    calls, history = [], list[int]()
    for call in attempt.model_calls:
        prompt = loaded.render(attempt.messages[: call.message], [], "", prompt=True)
        text = loaded.render(attempt.messages[: call.message + 1], [], "")
        ids = history + loaded.encode(prompt[len(loaded.decode(history)) :])
        completion = loaded.encode(text[len(prompt) :])
        numbers = [-0.5 - place / 8 for place in range(len(completion))]
        given: dict[str, Any] = {"prompt_token_ids": ids, "completion_token_ids": completion}
        given |= {"logprobs": numbers if logprobs else None}
        calls.append(ModelCall(**{**dict(call), **given}))
        history = ids + completion
    return Trajectory(**{**dict(attempt), "model_calls": calls})


def test_a_data_set_of_an_earlier_version_loads(tmp_path: Path) -> None:
    """Columns `ids` and `trained` are read as input_ids and loss_mask, also for training."""
    earlier = unpack(tmp_path) / "rehearsal"
    stored = parquet.read_table(earlier / "samples-00000.parquet")
    assert stored.column_names == ["id", "ids", "trained", "origin"]
    loaded = Dataset(earlier)
    assert [sample.input_ids for sample in loaded] == stored["ids"].to_pylist()
    assert [sample.loss_mask for sample in loaded] == stored["trained"].to_pylist()
    assert (loaded.manifest.schema_version, loaded[0].logprobs) == (1, None)
    samples = Samples([earlier])
    ids, mask, policy = samples[0]
    assert policy is None
    assert ids.tolist() == loaded[0].input_ids
    assert mask.tolist() == [bool(loss) for loss in loaded[0].loss_mask]


@pytest.mark.parametrize("name", PER_TOKEN[1:])
def test_lists_of_other_lengths_are_refused(tmp_path: Path, tiny_base: Path, name: str) -> None:
    """The message names file, row and column."""
    data = make_dataset(tmp_path / "data", tiny_base, samples=2)
    rows = [_row(0), {**_row(1), name: [1, 0]}]
    _rewrite(data, rows)
    with pytest.raises(UsageError, match=rf"samples-00000.*row 1 has 2 {name} for 3 input_ids"):
        list(Dataset(data))


def test_null_among_numbers_is_refused(tmp_path: Path, tiny_base: Path) -> None:
    """It would be trained on as if it were a token."""
    data = make_dataset(tmp_path / "data", tiny_base, samples=2)
    (file,) = data.glob("samples-*.parquet")
    rows = parquet.read_table(file).to_pylist()
    rows[1]["input_ids"][0] = None
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema()), file)
    with pytest.raises(UsageError, match="null stands among"):
        Samples([data])


def test_a_file_without_rows_is_read(tmp_path: Path, tiny_base: Path) -> None:
    """It holds no sample, and those of others are found."""
    data = make_dataset(tmp_path / "data", tiny_base, samples=2)
    parquet.write_table(schema().empty_table(), data / "samples-90000.parquet")
    assert len(Samples([data])) == len(Dataset(data)) == 2


def test_a_file_without_masks_is_refused(tmp_path: Path, tiny_base: Path) -> None:
    """Training on every token would be the worst reading of such a file."""
    data = make_dataset(tmp_path / "data", tiny_base, samples=2)
    table = parquet.read_table(data / "samples-00000.parquet").drop_columns(["loss_mask"])
    parquet.write_table(table, data / "samples-00000.parquet")
    with pytest.raises(UsageError, match="has no column loss_mask"):
        Samples([data])


def test_advantages_are_read(tmp_path: Path, tiny_base: Path) -> None:
    """A column that other software fills stays with its sample."""
    data = make_dataset(tmp_path / "data", tiny_base, samples=2)
    _rewrite(data, [_row(0), {**_row(1), "advantages": [0.0, 0.5, -1.0]}])
    first, second = Dataset(data)
    assert first.advantages is None
    assert second.advantages == [0.0, 0.5, -1.0]


def _row(number: int) -> dict[str, Any]:
    return {"id": str(number), "input_ids": [5, 6, 7], "loss_mask": [0, 1, 1], "origin": "tokens"}


def _rewrite(data: Path, rows: Sequence[dict[str, Any]]) -> None:
    table = pyarrow.Table.from_pylist(list(rows), schema())
    parquet.write_table(table, data / "samples-00000.parquet")
