"""Tiny models and data sets from nothing, for tests that train and serve."""

import random
from pathlib import Path

from forager.learning import imports
from forager.learning.dataset import DatasetManifest, DatasetSettings
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.saved import save

VOCABULARY = 264  # a token a byte, and the end


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
