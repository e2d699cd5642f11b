"""One process of a training.

usage: python -P -m forager.learning.train.program TRAINING

TRAINING/settings.json holds the request. RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT
identify this process and the place where all join.
"""

import sys
from pathlib import Path

from forager.errors import ForagerError
from forager.learning import imports
from forager.learning.saved import load
from forager.learning.train.settings import TrainingRequest


def main(directory: Path) -> int:
    """Train; return the exit code."""
    from forager.learning.train.engine import join
    from forager.learning.train.loop import Training

    request = load(directory / "settings.json", TrainingRequest)
    assert request
    try:
        join(request.settings)
        imports.load("transformers.modeling_utils")
        Training(directory, request).run()
    except ForagerError as error:
        print(f"forager: {error}", file=sys.stderr)
        return 1
    import torch.distributed as distributed

    distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    imports.leave(main(Path(sys.argv[1])))
