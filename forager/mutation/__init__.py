"""Finds, picks and proves mutants; knows no single mutator."""
