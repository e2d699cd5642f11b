"""Runs vLLM's server of the OpenAI API. usage: python -P vllm_program.py OPTION…

Without this program, looking for garbage and for installed packages takes a fifth of the time that
importing vLLM takes, and on a CPU the process that computes imports vLLM once more. Where vLLM
starts processes that import this file first, they do not import the API's modules.
"""

import gc
import os
import runpy
from importlib import metadata
from pathlib import Path
from typing import Any

gc.set_threshold(100_000, 50, 100)
_IMPORTS = runpy.run_path(str(Path(__file__).parents[1] / "imports.py"))  # forager may lack there
metadata.packages_distributions = _IMPORTS["packages_distributions"]


def fork_on_cpu() -> None:
    """Let vLLM fork the process that computes, where a CPU computes with one thread.

    vLLM asks for a new process on every CPU, since OpenMP's threads do not survive a fork; the
    server's own process has none then.
    """
    from vllm.platforms import current_platform

    if not current_platform.is_cpu() or os.environ.get("OMP_NUM_THREADS") != "1":
        return
    platform = type(current_platform)
    check = platform.check_and_update_config

    def check_and_fork(config: Any) -> None:
        check(config)
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"

    platform.check_and_update_config = staticmethod(check_and_fork)


if __name__ == "__main__":
    fork_on_cpu()
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__")
