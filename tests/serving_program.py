"""Serves a model until it is killed; run by test_serve.py. usage: serving_program.py MODEL LOG"""

import sys
import time
from pathlib import Path

from forager.learning.serve import ModelServer, ServeSettings

if __name__ == "__main__":
    with ModelServer(
        Path(sys.argv[1]),
        ServeSettings(dtype="float32"),
        Path(sys.argv[2]),
    ) as server:
        print(server.urls[0], server.name, flush=True)
        time.sleep(600)
