"""What runs came to, at length: the tables of a report, and the report as a page, Markdown, JSON.

    gather → seen attempts → tables (compute, tasks, calls) → page, markdown, JSON

The short counts that `forager report` prints are `trajectories/report.py`'s.
"""
