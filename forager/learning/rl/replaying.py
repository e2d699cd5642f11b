"""Trains a run again from its ledger and its attempts, without sandboxes and servers."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from forager.environments.task import Task
from forager.errors import TrainingError, UsageError
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.rl.batches import write_batch
from forager.learning.rl.curriculum import Curriculum
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.learner import Learner
from forager.learning.rl.ledger import Book, GroupState, TrainedEntry, entries
from forager.learning.rl.settings import RlSettings
from forager.learning.saved import digest
from forager.learning.train.run import TrainingProgress


def replay(
    settings: RlSettings,
    tasks: Sequence[Task],
    run: RlLayout,
    output: RlLayout,
    base: Path,
    on_progress: TrainingProgress,
) -> int:
    """Train the steps of a run again; return their number.

    Raises UsageError if the run has no trained step, and TrainingError if a batch, a loss or the
    weights of a step differ.
    """
    tokenizer = Tokenizer(base)
    count = 0
    with Learner(output.training, base, settings) as learner:
        for trained, groups in steps_of(settings, tasks, run):
            batch = write_batch(learner.batch(trained.step), groups, run.attempts, tokenizer)
            _compare(trained.step, "batch", trained.batch, batch.digest)
            made = learner.wait(trained.step)
            _compare(trained.step, "loss", trained.loss, made.loss)
            _compare(trained.step, "model", trained.model, digest(learner.model(trained.step)))
            learner.forget(trained.step)
            count = trained.step
            on_progress(count, loss=made.loss)
    if not count:
        raise UsageError(f"{run.ledger} has no trained step to replay")
    return count


def steps_of(
    settings: RlSettings, tasks: Sequence[Task], run: RlLayout
) -> Iterator[tuple[TrainedEntry, list[GroupState]]]:
    """Yield each trained step of a ledger with its groups."""
    book = Book(Curriculum(tasks, settings.curriculum, settings.stages, settings.seed))
    for entry in entries(run.ledger):
        if isinstance(entry, TrainedEntry) and book.pending:
            yield entry, [book.groups[number] for number in book.pending.groups]
        book.apply(entry)


def _compare(step: int, what: str, wanted: object, found: object) -> None:
    if wanted != found:
        raise TrainingError(f"step {step}: the {what} was {wanted} and is {found} now")
