"""Settings, metrics and results of a training."""

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, model_validator

from forager.config import current_names, load_toml, resolve_settings
from forager.learning.sources import Artifact
from forager.learning.train.objective import PolicyObjective
from forager.records import Record


class LoraSettings(Record):
    """Low-rank adapters (arXiv 2106.09685): trained instead of the weights, merged at the end."""

    rank: int = Field(16, ge=1, description="Train LoRA adapters of this rank, and merge them.")
    alpha: float = Field(32.0, gt=0, description="Scale of the adapters: alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout before the adapters.")
    target_modules: list[str] = Field(
        ["all-linear"],
        validation_alias=AliasChoices("target_modules", "targets"),
        description="Names of modules, or `all-linear`.",
    )


class TrainSettings(Record):
    """Settings of a training.

    A step updates the weights from `batch_size` rows over all processes; a row holds packed
    samples of up to `pack_length` tokens. Data and seed determine what each step trains on; the
    number of processes does not. Names that earlier versions used still work in files.
    """

    epochs: int = Field(1, ge=1, description="Passes over the data, unless max_steps is given.")
    max_steps: int | None = Field(
        None,
        ge=1,
        validation_alias=AliasChoices("max_steps", "steps"),
        description="Number of steps, over as many epochs as they need.",
    )
    pack_length: int = Field(
        4096,
        ge=2,
        validation_alias=AliasChoices("pack_length", "row_tokens"),
        description="Tokens of a row of packed samples; a longer sample gets its own row.",
    )
    packing: bool = Field(
        True,
        validation_alias=AliasChoices("packing", "pack"),
        description="Pack several samples into a row; otherwise each sample gets its own.",
    )
    batch_size: int = Field(
        8,
        ge=1,
        validation_alias=AliasChoices("batch_size", "rows"),
        description="Rows of a step, over all processes.",
    )
    learning_rate: float = Field(2e-5, gt=0, description="Peak learning rate.")
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = Field(
        "cosine",
        validation_alias=AliasChoices("lr_scheduler_type", "schedule"),
        description="How the learning rate decays after the warm-up.",
    )
    warmup_ratio: float = Field(
        0.03,
        ge=0,
        le=1,
        validation_alias=AliasChoices("warmup_ratio", "warmup"),
        description="Share of the steps in which the learning rate rises.",
    )
    min_lr_ratio: float = Field(
        0.0,
        ge=0,
        le=1,
        validation_alias=AliasChoices("min_lr_ratio", "floor"),
        description="Learning rate of the last step, as a share of the peak.",
    )
    weight_decay: float = Field(0.0, ge=0, description="For matrices; biases and norms have none.")
    betas: tuple[float, float] = Field((0.9, 0.95), description="Betas of AdamW.")
    max_grad_norm: float = Field(
        1.0,
        ge=0,
        validation_alias=AliasChoices("max_grad_norm", "clip"),
        description="Gradient clipping; 0 turns it off.",
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="Precision of the weights; auto: bf16 on a GPU, fp32 elsewhere."
    )
    autocast: bool = Field(
        False,
        description="Compute in bfloat16 with weights in float32, where that is faster; else off.",
    )
    freeze_layers: int = Field(
        0, ge=0, description="Do not train the N layers that are next to the embeddings."
    )
    freeze_embeddings: bool = Field(
        False, description="Do not train the embeddings, nor an output layer tied to them."
    )
    zero_stage: Literal[0, 1, 2, 3] = Field(
        0,
        validation_alias=AliasChoices("zero_stage", "zero"),
        description="DeepSpeed ZeRO: shard optimizer (1), gradients (2) and weights (3).",
    )
    offload_optimizer: bool = Field(
        False,
        validation_alias=AliasChoices("offload_optimizer", "offload"),
        description="Keep the optimizer's state in main memory.",
    )
    gradient_checkpointing: bool = Field(
        False, description="Recompute activations: less memory, a third more time."
    )
    lora: LoraSettings | None = None
    attn_implementation: Literal["auto", "packed", "sdpa", "eager", "flash_attention_2"] = Field(
        "auto",
        validation_alias=AliasChoices("attn_implementation", "attention"),
        description="auto: packed (attention within each sample), or sdpa for models with "
        "other layers than full and sliding attention.",
    )
    sequence_parallel_size: int = Field(
        1,
        ge=1,
        validation_alias=AliasChoices("sequence_parallel_size", "sequence_parallel"),
        description="Processes that share each row (DeepSpeed Ulysses).",
    )
    processes: int = Field(1, ge=1, description="Number of processes, one per GPU.")
    checkpoint_every: int = Field(200, ge=1, description="Steps between checkpoints.")
    keep_checkpoints: int = Field(2, ge=1, description="Number of checkpoints to keep.")
    evaluate_every: int = Field(100, ge=1, description="Steps between evaluations.")
    objective: PolicyObjective | None = Field(
        None,
        description="Policy gradient on the column `advantages` of the data, instead of cross "
        "entropy.",
    )
    seed: int = Field(0, description="Seed of the order of the data.")
    executor: Literal["local", "hosts", "ray"] = Field(
        "local", description="Where the processes run: this machine, a hostfile, a Ray cluster."
    )
    hostfile: str = Field(
        "", description="Hostfile of DeepSpeed's launcher: a line `HOST slots=N` per machine."
    )
    address: str | None = Field(None, description="Address of the Ray cluster.")
    rendezvous_timeout: float = Field(
        600.0,
        gt=0,
        validation_alias=AliasChoices("rendezvous_timeout", "seconds_to_meet"),
        description="Seconds to wait until all processes have joined.",
    )

    @model_validator(mode="after")
    def _divides(self) -> "TrainSettings":
        if self.processes % self.sequence_parallel_size:
            raise ValueError(
                f"processes ({self.processes}) must be a multiple of sequence_parallel_size "
                f"({self.sequence_parallel_size})"
            )
        if self.batch_size % self.data_parallel_size:
            raise ValueError(
                f"batch_size ({self.batch_size}) must be a multiple of the data-parallel size "
                f"({self.data_parallel_size})"
            )
        if self.autocast and self.precision == "bf16":
            raise ValueError("autocast keeps weights in float32: leave out precision bf16")
        if (self.executor == "hosts") != bool(self.hostfile):
            raise ValueError("executor `hosts` needs a hostfile, and a hostfile needs it")
        return self

    @property
    def data_parallel_size(self) -> int:
        """Number of processes, or of groups that share a row, that train on different rows."""
        return self.processes // self.sequence_parallel_size

    @classmethod
    def read(cls, path: Path, given: dict[str, Any] | None = None) -> "TrainSettings":
        """Read a TOML file; `given` takes precedence. Raises UsageError."""
        written, given = (current_names(cls, names) for names in (load_toml(path), given or {}))
        return resolve_settings(cls, written | given, f"{path}: ")

    @classmethod
    def build(cls, given: dict[str, Any]) -> "TrainSettings":
        """Validate settings. Raises UsageError that names the setting."""
        return resolve_settings(cls, given)


