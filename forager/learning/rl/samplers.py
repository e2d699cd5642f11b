"""The samplers by name, and whether attempts and steps overlap."""

from pathlib import Path

from forager.learning.processor import GPU
from forager.learning.rl.sampler import Sampler
from forager.learning.rl.settings import RlSettings


def sampler_of(settings: RlSettings, base: Path, logs: Path) -> Sampler:
    """The sampler that the settings name, with the precision of the trainer's weights."""
    from forager.learning.train.model import precision

    dtype = {"fp32": "float32", "bf16": "bfloat16"}[precision(settings.train)]
    if settings.sampler == "vllm":
        from forager.learning.rl.served_sampler import ServedSampler

        return ServedSampler(settings, dtype, logs)
    from forager.learning.rl.local_sampler import LocalSampler

    return LocalSampler(base, dtype)


def overlaps(settings: RlSettings) -> bool:
    """Whether attempts go on while a step is computed."""
    elsewhere = settings.run_settings().executor == "ray"
    auto = settings.overlap == "auto" and (elsewhere or GPU.exists())
    return settings.overlap == "yes" or auto
