"""Reinforcement learning: draw tasks, make attempts, grade, train, load the new weights."""
