"""Programs that run inside sandboxes, with nothing but the standard library."""
