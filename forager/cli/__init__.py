"""The verbs of the command line; only they combine mutators, tools and tasks with the engine."""

import gc

gc.set_threshold(100_000, 50, 100)  # with Python's, collections take a tenth of the start of a run
