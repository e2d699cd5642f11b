"""The verbs of the command line; only they combine mutators, tools and tasks with the engine."""
