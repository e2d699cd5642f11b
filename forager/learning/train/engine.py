"""The DeepSpeed engine: set-up, update, checkpoints, trained weights."""

import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forager.atomic import part_of, publish, sync_tree
from forager.errors import TrainingError
from forager.learning import imports
from forager.learning.processor import computes_bf16
from forager.learning.train.model import parameter_groups, precision
from forager.learning.train.settings import TrainSettings

if TYPE_CHECKING:
    import torch

_STATE = "state"  # the tag within a checkpoint's directory


def join(settings: TrainSettings) -> None:
    """Join the other processes (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT).

    Raises TrainingError if their number differs from `settings.processes`.
    """
    found = int(os.environ["WORLD_SIZE"])
    if found != settings.processes:  # said at once: torch takes seconds to load
        raise TrainingError(
            f"{found} processes were started, but the settings ask for {settings.processes}: give "
            f"--processes {found}, or a hostfile with {settings.processes} slots in all"
        )
    imports.load("torch", "deepspeed")
    import deepspeed
    import torch

    # Gloo is enough; compiling DeepSpeed's own operator would take a minute, and asking which ones
    # could be compiled a fifth of a second.
    vars(deepspeed.ops)["__compatible_ops__"] = {}
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    deepspeed.init_distributed(
        backend,
        auto_mpi_discovery=False,
        verbose=False,
        timeout=timedelta(seconds=settings.rendezvous_timeout),
    )


def start(model: Any, settings: TrainSettings) -> Any:
    """Wrap a model in a DeepSpeed engine with AdamW."""
    import deepspeed
    import torch

    parallelism = None
    if settings.sequence_parallel_size > 1:
        parallelism = _share_rows(model, settings)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    optimizer = torch.optim.AdamW(
        parameter_groups(model, settings.weight_decay),
        lr=settings.learning_rate,
        betas=settings.betas,
        fused=not settings.offload_optimizer,
    )
    engine, *_ = deepspeed.initialize(
        model=model, optimizer=optimizer, config=_config(settings), mpu=parallelism
    )
    return engine


def _share_rows(model: Any, settings: TrainSettings) -> Any:
    """Ulysses: each process holds a part of the row, and in attention a part of the heads."""
    from deepspeed.runtime.sequence_parallel.ulysses_sp import UlyssesSPAttentionHF

    return UlyssesSPAttentionHF.register_with_transformers(
        model_name_or_path=model,
        core_attn_implementation=model.config._attn_implementation,
        sequence_parallel_size=settings.sequence_parallel_size,
        micro_batch_size=1,
    )


def _config(settings: TrainSettings) -> dict[str, Any]:
    # With bf16 and without ZeRO, DeepSpeed 0.19 uses an optimizer that learns less per step.
    stage = settings.zero_stage or int(precision(settings) == "bf16")
    zero: dict[str, Any] = {"stage": stage}
    if settings.zero_stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    if settings.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu"}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": settings.batch_size // settings.data_parallel_size,
        "gradient_clipping": 0.0 if _wraps_nothing(settings) else settings.max_grad_norm,
        "bf16": {"enabled": precision(settings) == "bf16"},
        "torch_autocast": {
            "enabled": _autocasts(settings),
            "dtype": "bfloat16",
            "lower_precision_safe_modules": [],  # gradients are added in float32
        },
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 1 << 62,
    }


def _autocasts(settings: TrainSettings) -> bool:
    """Whether to compute in bfloat16: all processes do it, or none."""
    import deepspeed.comm as comm
    import torch

    faster = torch.cuda.is_available() or computes_bf16()
    agreed = torch.tensor(float(settings.autocast and faster))
    if comm.get_world_size() > 1:
        agreed = agreed.to("cuda" if torch.cuda.is_available() else "cpu")
        comm.all_reduce(agreed, op=comm.ReduceOp.MIN)
    return bool(agreed)


def _wraps_nothing(settings: TrainSettings) -> bool:
    """Whether DeepSpeed uses our optimizer as it is, and so reports no gradient norm."""
    return settings.zero_stage == 0 and precision(settings) == "fp32"


def update(engine: Any, settings: TrainSettings) -> float | None:
    """Update the weights after the step's last row; return the gradient norm, None before it."""
    import torch

    if not engine.is_gradient_accumulation_boundary():
        engine.step()
        return None
    if _wraps_nothing(settings):
        longest = settings.max_grad_norm or float("inf")
        norm: Any = torch.nn.utils.clip_grad_norm_(engine.module.parameters(), longest)
        engine.step()
    else:
        engine.step()
        norm = engine.get_global_grad_norm()
    return None if norm is None else float(norm)


def save_checkpoint(engine: Any, checkpoints: Path, step: int, keep: int) -> None:
    """Write a checkpoint and delete all but the latest `keep`. All processes call this.

    A checkpoint gets its name when it is complete.
    """
    import deepspeed.comm as comm

    target = checkpoints / f"{step:08}"
    part = part_of(target)
    if comm.get_rank() == 0:
        shutil.rmtree(part, ignore_errors=True)
    comm.barrier()
    engine.save_checkpoint(str(part), tag=_STATE, save_latest=False)
    sync_tree(part)
    comm.barrier()
    if comm.get_rank() == 0:
        publish(target)
        for old in _complete(checkpoints)[:-keep]:
            shutil.rmtree(old)
    comm.barrier()


def _complete(checkpoints: Path) -> list[Path]:
    return sorted(path for path in checkpoints.glob("[0-9]*") if path.is_dir())


def load_checkpoint(engine: Any, checkpoints: Path) -> int:
    """Load the latest checkpoint; return the number of finished steps, 0 without a checkpoint."""
    latest = _complete(checkpoints)[-1:]
    for checkpoint in latest:
        engine.load_checkpoint(str(checkpoint), tag=_STATE)
    return int(latest[0].name) if latest else 0


def weights(engine: Any) -> "dict[str, torch.Tensor]":
    """The trained weights by name, complete on rank 0. All processes call this."""
    if engine.zero_optimization_stage() == 3:
        return engine._zero3_consolidated_16bit_state_dict() or {}
    state: dict[str, torch.Tensor] = engine.module.state_dict()
    return state
