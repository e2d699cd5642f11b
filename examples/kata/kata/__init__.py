"""Small functions, each with its test."""
