"""Imports of heavy packages, without what takes a third of their time and serves nothing here."""

import gc
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, metadata

_NAME = re.compile(r"^Name: *(.*)$", re.MULTILINE)
_FILE = re.compile(r"^([^/,\n]+?)(?:/[^\n]*)?\.py,", re.MULTILINE)  # its first part


def load(*modules: str, hidden: str = "") -> None:
    """Import modules, which do not find the package `hidden`.

    Garbage is not collected meanwhile: these packages make millions of objects. Nothing is frozen:
    extensions report objects that outlive the interpreter as leaks, and these reports would be a
    training's last words.
    """
    gc.disable()
    try:
        with _hiding(hidden), _listing_quickly():
            for module in modules:
                import_module(module)
    finally:
        gc.enable()


@contextmanager
def _hiding(package: str) -> Iterator[None]:
    """Make imports of a package fail, unless it has been imported."""
    if not package or package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
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
