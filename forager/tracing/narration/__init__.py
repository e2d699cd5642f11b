"""Executions in words, of which each stated value is checked against the trace.

| module | what it does |
|---|---|
| `claims` | checks a text: what it states must be in the trace |
| `rules` | writes a text without a model |
| `writing` | asks a model, checks, retries once, and keeps the texts in a directory |
"""