MAY_CHANGE = {"checkpoint_every", "keep_checkpoints", "executor", "hostfile", "address"}
MAY_CHANGE |= {"rendezvous_timeout"}
"""Settings that do not change the trained model; a training may be resumed with other values."""


class StreamSettings(Record):
    """A training whose data arrive step by step: TRAINING/batches/NNNNNNNN is that of step N.

    After step N the model is TRAINING/models/NNNNNNNN, which others may delete.
    """

    steps: int = Field(ge=1, description="Number of steps.")
    tolerance: float | None = Field(
        None,
        gt=0,
        description="Largest |ratio - 1| in float32 of tokens that the current weights sampled.",
    )


class TrainingRequest(Record):
    """The inputs of a training; saved in its directory as settings.json."""

    settings: TrainSettings
    base: Artifact
    datasets: list[Artifact]
    evaluation: Artifact | None = None
    stream: StreamSettings | None = Field(None, description="Data that arrive step by step.")

    @model_validator(mode="before")
    @classmethod
    def _objective_of_its_settings(cls, given: Any) -> Any:
        """Move the objective to where it is, from where `forager rl` wrote it at first."""
        if not isinstance(given, dict) or "objective" not in given:
            return given
        moved = {**given, "settings": {**given["settings"], "objective": given["objective"]}}
        del moved["objective"]
        return moved


class StepMetrics(Record):
    """A line of metrics.jsonl."""

    step: int = Field(description="Counted from 1.")
    loss: float = Field(
        description="Before the update: mean over the step's trained tokens, or as the objective "
        "normalises it."
    )
    learning_rate: float
    gradient: float | None = Field(None, description="Norm of the gradient before clipping.")
    tokens: int = Field(description="Tokens of the step, over all processes.")
    trained: int = Field(description="Tokens with loss among them.")
    seconds: float
    evaluation_loss: float | None = None
    clipped: float | None = Field(
        None, description="Policy gradient: share of tokens whose ratio is clipped."
    )
    ratio_deviation: float | None = Field(
        None, description="Mean |ratio - 1| of tokens that the current weights sampled."
    )
    ratio_largest: float | None = Field(None, description="The largest one.")


class TrainingResult(Record):
    """The result of a training; training.json is written last."""

    base: Artifact
    datasets: list[Artifact]
    steps: int
    tokens: int
    trained: int = Field(description="Tokens with loss, counted in every epoch.")
    first_loss: float
    last_loss: float
    evaluation_loss: float | None = Field(None, description="At the end.")
    seconds: float = Field(description="Sum of the steps' seconds, over all starts.")
    tokens_per_second: float
    model: Artifact
