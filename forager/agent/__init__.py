"""The agent's loop, the models that drive it, and the model-free repair policy."""
