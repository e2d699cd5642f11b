"""Data sets of traces: what has loss, CWM's tokens added or spelled; `train` takes them."""

from pathlib import Path

import pytest
from chat_templates import QWEN_2_5, SPECIALS, make_tokenizer
from test_cli import forager
from traced import traced

from forager.learning.base import BaseSettings
from forager.learning.dataset import Dataset, DatasetSettings, TraceTexts
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.dataset.traces import TraceSampleBuilder, export_traces_as_dataset
from forager.learning.tiny import make_base
from forager.learning.train.samples import check_tokenizer
from forager.tracing.store import TraceWriter
from forager.tracing.views.cwm import BEGIN, END, TOKENS, cwm_trace

SOURCE = "def double(x):\n    y = x * 2\n    return y\n\n\ndef main():\n    return double(21)\n"
HOSTILE = "def main():\n    x = '<|im_' 'end|>'\n    return x\n"
FORGED = "def main():\n    return '<|im_end|>'\n"


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Traces of three programs, one of which has a special token in its source."""
    root = tmp_path_factory.mktemp("traces")
    with TraceWriter(root / "out") as writer:
        for name, source in (("double", SOURCE), ("hostile", HOSTILE), ("forged", FORGED)):
            trace, sources = traced(root, source)
            named = {"id": name, "entry": "main()"}
            outcome = trace.outcome.model_copy(update={"value": "42", "output": "42\n"})
            writer.add(trace.model_copy(update={**named, "outcome": outcome}), sources)
    return root / "out"


@pytest.fixture(scope="module")
def spelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer without CWM's tokens."""
    return make_tokenizer(tmp_path_factory.mktemp("spelled"), QWEN_2_5, SPECIALS["qwen"])


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with CWM's tokens."""
    root = tmp_path_factory.mktemp("added")
    (root / "text.py").write_text(SOURCE * 3)
    sizes = {"vocabulary": 400, "layers": 1, "width": 64, "context": 512, "copying": False}
    make_base([root / "text.py"], root / "base", BaseSettings(**sizes, trace_tokens=True))
    return root / "base"


def parts(path: Path, traces: Path, output: Path, **texts: str) -> tuple[str, str]:
    """Return the text of the first sample, and what of it has loss."""
    settings = DatasetSettings(kind="trace", texts=TraceTexts.model_validate(texts))
    export_traces_as_dataset([traces], output, path, settings)
    tokenizer, sample = Tokenizer(path), Dataset(output)[0]
    pairs = zip(sample.input_ids, sample.loss_mask, strict=True)
    return tokenizer.decode(sample.input_ids), tokenizer.decode([id for id, loss in pairs if loss])


def test_cwms_tokens_are_added_or_spelled(
    traces: Path, spelled: Path, added: Path, tmp_path: Path
) -> None:
    """The text is CWM's in both; a base with the tokens has one id for each."""
    trace, sources = traced(tmp_path, SOURCE)
    whole = cwm_trace(trace, sources).text().removeprefix(BEGIN)
    assert parts(spelled, traces, tmp_path / "a")[0] == whole.replace(END, SPECIALS["qwen"])
    assert parts(added, traces, tmp_path / "b")[0] == whole
    with_tokens, without = Tokenizer(added), Tokenizer(spelled)
    assert all(len(with_tokens.encode(token)) == 1 for token in TOKENS)
    assert len(without.encode("<|frame_sep|>")) > 1
    check_tokenizer(added, [tmp_path / "b"])


def test_states_actions_or_both_have_loss(traces: Path, added: Path, tmp_path: Path) -> None:
    """The code and the first call are given in each."""
    both = parts(added, traces, tmp_path / "both")[1]
    states = parts(added, traces, tmp_path / "states", loss="states")[1]
    actions = parts(added, traces, tmp_path / "actions", loss="actions")[1]
    for text in (both, states, actions):
        assert "START_OF_TRACE" not in text and "<|call_sep|>{}<|action_sep|>def main" not in text
    assert '"y": "42"' in both and '"y": "42"' in states and '"y": "42"' not in actions
    assert "y = x * 2" in both and "y = x * 2" not in states and "y = x * 2" in actions
    assert states.endswith(END) and not actions.endswith(END)


def test_other_views_have_the_changes_or_the_output(
    traces: Path, spelled: Path, tmp_path: Path
) -> None:
    """The compact view has loss after the first call, the output on code and result."""
    whole, loss = parts(spelled, traces, tmp_path / "compact", view="compact")
    assert whole.startswith("# program.py\ndef double(x):") and "> main()\n" in whole
    assert "  y = 42\n" in loss and "> main()" not in loss and loss.endswith("<|im_end|>")
    settings = DatasetSettings(kind="trace", texts=TraceTexts(view="output"))
    builder = TraceSampleBuilder(Tokenizer(spelled), settings)
    trace, sources = traced(tmp_path, SOURCE)
    outcome = trace.outcome.model_copy(update={"output": "42"})
    sample = builder.sample(trace.model_copy(update={"outcome": outcome, "input": "7"}), sources)
    assert sample is not None
    text = Tokenizer(spelled).decode(sample.input_ids)
    assert text.endswith("# input\n7\n# output\n42\n<|im_end|>")


def test_a_program_cannot_forge_a_turn(traces: Path, spelled: Path, tmp_path: Path) -> None:
    """A special token in a source leaves the trace out; in a value it is escaped."""
    settings = DatasetSettings(kind="trace")
    done = export_traces_as_dataset([traces], tmp_path / "out", spelled, settings)
    assert done.left_out == {"the text holds the special token <|im_end|>": 1}
    ids = [sample.id for sample in Dataset(tmp_path / "out")]
    assert ids == ["double", "hostile"]
    end = Tokenizer(spelled).encode("<|im_end|>")[0]
    assert [list(sample.input_ids).count(end) for sample in Dataset(tmp_path / "out")] == [1, 1]


def test_a_data_set_of_a_sample_is_smaller(traces: Path, spelled: Path, tmp_path: Path) -> None:
    """`--sample` draws traces for it as well."""
    settings = DatasetSettings(kind="trace", sample=2)
    assert export_traces_as_dataset([traces], tmp_path / "out", spelled, settings).attempts == 2


def test_long_traces_are_counted_or_cut(traces: Path, spelled: Path, tmp_path: Path) -> None:
    """And the same command leaves a finished data set as it is."""
    settings = DatasetSettings(kind="trace", max_length=150)
    with pytest.raises(Exception, match="longer than max_length"):
        export_traces_as_dataset([traces], tmp_path / "a", spelled, settings)
    cut = settings.model_copy(update={"truncate": True, "max_length": 400})
    done = export_traces_as_dataset([traces], tmp_path / "b", spelled, cut)
    assert done == export_traces_as_dataset([traces], tmp_path / "b", spelled, cut)
    assert max(len(sample.input_ids) for sample in Dataset(tmp_path / "b")) <= 400


@pytest.mark.train
def test_a_base_is_trained_on_traces(traces: Path, added: Path, tmp_path: Path) -> None:
    """`export --format trace` and `train`, from the command line."""
    command = ("export", traces, "--format", "trace", "--tokenizer", added, "-o", tmp_path / "data")
    done = forager(*command, "--show", "1")
    assert done.exit_code == 0 and "⟦" in done.stdout, done.stderr
    given = ("--base", added, "-o", tmp_path / "training", "--max-steps", "2", "--batch-size", "1")
    done = forager("train", tmp_path / "data", *given, "--pack-length", "512")
    assert done.exit_code == 0 and "2 steps" in done.stdout, done.stderr
