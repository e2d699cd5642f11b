"""Imports of heavy packages, which take a sixth less time without garbage collection."""

import gc
from importlib import import_module


def load(*modules: str) -> None:
    """Import modules without collecting garbage meanwhile.

    Not frozen afterwards: extensions report objects that outlive the interpreter as leaks, and a
    training's last words would be theirs.
    """
    gc.disable()
    try:
        for module in modules:
            import_module(module)
    finally:
        gc.enable()
