"""Evaluates attempts: estimates with intervals, pass@k, reports, comparisons."""
