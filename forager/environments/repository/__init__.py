"""A broken repository: the answer is a patch, which tests judge."""
