"""What attempts came to: estimates with intervals, pass@k, reports, comparisons."""
