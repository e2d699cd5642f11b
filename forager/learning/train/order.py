"""The order of training: rows of packed samples, steps of rows, learning rates."""

from collections.abc import Iterator, Sequence
from itertools import count, islice
from math import ceil, cos, pi
from random import Random

from forager.learning.train.settings import TrainSettings

Row = list[int]  # sample numbers
_WINDOW_ROWS = 64  # samples are sorted within a window only: full rows, little order by length


def steps(lengths: Sequence[int], settings: TrainSettings) -> list[list[Row]]:
    """The rows of each step, over all processes; the last step may have fewer.

    `lengths` must not be empty. Memory: one integer per sample and epoch.
    """
    size, limit = settings.batch_size, settings.max_steps
    epochs = range(settings.epochs) if limit is None else count()
    every = (row for epoch in epochs for row in _pass(lengths, settings, epoch))
    rows = list(islice(every, None if limit is None else limit * size))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _pass(lengths: Sequence[int], settings: TrainSettings, epoch: int) -> Iterator[Row]:
    """Rows of one epoch, in random order."""
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
    """Rows of samples, packed if the settings ask for it."""
    if settings.packing:
        return packed(samples, lengths, settings.pack_length)
    return [[sample] for sample in samples]


def packed(samples: Sequence[int], lengths: Sequence[int], tokens: int) -> list[Row]:
    """Pack samples into rows of at most `tokens` tokens, by best-fit decreasing.

    A longer sample gets its own row.
    """
    rooms: dict[int, list[Row]] = {}  # rows by the number of tokens that still fit
    rows: list[Row] = []
    for sample in sorted(samples, key=lambda number: (-lengths[number], number)):
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
    """The learning rate of a step, counted from 0: linear warm-up, then decay."""
    rising = ceil(settings.warmup_ratio * total)
    if step < rising:
        return settings.learning_rate * (step + 1) / rising
    if settings.lr_scheduler_type == "constant":
        return settings.learning_rate
    done = (step - rising) / max(1, total - rising)
    left = (1 + cos(pi * done)) / 2 if settings.lr_scheduler_type == "cosine" else 1 - done
    return settings.learning_rate * (settings.min_lr_ratio + (1 - settings.min_lr_ratio) * left)
