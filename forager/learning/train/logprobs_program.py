"""Prints the trainer's log-probabilities of samples, computed as in training.

usage: python -P -m forager.learning.train.logprobs_program DTYPE MODEL… < samples

DTYPE may be empty. Input: a JSON list of lists of token ids. Output: for each model a JSON list of
lists of log-probabilities, (tokens - 1,) per sample: none for the first token.
"""

import json
import sys
from pathlib import Path

from forager.learning import imports


def main(model: Path, samples: list[list[int]], dtype: str = "") -> list[list[float]]:
    """Log-probabilities of samples in one packed row, in `dtype` or the stored precision."""
    import numpy
    import torch

    from forager.learning.train.batch import log_probabilities, row_of
    from forager.learning.train.model import open_model
    from forager.learning.train.samples import SampleTokens
    from forager.learning.train.settings import TrainSettings

    stored = json.loads((model / "config.json").read_text())
    dtype = dtype or stored.get("dtype") or stored.get("torch_dtype") or ""
    precise = "bf16" if dtype == "bfloat16" else "fp32"
    opened = open_model(model, TrainSettings(precision=precise)).eval()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    row = row_of([SampleTokens(numpy.array(ids), numpy.ones(len(ids), bool)) for ids in samples])
    with torch.no_grad():
        found = log_probabilities(opened.to(device), row.to(device)).tolist()
    rest = iter(found)
    return [[next(rest) for _ in ids[1:]] for ids in samples]


if __name__ == "__main__":
    dtype, *models = sys.argv[1:]
    imports.load("torch", "transformers.modeling_utils")
    samples = json.load(sys.stdin)
    print(json.dumps([main(Path(model), samples, dtype) for model in models]))
    imports.leave(0)
