"""Prints how many steps read so many tokens of data sets.

usage: steps.py TOKENS BATCH_SIZE PACK_LENGTH DATASET…
"""

import sys
from pathlib import Path

from forager.learning.train import TrainSettings, count_steps
from forager.learning.train.samples import manifest


def main(tokens: int, batch_size: int, pack_length: int, datasets: list[Path]) -> None:
    """Print the number of steps; a pass over the data tells how full a step is."""
    settings = TrainSettings(batch_size=batch_size, pack_length=pack_length)
    of_a_pass = sum(manifest(dataset).tokens for dataset in datasets)
    print(max(1, round(tokens * count_steps(settings, datasets) / of_a_pass)))


if __name__ == "__main__":
    tokens, rows, length = map(int, sys.argv[1:4])
    main(tokens, rows, length, [Path(name) for name in sys.argv[4:]])
