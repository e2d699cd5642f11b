"""Runs vLLM's server of the OpenAI API. usage: python -P vllm_program.py OPTION…

Without this program, looking for garbage takes a sixth of the time that importing vLLM takes. vLLM
starts processes that import this file first, and vLLM after it, but no longer the API's modules.
"""

import gc
import runpy

gc.set_threshold(100_000, 50, 100)

if __name__ == "__main__":
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__")
