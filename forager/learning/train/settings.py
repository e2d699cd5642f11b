"""What a training is asked to do, and what came of it."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from forager.config import read_toml, settled
from forager.learning.sources import Source
from forager.records import Record


class Lora(Record):
    """Low-rank adapters, which are trained in place of the weights and merged at the end."""

    rank: int = Field(16, ge=1)
    alpha: float = Field(32.0, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: list[str] = Field(["all-linear"], description="Modules by name, or `all-linear`.")


class TrainSettings(Record):
    """The settings of a training.

    A step is an update of the weights by `rows` rows over all processes; a row holds samples, one
    behind another, up to `row_tokens`. What a step trains on is a function of data and seed, and
    not of the number of processes.
    """

    epochs: int = Field(1, ge=1, description="Passes over the data, where `steps` is not given.")
    steps: int | None = Field(None, ge=1, description="So many steps, however many passes.")
    row_tokens: int = Field(
        4096, ge=2, description="Tokens of a row; a longer sample is a row of its own."
    )
    pack: bool = Field(True, description="Several samples in a row; else each has one of its own.")
    rows: int = Field(8, ge=1, description="Rows of a step, over all processes.")
    learning_rate: float = Field(2e-5, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(0.03, ge=0, le=1, description="Share of the steps in which it rises.")
    floor: float = Field(0.0, ge=0, le=1, description="Share of learning_rate at the end.")
    weight_decay: float = Field(0.0, ge=0, description="Of matrices; not of biases and norms.")
    betas: tuple[float, float] = Field((0.9, 0.95), description="AdamW's.")
    clip: float = Field(1.0, ge=0, description="Longest gradient; 0 is without a bound.")
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="Of weights in use; auto: bf16 on a GPU, else fp32."
    )
    zero: Literal[0, 1, 2, 3] = Field(0, description="DeepSpeed ZeRO: what is spread over ranks.")
    offload: bool = Field(False, description="Keep the optimizer's state in main memory (GPU).")
    gradient_checkpointing: bool = Field(False, description="Less memory, a third more time.")
    lora: Lora | None = None
    attention: Literal["auto", "packed", "sdpa", "eager", "flash_attention_2"] = Field(
        "auto", description="auto: sample by sample (packed), sdpa where the model has windows."
    )
    sequence_parallel: int = Field(1, ge=1, description="Processes that share a row (Ulysses).")
    processes: int = Field(1, ge=1, description="Ranks, one a GPU where there are any.")
    checkpoint_every: int = Field(200, ge=1, description="Steps between checkpoints.")
    keep_checkpoints: int = Field(2, ge=1)
    evaluate_every: int = Field(100, ge=1, description="Steps between evaluation losses.")
    seed: int = 0
    executor: Literal["local", "hosts", "ray"] = "local"
    hostfile: str = Field("", description="DeepSpeed's: a line `HOST slots=N` a machine.")
    address: str | None = Field(None, description="Of the Ray cluster.")
    seconds_to_meet: float = Field(600.0, gt=0, description="For all processes to come together.")

    @model_validator(mode="after")
    def _divides(self) -> "TrainSettings":
        if self.processes % self.sequence_parallel:
            raise ValueError(
                f"{self.processes} processes are no multiple of sequence_parallel "
                f"{self.sequence_parallel}"
            )
        if self.rows % self.ranks_of_data:
            raise ValueError(
                f"{self.rows} rows cannot be shared evenly by {self.ranks_of_data} processes"
            )
        if (self.executor == "hosts") != bool(self.hostfile):
            raise ValueError("a hostfile and executor `hosts` belong together")
        return self

    @property
    def ranks_of_data(self) -> int:
        """Processes (or groups that share a row) that have rows of their own."""
        return self.processes // self.sequence_parallel

    @classmethod
    def read(cls, path: Path, given: dict[str, Any] | None = None) -> "TrainSettings":
        """Read them from a TOML file; what is `given` beside it wins. Raises UsageError."""
        return settled(cls, read_toml(path) | (given or {}), f"{path}: ")

    @classmethod
    def build(cls, given: dict[str, Any]) -> "TrainSettings":
        """Make them; raises UsageError that names the setting."""
        return settled(cls, given)


MAY_CHANGE = {"checkpoint_every", "keep_checkpoints", "executor", "hostfile", "address"}
MAY_CHANGE |= {"seconds_to_meet"}
"""Settings that do not decide what the model becomes: a training may go on with others."""


class Request(Record):
    """What a training was asked to do; saved in its directory as settings.json."""

    settings: TrainSettings
    base: Source
    datasets: list[Source]
    evaluation: Source | None = None


class StepMetrics(Record):
    """A line of metrics.jsonl."""

    step: int = Field(description="Counted from 1.")
    loss: float = Field(description="Mean over the step's trained tokens, before its update.")
    learning_rate: float
    gradient: float | None = Field(None, description="Length of the gradient, before clipping.")
    tokens: int = Field(description="Of the step, over all processes.")
    trained: int = Field(description="Of these, predicted with loss.")
    seconds: float
    evaluation_loss: float | None = None


class TrainingResult(Record):
    """What came of a training; saved as training.json, last of all."""

    base: Source
    datasets: list[Source]
    steps: int
    tokens: int
    trained: int = Field(description="Tokens that were predicted with loss, each time counted.")
    first_loss: float
    last_loss: float
    evaluation_loss: float | None = Field(None, description="At the end.")
    seconds: float = Field(description="Sum of the steps' seconds, over all starts.")
    tokens_per_second: float
    model: Source
