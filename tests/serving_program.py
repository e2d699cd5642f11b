"""Serves a model until it is killed; run by test_serve.py. usage: serving_program.py MODEL LOG

Prints the address. Each line of stdin names a model to serve next, whose address is printed when
it is served.
"""

import os
import sys
from pathlib import Path

from forager.learning.serve import ModelServer, ServeSettings

SETTINGS = ServeSettings(
    reload="in_place",
    max_model_len=256,
    dtype="float32",
    cpu_cores="nobind",
    cpu_nice=0,
)

if __name__ == "__main__":
    with ModelServer(Path(sys.argv[1]), SETTINGS, Path(sys.argv[2])) as server:
        print(server.name, *server.urls, flush=True)
        for line in sys.stdin:
            os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # one process fewer to load vLLM
            server.reload(Path(line.strip()))
            print(server.name, *server.urls, flush=True)
