"""The environment of broken repositories: the answer is a patch, and tests judge it."""
