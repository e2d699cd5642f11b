"""Small accounts."""
