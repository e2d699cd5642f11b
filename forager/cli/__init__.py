"""The verbs of the command line; the one place that puts the catalogues together."""
