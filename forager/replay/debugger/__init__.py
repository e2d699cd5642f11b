"""`forager debug`: a recorded execution, stepped through in both directions."""
