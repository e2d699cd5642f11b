"""The training loop of one process."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forager.atomic import new_directory, replace_text
from forager.errors import TrainingError
from forager.learning.train import engine as engines
from forager.learning.train.agreement import check_ratios
from forager.learning.train.batch import MicroBatch, log_probabilities, make_batch
from forager.learning.train.feed import Feed, feed_of, model_path
from forager.learning.train.model import open_model, precision, write_model
from forager.learning.train.objective import PolicyGradient, RatioCount, StepSize, count_ratios
from forager.learning.train.order import Row, learning_rate, rows_of
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
        objective = request.settings.objective
        self._objective = PolicyGradient(objective) if objective else None
        self._request = request
        self._feed: Feed = feed_of(directory, request)
        self._evaluation = Samples(evaluation) if evaluation else None
        self._reference = self._frozen_base() if objective and objective.kl else None
        self._engine = engines.start(open_model(self._base, self._settings), self._settings)

    def _frozen_base(self) -> Any:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        return open_model(self._base, self._settings).requires_grad_(False).eval().to(device)

    def run(self) -> None:
        """Run the missing steps and write the model. All processes call this.

        Raises TrainingError if a loss is not finite, or if the policy that sampled disagrees.
        """
        settings, checkpoints = self._settings, self._directory / "checkpoints"
        stream = self._request.stream
        begin = engines.load_checkpoint(self._engine, checkpoints)
        if stream and begin:
            self._write(model_path(self._directory, begin))
        with _metrics(self._directory, begin, here=self._rank == 0) as write:
            for step in range(begin, len(self._feed)):
                last = step + 1 == len(self._feed)
                metrics = self._step(step)
                if self._evaluation and (last or (step + 1) % settings.evaluate_every == 0):
                    loss = self._evaluate(self._evaluation)
                    metrics = metrics.model_copy(update={"evaluation_loss": loss})
                write(metrics)
                due = (step + 1) % settings.checkpoint_every == 0
                if (due and not last) or (last and stream):  # a stream may get more steps
                    kept = settings.keep_checkpoints
                    engines.save_checkpoint(self._engine, checkpoints, step + 1, kept)
                if stream:
                    self._write(model_path(self._directory, step + 1))
        self._write(self._directory / "model")

    def _step(self, step: int) -> StepMetrics:
        """Update the weights once, from the step's rows."""
        import torch

        samples, rows = self._feed.step(step)
        began = time.perf_counter()
        torch.manual_seed(hash((self._settings.seed, step, self._rank)))
        rate = learning_rate(step, len(self._feed), self._settings)
        for group in self._engine.optimizer.param_groups:
            group["lr"] = rate
        chosen = [sample for row in rows for sample in row]
        size = StepSize(
            tokens=sum(samples.trained[sample] for sample in chosen),
            sequences=sum(samples.trained[sample] > 0 for sample in chosen),
        )
        loss, norm, seen = self._learn(samples, rows, size)
        if not math.isfinite(loss):
            raise TrainingError(f"the loss of step {step + 1} is {loss}; try a lower learning rate")
        return StepMetrics(
            step=step + 1,
            loss=loss,
            learning_rate=rate,
            gradient=norm,
            tokens=sum(samples.lengths[sample] for sample in chosen),
            trained=size.tokens,
            seconds=time.perf_counter() - began,
            **self._observed(seen),
        )

    def _learn(
        self, samples: Samples, rows: Sequence[Row], size: StepSize
    ) -> tuple[float, float | None, RatioCount]:
        """Accumulate the gradient of the step's loss, and update.

        Returns the loss, the gradient norm and the ratios. DeepSpeed averages gradients over the
        data-parallel processes, so each process multiplies its own by their number.
        """
        factor = self._objective.factor(size) if self._objective else 1 / max(size.tokens, 1)
        total: Any = 0.0
        seen, norm = RatioCount(), None
        self._engine.train()
        mine = self._mine(rows)
        for place, row in enumerate(mine, 1):
            self._engine.set_gradient_accumulation_boundary(place == len(mine))
            loss, counted = self._loss(samples, row)
            scaled = loss * (factor * self._settings.data_parallel_size)
            self._engine.backward(scaled, scale_wrt_gas=False)
            norm = engines.update(self._engine, self._settings)
            total += loss.detach()
            seen += counted
        return self._summed(total) * factor, norm, seen

    def _mine(self, rows: Sequence[Row]) -> list[Row]:
        """This process's rows; empty rows fill up to the number that the others have."""
        groups = self._settings.data_parallel_size
        wanted = max(self._settings.batch_size, len(rows))
        mine = list(rows[self._group :: groups])
        return mine + [[]] * (-(-wanted // groups) - len(mine))

    def _loss(self, samples: Samples, row: Row) -> tuple[Any, RatioCount]:
        """The summed loss of this process's share of a row, before the step's factor."""
        if self._objective is None:
            return self._cross_entropy(samples, row), RatioCount()
        batch = self._batch(samples, row)
        assert batch.policy is not None
        logprobs = log_probabilities(self._engine, batch)
        lengths = [samples.lengths[sample] for sample in row]
        check_ratios(logprobs, batch, lengths, self._tolerance)
        counted = count_ratios(logprobs, batch.policy, self._objective.settings)
        losses = self._objective.losses(logprobs, batch.policy, self._reference_scores(batch))
        return losses.sum(), counted

    def _batch(self, samples: Samples, row: Row) -> MicroBatch:
        shares = self._settings.sequence_parallel_size
        return make_batch(samples, row, self._share, shares).to(self._engine.device)

    def _reference_scores(self, batch: MicroBatch) -> Any:
        """Log-probabilities of the base model; None if the objective needs none."""
        import torch

        if self._reference is None:
            return None
        with torch.no_grad():
            return log_probabilities(self._reference, batch)

    @property
    def _tolerance(self) -> float | None:
        """Of ratios; None where rounding to bfloat16 explains larger differences."""
        exact = precision(self._settings) == "fp32" and not self._settings.autocast
        return self._request.stream.tolerance if self._request.stream and exact else None

    def _observed(self, seen: RatioCount) -> dict[str, float]:
        """Metrics of the ratios, over all processes."""
        if self._objective is None:
            return {}
        tokens, clipped, current, deviation = map(self._summed, seen[:4])
        return {
            "clipped": clipped / max(tokens, 1),
            "ratio_deviation": deviation / max(current, 1),
            "ratio_largest": self._summed(seen.largest, largest=True),
        }

    def _summed(self, loss: Any, *, largest: bool = False) -> float:
        """The sum of a value over all processes, or the largest."""
        import deepspeed.comm as comm
        import torch

        total = torch.as_tensor(loss, dtype=torch.float64, device=self._engine.device)
        if comm.get_world_size() > 1:
            comm.all_reduce(total, op=comm.ReduceOp.MAX if largest else comm.ReduceOp.SUM)
        return float(total)

    def _evaluate(self, samples: Samples) -> float:
        """Mean loss over the trained tokens of the evaluation samples."""
        import torch

        rows = rows_of(range(len(samples)), samples.lengths, self._settings)
        self._engine.eval()
        with torch.no_grad():
            total = sum(self._cross_entropy(samples, row) for row in self._mine(rows))
        return self._summed(total) / max(sum(samples.trained), 1)

    def _cross_entropy(self, samples: Samples, row: Row) -> Any:
        return -log_probabilities(self._engine, self._batch(samples, row)).sum()

    def _write(self, model: Path) -> None:
        """Write the model, which gets its name when it is complete; one that exists stays."""
        import deepspeed.comm as comm

        state = engines.weights(self._engine)
        if self._rank == 0 and not model.exists():
            with new_directory(model) as part:
                write_model(state, self._base, self._settings, part)
        comm.barrier()


@contextmanager
def _metrics(directory: Path, begin: int, *, here: bool) -> Iterator[Any]:
    """A function that writes a step's metrics to metrics.jsonl (only if `here`).

    Lines that a killed process wrote after the checkpoint are removed: their steps run again.
    """
    if not here:
        yield lambda _: None
        return
    path = directory / "metrics.jsonl"
    known = path.read_text().splitlines(keepends=True)[:begin] if path.exists() else []
    replace_text(path, "".join(known))
    with path.open("a", buffering=1) as file:
        yield lambda metrics: file.write(metrics.model_dump_json() + "\n")
