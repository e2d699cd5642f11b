"""Pretrained models with a vocabulary that is cut to some texts."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from forager.cli.main import main
from forager.errors import UsageError
from forager.learning.cutting import cut_base
from forager.learning.trimming import Vocabulary

WORDS = [
    "the",
    "def",
    "return",
    "not",
    "range",
    "total",
    "==",
    "\n\n",
    "",
    "é",
    "ß",
    "漢字",
    "🙂",
    "305",
]
KATA = Path(__file__).parent.parent / "examples/kata/kata/numbers.py"
ODD = "àçẞ漢𝔘\x00\t~☃\u0301"
SPECIALS = ["<pad>", "<eos>", "<bos>", "<unk>"]
MODES = ["byte level", "byte fallback"]
pytestmark = pytest.mark.filterwarnings("ignore")  # of torch's and Transformers'


def drawn(seed: int, length: int = 40, odd: float = 0.0) -> str:
    """A text of known words, and of characters that no training has seen."""
    source = random.Random(seed)
    words = ["".join(source.choices(ODD, k=3)) if source.random() < odd else
             source.choice(WORDS) for _ in range(length)]  # fmt: skip
    return " ".join(words)


def tokenizer(mode: str) -> Any:
    """A tokenizer like Qwen's, or like Gemma's, whose pieces are whole texts."""
    from tokenizers import (
        AddedToken,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )

    corpus = [*(drawn(seed) for seed in range(80)), KATA.read_text()]
    if mode == "byte level":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        special: list[str] = []
    else:
        made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
        made.normalizer = normalizers.Replace(" ", "▁")
        steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        made.decoder = decoders.Sequence(steps)
        alphabet, special = [], [*SPECIALS, *(f"<0x{value:02X}>" for value in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(corpus, trainer)
    whole = json.loads(made.to_str())  # bytes and characters are no special tokens
    whole["added_tokens"] = [
        token for token in whole["added_tokens"] if token["id"] < 4 and special
    ]
    made = Tokenizer.from_str(json.dumps(whole))
    made.add_special_tokens([AddedToken(name, special=True) for name in SPECIALS])
    bos = [("<bos>", made.token_to_id("<bos>"))]
    made.post_processor = processors.TemplateProcessing("<bos> $A", "<bos> $A $B", bos)
    return made


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


def pretrained(path: Path, mode: str, *, tied: bool) -> Path:
    """A small Gemma or Llama with random weights and a large vocabulary, without a template."""
    import torch
    from transformers import (
        Gemma3ForCausalLM,
        Gemma3TextConfig,
        LlamaConfig,
        LlamaForCausalLM,
        PreTrainedTokenizerFast,
    )

    named = {f"{name[1:-1]}_token": name for name in SPECIALS}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer(mode), **named)
    sizes = {
        "vocab_size": len(fast) + 20, "hidden_size": 64, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
        "head_dim": 32, "max_position_embeddings": 512, "tie_word_embeddings": tied,
        "eos_token_id": [fast.eos_token_id], "bos_token_id": fast.bos_token_id,
        "pad_token_id": fast.pad_token_id,
    }  # fmt: skip
    torch.manual_seed(0)
    if tied:
        model: Any = Gemma3ForCausalLM(Gemma3TextConfig(**sizes, sliding_window=16))
    else:
        model = LlamaForCausalLM(LlamaConfig(**sizes))
    model.save_pretrained(path)
    fast.save_pretrained(path)
    return path


@pytest.mark.train
@pytest.mark.parametrize(("mode", "tied"), [("byte fallback", True), ("byte level", False)])
def test_a_cut_model_computes_as_before(tmp_path: Path, mode: str, tied: bool) -> None:
    """Logits of kept tokens are the same; ties, special tokens and the report fit the new sizes."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    whole = pretrained(tmp_path / "whole", mode, tied=tied)
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
    whole = pretrained(tmp_path / "whole", "byte level", tied=True)
    texts = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for number, text in enumerate(texts):
        text.write_text(drawn(number))
    made = cut_base(whole, texts[:1], tmp_path / "cut")
    assert cut_base(whole, texts[:1], tmp_path / "cut") == made
    with pytest.raises(UsageError, match="other texts"):
        cut_base(whole, texts, tmp_path / "cut")
    words = ["base", str(texts[0]), "-o", str(tmp_path / "no"), "--from", str(whole)]
    for more, said in ((["--layers", "4"], "leave out layers"), (["--from", "nothing"], "neither")):
        result = CliRunner().invoke(main, [*words, *more])
        assert result.exit_code == 2
        assert said in result.output
