"""Records what a program does: each call, line, return, exception, and change of a variable.

`helper.c` records where a compiler could build it, and `fallback` elsewhere. Both write the same
bytes, a stream that `forager/tracing/stream.py` describes.
"""
