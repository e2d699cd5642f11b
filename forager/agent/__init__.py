"""The agent's loop, the models that drive it, and those that ship: repair and the oracle."""

REPAIR = "repair"
ORACLE = "oracle"
SERVERLESS = frozenset({REPAIR, ORACLE})
"""Names of models that are asked nowhere: they run where the attempt is driven."""
