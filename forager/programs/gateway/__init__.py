"""Runs an agent of another maker in a sandbox and takes its model calls (see `main`)."""
