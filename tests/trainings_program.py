"""One of some processes that make several trainings, one behind another; run by test_training.py.

usage: python -P trainings_program.py TRAINING…, each with a settings.json
"""

import sys
from pathlib import Path

from forager.learning import imports
from forager.learning.saved import load
from forager.learning.train.engine import join
from forager.learning.train.loop import Training
from forager.learning.train.settings import TrainingRequest

if __name__ == "__main__":
    for number, directory in enumerate(map(Path, sys.argv[1:])):
        request = load(directory / "settings.json", TrainingRequest)
        assert request
        if number == 0:
            join(request.settings)
        Training(directory, request).run()
    imports.leave(0)
