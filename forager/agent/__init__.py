"""The agent's loop, the models that drive it, and those that ship: repair and the oracle."""

REPAIR = "repair"
ORACLE = "oracle"
NO_URL = "http://litellm/v1"
"""Stands for the provider's own address, which litellm knows."""
SERVERLESS = frozenset({REPAIR, ORACLE})
"""Names of models that are asked nowhere: they run where the attempt is driven."""
