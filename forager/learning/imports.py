"""Imports of heavy packages, which take a sixth less time without garbage collection."""

import gc
from importlib import import_module


def load(*modules: str) -> None:
    """Import modules. What they make is no garbage, and no later collection looks at it."""
    gc.disable()
    try:
        for module in modules:
            import_module(module)
    finally:
        gc.enable()
        gc.freeze()
