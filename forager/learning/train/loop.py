"""The training loop of one process."""

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forager.atomic import new_directory, replace_text
from forager.errors import TrainingError
from forager.learning.train import engine as engines
from forager.learning.train.batch import log_probabilities, make_batch
from forager.learning.train.model import open_model, write_model
from forager.learning.train.order import Row, learning_rate, rows_of, steps
from forager.learning.train.samples import Samples, check_tokenizer
from forager.learning.train.settings import StepMetrics, TrainingRequest


class Training:
    """One process's part of a training, in a directory that all processes see."""

    def __init__(self, directory: Path, request: TrainingRequest) -> None:
        import deepspeed.comm as comm

        self._directory, self._settings = directory, request.settings
        self._base = Path(request.base.path)
        self._rank = comm.get_rank()
        self._group, self._share = divmod(self._rank, self._settings.sequence_parallel_size)
        datasets = [Path(dataset.path) for dataset in request.datasets]
        evaluation = [Path(request.evaluation.path)] if request.evaluation else []
        check_tokenizer(self._base, [*datasets, *evaluation])
        self._samples = Samples(datasets)
        self._steps = steps(self._samples.lengths, self._settings)
        self._evaluation = Samples(evaluation) if evaluation else None
        self._engine = engines.start(open_model(self._base, self._settings), self._settings)

    def run(self) -> None:
        """Run the missing steps and write the model. All processes call this.

        Raises TrainingError if a loss is not finite.
        """
        settings, checkpoints = self._settings, self._directory / "checkpoints"
        begin = engines.load_checkpoint(self._engine, checkpoints)
        with _metrics(self._directory, begin, here=self._rank == 0) as write:
            for step in range(begin, len(self._steps)):
                last = step + 1 == len(self._steps)
                metrics = self._step(step)
                if self._evaluation and (last or (step + 1) % settings.evaluate_every == 0):
                    loss = self._evaluate(self._evaluation)
                    metrics = metrics.model_copy(update={"evaluation_loss": loss})
                write(metrics)
                if not last and (step + 1) % settings.checkpoint_every == 0:
                    kept = settings.keep_checkpoints
                    engines.save_checkpoint(self._engine, checkpoints, step + 1, kept)
        self._write()

    def _step(self, step: int) -> StepMetrics:
        """Update the weights once, from the step's rows."""
        import torch

        began = time.perf_counter()
        torch.manual_seed(hash((self._settings.seed, step, self._rank)))
        rate = learning_rate(step, len(self._steps), self._settings)
        for group in self._engine.optimizer.param_groups:
            group["lr"] = rate
        rows = self._steps[step]
        trained = sum(self._samples.trained[sample] for row in rows for sample in row)
        loss, norm = self._learn(rows, trained)
        if not math.isfinite(loss):
            raise TrainingError(f"the loss of step {step + 1} is {loss}; try a lower learning rate")
        return StepMetrics(
            step=step + 1,
            loss=loss,
            learning_rate=rate,
            gradient=norm,
            tokens=sum(self._samples.lengths[sample] for row in rows for sample in row),
            trained=trained,
            seconds=time.perf_counter() - began,
        )

    def _learn(self, rows: Sequence[Row], trained: int) -> tuple[float, float | None]:
        """Accumulate the gradient of the mean loss over all trained tokens, and update.

        Returns the mean loss and the gradient norm. DeepSpeed averages gradients over the
        data-parallel processes, so each process multiplies its own by their number.
        """
        scale = self._settings.data_parallel_size / max(trained, 1)
        total: Any = 0.0
        self._engine.train()
        for row in self._mine(rows):
            loss = self._loss(self._samples, row)
            self._engine.backward(loss * scale, scale_wrt_gas=False)
            norm = engines.update(self._engine, self._settings)
            total += loss.detach()
        return self._summed(total) / max(trained, 1), norm

    def _mine(self, rows: Sequence[Row], at_least: int = 0) -> list[Row]:
        """This process's rows; empty rows fill up to the number that the others have."""
        groups = self._settings.data_parallel_size
        wanted = max(self._settings.batch_size // groups, at_least)
        mine = list(rows[self._group :: groups])
        return mine + [[]] * (wanted - len(mine))

    def _loss(self, samples: Samples, row: Row) -> Any:
        """The summed loss of this process's share of a row."""
        batch = make_batch(samples, row, self._share, self._settings.sequence_parallel_size)
        return -log_probabilities(self._engine, batch.to(self._engine.device)).sum()

    def _summed(self, loss: Any) -> float:
        """The sum of a loss over all processes."""
        import deepspeed.comm as comm
        import torch

        total = torch.as_tensor(loss, dtype=torch.float64, device=self._engine.device)
        if comm.get_world_size() > 1:
            comm.all_reduce(total)
        return float(total)

    def _evaluate(self, samples: Samples) -> float:
        """Mean loss over the trained tokens of the evaluation samples."""
        import torch

        rows = rows_of(range(len(samples)), samples.lengths, self._settings)
        most = -(-len(rows) // self._settings.data_parallel_size)
        self._engine.eval()
        with torch.no_grad():
            total = sum(self._loss(samples, row) for row in self._mine(rows, most))
        return self._summed(total) / max(sum(samples.trained), 1)

    def _write(self) -> None:
        """Write the model, which gets its name when it is complete."""
        import deepspeed.comm as comm

        state = engines.weights(self._engine)
        if self._rank == 0:
            with new_directory(self._directory / "model") as part:
                write_model(state, self._base, self._settings, part)
        comm.barrier()


@contextmanager
def _metrics(directory: Path, begin: int, *, here: bool) -> Iterator[Any]:
    """A function that writes a step's metrics to metrics.jsonl and TensorBoard (only if `here`).

    Lines that a killed process wrote after the checkpoint are removed: their steps run again.
    """
    if not here:
        yield lambda _: None
        return
    from torch.utils.tensorboard import SummaryWriter

    path = directory / "metrics.jsonl"
    known = path.read_text().splitlines(keepends=True)[:begin] if path.exists() else []
    replace_text(path, "".join(known))
    with (
        path.open("a", buffering=1) as file,
        SummaryWriter(str(directory / "tensorboard"), purge_step=begin + 1) as board,
    ):

        def write(metrics: StepMetrics) -> None:
            file.write(metrics.model_dump_json() + "\n")
            for name, value in json.loads(metrics.model_dump_json()).items():
                if name != "step" and value is not None:
                    board.add_scalar(name, value, metrics.step)

        yield write
