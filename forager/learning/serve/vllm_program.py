"""Runs vLLM's server of the OpenAI API. usage: python -P vllm_program.py OPTION…

Without this program, looking for garbage and for installed packages takes a fifth of the time that
importing vLLM takes. vLLM starts processes that import this file first, and vLLM after it, but no
longer the API's modules.
"""

import gc
import runpy
from importlib import metadata
from pathlib import Path

gc.set_threshold(100_000, 50, 100)
_IMPORTS = runpy.run_path(str(Path(__file__).parents[1] / "imports.py"))  # forager may lack there
metadata.packages_distributions = _IMPORTS["packages_distributions"]

if __name__ == "__main__":
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__")
