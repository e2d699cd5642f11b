"""Execution traces: the record, the recorder's stream, rebuilt states, and views for models.

A trace is recorded once, by `forager/programs/tracer` in a sandbox. All that is shown of it, or
trained on, is made from the record offline.
"""
