"""Pretrained models with a vocabulary that is cut to some texts."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_models import ODD, SPECIALS, drawn, make_gguf, make_pretrained, tokenizer

from forager.cli.main import main
from forager.errors import UsageError
from forager.learning.cutting import cut_base
from forager.learning.trimming import Vocabulary

MODES = ["byte level", "byte fallback"]
pytestmark = pytest.mark.filterwarnings("ignore")  # of torch's and Transformers'


@pytest.mark.parametrize("mode", MODES)
def test_the_texts_keep_their_tokens_and_any_text_can_be_encoded(mode: str) -> None:
    """For many random sets of texts: the same tokens for each, and no text is unreadable."""
    from tokenizers import Tokenizer

    whole = tokenizer(mode)
    vocabulary = Vocabulary(json.loads(whole.to_str()))
    for seed in range(60):
        texts = [drawn(100 * seed + number, seed % 30, 0.1) for number in range(3)]
        used = [whole.encode(text).ids for text in texts]
        kept = vocabulary.closed(id for ids in used for id in ids)
        cut = Tokenizer.from_str(json.dumps(vocabulary.cut(kept)))
        assert len(kept) == cut.get_vocab_size() < whole.get_vocab_size()
        for text, ids in zip(texts, used, strict=True):
            assert [kept[id] for id in cut.encode(text).ids] == ids
        for text in (drawn(-seed, 20, 0.5), ODD, "unseen, αβγ <bos> <unused>"):
            ids = cut.encode(text, add_special_tokens=False).ids
            assert cut.decode(ids, skip_special_tokens=False) == text
        assert [cut.token_to_id(name) for name in SPECIALS] == [
            kept.index(whole.token_to_id(name)) for name in SPECIALS
        ]


def test_what_cannot_be_cut_is_said() -> None:
    """Other vocabularies than byte-pair encoding with all bytes are refused."""
    from tokenizers import Tokenizer, models

    with pytest.raises(UsageError, match="only byte-pair encoding"):
        Vocabulary(json.loads(Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).to_str()))
    with pytest.raises(UsageError, match="lacks 256 of 256 bytes"):
        Vocabulary(json.loads(Tokenizer(models.BPE({"a-": 0}, [])).to_str()))


@pytest.mark.train
@pytest.mark.parametrize(("mode", "tied"), [("byte fallback", True), ("byte level", False)])
def test_a_cut_model_computes_as_before(tmp_path: Path, mode: str, tied: bool) -> None:
    """Logits of kept tokens are the same; ties, special tokens and the report fit the new sizes."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    whole = make_pretrained(tmp_path / "whole", mode, tied=tied)
    text = tmp_path / "text.jsonl"
    text.write_text(json.dumps({"statement": [drawn(1, 12), drawn(2, 12)]}) + "\n")
    words = ["base", str(text), "--from", str(whole), "-o", str(tmp_path / "cut")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told == {
        name: value
        for name, value in json.loads((tmp_path / "cut/base.json").read_text()).items()
        if name in told
    }
    before, after = told["before"], told["after"]
    assert after["vocabulary"] < before["vocabulary"] - 100
    assert after["parameters"] < before["parameters"]
    assert after["tokens_per_text"] == before["tokens_per_text"]
    assert after["loss"] < before["loss"]

    old, new = (AutoTokenizer.from_pretrained(place) for place in (whole, tmp_path / "cut"))
    first, second = (
        AutoModelForCausalLM.from_pretrained(place) for place in (whole, tmp_path / "cut")
    )
    assert second.config.vocab_size == len(new) == after["vocabulary"]
    assert (second.get_input_embeddings().weight is second.get_output_embeddings().weight) is tied
    assert second.config.eos_token_id == [new.eos_token_id]
    ids = old(drawn(1, 12), return_tensors="pt").input_ids
    cut = new(drawn(1, 12), return_tensors="pt").input_ids
    assert new.convert_ids_to_tokens(cut[0]) == old.convert_ids_to_tokens(ids[0])
    assert cut[0, 0] == new.bos_token_id
    names = new.convert_ids_to_tokens(range(len(new)))
    with torch.no_grad():
        wanted = first(ids).logits[..., old.convert_tokens_to_ids(names)]
        assert torch.allclose(second(cut).logits, wanted, atol=1e-5)


@pytest.mark.train
def test_a_cut_base_is_made_once(tmp_path: Path) -> None:
    """The same request returns it, another is refused, and sizes do not go with --from."""
    whole = make_pretrained(tmp_path / "whole", "byte level", tied=True)
    texts = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for number, text in enumerate(texts):
        text.write_text(drawn(number))
    made = cut_base(whole, texts[:1], tmp_path / "cut")
    (tmp_path / "moved").mkdir()
    moved = [Path(shutil.copy(texts[0], tmp_path / "moved"))]
    assert cut_base(whole, moved, tmp_path / "cut") == made
    with pytest.raises(UsageError, match="other texts"):
        cut_base(whole, texts, tmp_path / "cut")
    words = ["base", str(texts[0]), "-o", str(tmp_path / "no"), "--from", str(whole)]
    for more, said in ((["--layers", "4"], "leave out layers"), (["--from", "nothing"], "neither")):
        result = CliRunner().invoke(main, [*words, *more])
        assert result.exit_code == 2
        assert said in result.output


@pytest.mark.train
def test_a_file_in_gguf_is_cut(tmp_path: Path) -> None:
    """Also its first token of each text is kept, which Transformers overlooks in such files."""
    from transformers import AutoTokenizer

    whole = make_gguf(tmp_path / "whole.gguf")
    text = tmp_path / "text.txt"
    text.write_text(drawn(1))
    words = ["base", str(text), "--from", str(whole), "-o", str(tmp_path / "cut")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["after"]["tokens_per_text"] == told["before"]["tokens_per_text"]
    assert told["after"]["loss"] < told["before"]["loss"]
    new = AutoTokenizer.from_pretrained(tmp_path / "cut")
    assert new.decode(new("the total").input_ids) == "<s>the total"
