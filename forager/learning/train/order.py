"""Which samples make which row of which step: a function of their lengths, settings and seed."""

from collections.abc import Iterator, Sequence
from itertools import count, islice
from math import ceil, cos, pi
from random import Random

from forager.learning.train.settings import TrainSettings

Row = list[int]  # numbers of samples
_WINDOW_ROWS = 64  # that samples are sorted within: full rows, and yet no order by length


def steps(lengths: Sequence[int], settings: TrainSettings) -> list[list[Row]]:
    """The rows of each step, over all processes; the last step may have fewer.

    Memory is a number a sample and epoch. There must be a sample.
    """
    size, limit = settings.batch_size, settings.max_steps
    epochs = range(settings.epochs) if limit is None else count()
    endless = (row for epoch in epochs for row in _pass(lengths, settings, epoch))
    rows = list(islice(endless, None if limit is None else limit * size))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _pass(lengths: Sequence[int], settings: TrainSettings, epoch: int) -> Iterator[Row]:
    """All samples once, in rows."""
    random = Random(f"{settings.seed}/{epoch}")
    order = list(range(len(lengths)))
    random.shuffle(order)
    for window in _windows(order, lengths, _WINDOW_ROWS * settings.pack_length):
        rows = rows_of(window, lengths, settings)
        random.shuffle(rows)
        yield from rows


def _windows(order: Sequence[int], lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    window: list[int] = []
    held = 0
    for sample in order:
        window.append(sample)
        held += lengths[sample]
        if held >= tokens:
            yield window
            window, held = [], 0
    if window:
        yield window


def rows_of(samples: Sequence[int], lengths: Sequence[int], settings: TrainSettings) -> list[Row]:
    """Put samples into rows as the settings say."""
    if settings.packing:
        return packed(samples, lengths, settings.pack_length)
    return [[one] for one in samples]


def packed(samples: Sequence[int], lengths: Sequence[int], tokens: int) -> list[Row]:
    """Put samples into rows of at most so many tokens, the longest first, each where it fits best.

    A sample that is longer is a row of its own.
    """
    rooms: dict[int, list[Row]] = {}  # by the tokens that are left
    rows: list[Row] = []
    for sample in sorted(samples, key=lambda one: (-lengths[one], one)):
        length = lengths[sample]
        left = min((room for room in rooms if room >= length), default=None)
        if left is None:
            rows.append(row := [])
            left = tokens
        else:
            row = rooms[left].pop()
            if not rooms[left]:
                del rooms[left]
        row.append(sample)
        if left - length > 0:
            rooms.setdefault(left - length, []).append(row)
    return rows


def learning_rate(step: int, total: int, settings: TrainSettings) -> float:
    """The rate of a step, counted from 0, of so many: it rises, then falls by the schedule."""
    rising = ceil(settings.warmup_ratio * total)
    if step < rising:
        return settings.learning_rate * (step + 1) / rising
    if settings.lr_scheduler_type == "constant":
        return settings.learning_rate
    way = (step - rising) / max(1, total - rising)
    left = (1 + cos(pi * way)) / 2 if settings.lr_scheduler_type == "cosine" else 1 - way
    return settings.learning_rate * (settings.min_lr_ratio + (1 - settings.min_lr_ratio) * left)
