"""A persistent shell in Docker, bubblewrap or a local process; limits; cleaning up."""
