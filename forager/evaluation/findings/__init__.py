"""The long report on runs: its tables, and writers for a page, Markdown and JSON.

    gather → reported attempts → tables (compute, tasks, calls) → page, Markdown, JSON

`forager/evaluation/report.py` makes the short counts that `forager report` prints.
"""
