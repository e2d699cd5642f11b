"""From a source to an image, a sandbox of it, and the grading of what was done there."""
