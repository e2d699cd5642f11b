"""Tiny models and data sets from nothing, for tests that train and serve."""

import json
import random
from pathlib import Path
from typing import Any

from forager.learning import imports
from forager.learning.dataset import DatasetManifest, DatasetSettings
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.saved import save

VOCABULARY = 264  # a token a byte, and the end
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
_GGUF_NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "blk.0.attn_norm",
    "post_attention_layernorm": "blk.0.ffn_norm",
    "q_proj": "blk.0.attn_q",
    "k_proj": "blk.0.attn_k",
    "v_proj": "blk.0.attn_v",
    "o_proj": "blk.0.attn_output",
    "gate_proj": "blk.0.ffn_gate",
    "up_proj": "blk.0.ffn_up",
    "down_proj": "blk.0.ffn_down",
}


def make_base(path: Path, *, tied: bool = True, seed: int = 0) -> Path:
    """A Llama with random weights and heads of 32, the smallest that vLLM supports on a CPU."""
    imports.load("torch", "transformers.modeling_utils")
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = {
        character: place
        for place, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))
    }
    tokenizer = Tokenizer(models.BPE(vocab={**alphabet, "<end>": 256}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")
    fast.chat_template = (
        "{% for message in messages %}{{ message.role }}: {{ message.content }}<end>{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=256,
    )
    LlamaForCausalLM(config).save_pretrained(path)
    fast.save_pretrained(path)
    return path


def make_dataset(path: Path, base: Path, *, samples: int = 40, seed: int = 0) -> Path:
    """Sequences that count in threes, with noise; about half of the tokens have loss."""
    import pyarrow
    from pyarrow import parquet

    drawn = random.Random(seed)
    ids = [
        [
            drawn.randrange(200) if place % 7 == 0 else place * 3 % 200
            for place in range(drawn.randint(12, 60))
        ]
        for _ in range(samples)
    ]
    masks = [
        [int(place > len(row) // 3 and place % 5 != 0) for place in range(len(row))] for row in ids
    ]
    path.mkdir(parents=True)
    columns = {
        "id": [f"sample-{number}" for number in range(samples)],
        "input_ids": pyarrow.array(ids, pyarrow.list_(pyarrow.int32())),
        "loss_mask": pyarrow.array(masks, pyarrow.list_(pyarrow.int8())),
        "origin": ["tokens"] * samples,
    }
    parquet.write_table(pyarrow.table(columns), path / "samples-00000.parquet")
    tokenizer = Tokenizer(base)
    manifest = DatasetManifest(
        kind="policy",
        tokenizer=tokenizer.digest,
        chat_template=tokenizer.template_digest,
        context=512,
        seed=seed,
        settings=DatasetSettings(kind="policy"),
        sources=[],
        samples=samples,
        tokens=sum(map(len, ids)),
        trained=sum(map(sum, masks)),
        digest=f"{seed:032}",
    )
    save(path / "dataset.json", manifest)
    return path


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


def make_pretrained(path: Path, mode: str, *, tied: bool, seed: int = 0) -> Path:
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
    torch.manual_seed(seed)
    if tied:
        model: Any = Gemma3ForCausalLM(Gemma3TextConfig(**sizes, sliding_window=16))
    else:
        model = LlamaForCausalLM(LlamaConfig(**sizes))
    model.save_pretrained(path)
    fast.save_pretrained(path)
    return path


def make_gguf(path: Path) -> Path:
    """A Llama of one layer in GGUF, with the vocabulary of `tokenizer("byte level")` and `<s>`."""
    import torch
    from gguf import GGUFWriter, TokenType
    from transformers import LlamaConfig, LlamaForCausalLM

    model = json.loads(tokenizer("byte level").to_str())["model"]
    tokens = [*sorted(model["vocab"], key=model["vocab"].get), "<s>", "</s>", "<unk>"]
    kinds = [TokenType.NORMAL] * (len(tokens) - 3) + [TokenType.CONTROL] * 3
    config = LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    file = GGUFWriter(path, "llama")
    file.add_block_count(1)
    file.add_embedding_length(64)
    file.add_feed_forward_length(64)
    file.add_head_count(2)
    file.add_head_count_kv(2)
    file.add_context_length(512)
    file.add_layer_norm_rms_eps(1e-6)
    file.add_vocab_size(len(tokens))
    file.add_tokenizer_model("gpt2")
    file.add_token_list(tokens)
    file.add_token_types(kinds)
    file.add_token_merges([" ".join(pair) for pair in model["merges"]])
    file.add_bos_token_id(len(tokens) - 3)
    file.add_eos_token_id(len(tokens) - 2)
    file.add_add_bos_token(True)
    torch.manual_seed(0)
    for name, weight in LlamaForCausalLM(config).state_dict().items():
        layer, kind = name.split(".")[-2:]
        file.add_tensor(f"{_GGUF_NAMES[layer]}.{kind}", weight.numpy())
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path
