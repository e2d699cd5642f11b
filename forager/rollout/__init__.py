"""Batches of attempts: workers, resume, progress."""
