"""Questions whose answer is a text, graded against a stored truth or by running a program."""
