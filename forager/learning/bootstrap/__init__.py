"""The self-bootstrapping loop: roll out, filter, train, serve, evaluate, accept or roll back."""
