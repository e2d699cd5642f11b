"""Imports of heavy packages, without what takes a third of their time and serves nothing here."""

import gc
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module, metadata
from typing import NoReturn

_NAME = re.compile(r"^Name: *(.*)$", re.MULTILINE)
_FILE = re.compile(r"^([^/,\n]+?)(?:/[^\n]*)?\.py,", re.MULTILINE)  # its first part


# What accelerate and DeepSpeed import if it is there, for SageMaker and for their autotuner.
_NEEDLESS = ("boto3", "mlflow")


def load(*modules: str) -> None:
    """Import modules, which do not find what they import needlessly.

    Garbage is not collected meanwhile: these packages make millions of objects. Nothing is frozen:
    extensions report objects that outlive the interpreter as leaks, and these reports would be a
    training's last words.
    """
    gc.disable()
    try:
        with _hiding(_NEEDLESS), _listing_quickly():
            for module in modules:
                import_module(module)
    finally:
        gc.enable()


def leave(code: int) -> NoReturn:
    """End the process without freeing what these packages made, which takes a second.

    Handlers of `atexit` are not called: the caller has closed what it opened.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@contextmanager
def _hiding(packages: Iterable[str]) -> Iterator[None]:
    """Make imports of packages fail that have not been imported."""
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


@contextmanager
def _listing_quickly() -> Iterator[None]:
    """Answer Transformers, which asks for all installed packages, in a quarter of the time."""
    original = metadata.packages_distributions
    metadata.packages_distributions = packages_distributions
    try:
        yield
    finally:
        metadata.packages_distributions = original


def packages_distributions() -> dict[str, list[str]]:
    """As `importlib.metadata` finds it, which makes a path of each installed file."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for distribution in metadata.distributions():
        named = _NAME.search(distribution.read_text("METADATA") or "")
        top = (distribution.read_text("top_level.txt") or "").split()
        for package in top or {*_FILE.findall(distribution.read_text("RECORD") or "")}:
            if named:
                found[package].append(named[1].strip())
    return dict(found)
