"""DeepSpeed's engine around the model: made, saved, gone on with, and its weights taken out."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forager.atomic import part_of, publish, sync_tree
from forager.errors import TrainingError
from forager.learning.train.model import parameter_groups, precision
from forager.learning.train.settings import TrainSettings

if TYPE_CHECKING:
    import torch

_STATE = "state"  # the tag within a checkpoint's directory


def join(settings: TrainSettings) -> None:
    """Meet the other processes (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT).

    Raises TrainingError where there are not as many as the rows are shared by.
    """
    from datetime import timedelta

    import deepspeed
    import torch

    # Gloo does; DeepSpeed's own operator for it would be compiled here, for a minute.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    deepspeed.init_distributed(
        backend,
        auto_mpi_discovery=False,
        verbose=False,
        timeout=timedelta(seconds=settings.rendezvous_timeout),
    )
    if (found := deepspeed.comm.get_world_size()) != settings.processes:
        raise TrainingError(
            f"{found} processes were started and the settings say {settings.processes}: give "
            f"--processes {found}, or a hostfile whose slots come to {settings.processes}"
        )


def start(model: Any, settings: TrainSettings) -> Any:
    """DeepSpeed's engine for this model."""
    import deepspeed
    import torch

    shared = None
    if settings.sequence_parallel_size > 1:
        shared = _share_rows(model, settings)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    optimizer = torch.optim.AdamW(
        parameter_groups(model, settings.weight_decay),
        lr=settings.learning_rate,
        betas=settings.betas,
        fused=not settings.offload_optimizer,
    )
    engine, *_ = deepspeed.initialize(
        model=model, optimizer=optimizer, config=_config(settings), mpu=shared
    )
    return engine


def _share_rows(model: Any, settings: TrainSettings) -> Any:
    """Ulysses: each process has a part of the row, and in attention a part of the heads."""
    from deepspeed.runtime.sequence_parallel.ulysses_sp import UlyssesSPAttentionHF

    return UlyssesSPAttentionHF.register_with_transformers(
        model_name_or_path=model,
        core_attn_implementation=model.config._attn_implementation,
        sequence_parallel_size=settings.sequence_parallel_size,
        micro_batch_size=1,
    )


def _config(settings: TrainSettings) -> dict[str, Any]:
    # With bf16 and without ZeRO, DeepSpeed 0.19 takes an optimizer that learns less in each step.
    stage = settings.zero_stage or int(precision(settings) == "bf16")
    zero: dict[str, Any] = {"stage": stage}
    if settings.zero_stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    if settings.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu"}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": settings.batch_size // settings.data_parallel_size,
        "gradient_clipping": 0.0 if _plain(settings) else settings.max_grad_norm,
        "bf16": {"enabled": precision(settings) == "bf16"},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 1 << 62,
    }


def _plain(settings: TrainSettings) -> bool:
    """Whether DeepSpeed has no optimizer of its own here, which says how long the gradient was."""
    return settings.zero_stage == 0 and precision(settings) == "fp32"


def update(engine: Any, settings: TrainSettings) -> float | None:
    """Update the weights where the step's last row is behind; the length of the gradient then."""
    import torch

    if not engine.is_gradient_accumulation_boundary():
        engine.step()
        return None
    if _plain(settings):
        longest = settings.max_grad_norm or float("inf")
        norm: Any = torch.nn.utils.clip_grad_norm_(engine.module.parameters(), longest)
        engine.step()
    else:
        engine.step()
        norm = engine.get_global_grad_norm()
    return None if norm is None else float(norm)


def save_checkpoint(engine: Any, checkpoints: Path, step: int, keep: int) -> None:
    """Write what is needed to go on after so many steps; of earlier ones the latest stay.

    A checkpoint has its name only once it is whole. All processes call this.
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
        for old in _whole(checkpoints)[:-keep]:
            shutil.rmtree(old)
    comm.barrier()


def _whole(checkpoints: Path) -> list[Path]:
    return sorted(one for one in checkpoints.glob("[0-9]*") if one.is_dir())


def load_checkpoint(engine: Any, checkpoints: Path) -> int:
    """Go on from the latest checkpoint; returns the number of steps that were made, 0 for none."""
    latest = _whole(checkpoints)[-1:]
    for one in latest:
        engine.load_checkpoint(str(one), tag=_STATE)
    return int(latest[0].name) if latest else 0


def weights(engine: Any) -> "dict[str, torch.Tensor]":
    """The trained weights by name; whole on rank 0. All processes call this."""
    if engine.zero_optimization_stage() == 3:
        return engine._zero3_consolidated_16bit_state_dict() or {}
    state: dict[str, torch.Tensor] = engine.module.state_dict()
    return state
