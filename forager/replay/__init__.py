"""Attempts on the screen: a browser of runs, an attempt turn by turn, two side by side, a batch."""
