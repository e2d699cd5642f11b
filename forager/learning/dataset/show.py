"""Samples as text, with the tokens that have loss highlighted."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from rich.text import Text

from forager.learning.dataset import Dataset, Sample
from forager.learning.dataset.tokenizer import Tokenizer

_FOLDED = 1200  # characters shown of a longer part without loss


def shown(path: Path, tokenizer: Path, count: int, *, colours: bool) -> Iterator[Text]:
    """Yield the first samples of a data set; tokens with loss are green, or in ⟦ ⟧."""
    loaded, dataset = Tokenizer(tokenizer), Dataset(path)
    for number in range(min(count, len(dataset))):
        yield _shown(dataset[number], loaded, colours)


def _shown(sample: Sample, tokenizer: Tokenizer, colours: bool) -> Text:
    text = Text(f"{sample.id}: {len(sample.input_ids):,} tokens, ", style="bold")
    text.append(f"{sum(sample.loss_mask):,} trained\n")
    place = 0
    for trained, run in groupby(sample.loss_mask):
        end = place + len(list(run))
        part = tokenizer.decode(sample.input_ids[place:end])
        place = end
        if not trained:
            text.append(_folded(part), style="dim not bold")
        else:
            text.append(part if colours else f"⟦{part}⟧", style="green not bold")
    text.append("\n")
    return text


def _folded(text: str) -> str:
    if len(text) <= _FOLDED:
        return text
    half = _FOLDED // 2
    return f"{text[:half]}\n[… {len(text) - _FOLDED:,} characters …]\n{text[-half:]}"
