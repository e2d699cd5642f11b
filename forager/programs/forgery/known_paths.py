"""The paths that the evaluator knows, and the one path of what many modules hold."""

from __future__ import annotations

import builtins
import sys

from .rules import FRAMES

BUILTINS = frozenset(dir(builtins)) | {"__builtins__", "__loader__", "__spec__", "__file__"}
_ALWAYS = frozenset(["sys", "builtins", "gc", "marshal", "posix", "_pytest"])
_OFTEN = frozenset(
    [
        "os",
        "inspect",
        "importlib",
        "ctypes",
        "types",
        "threading",
        "signal",
        "unittest",
        "pytest",
        "functools",
        "operator",
        "math",
        "atexit",
        "shutil",
        "subprocess",
    ]
)
"""Modules that other modules hold as attributes: `os.sys` is `sys`. Packages have submodules of
these names; modules of the standard library do not."""
_STANDARD = getattr(
    sys,
    "stdlib_module_names",  # since 3.10
    frozenset(
        [
            "abc",
            "argparse",
            "ast",
            "asyncio",
            "collections",
            "concurrent",
            "contextlib",
            "copy",
            "dataclasses",
            "datetime",
            "decimal",
            "email",
            "enum",
            "fractions",
            "functools",
            "glob",
            "http",
            "importlib",
            "inspect",
            "io",
            "itertools",
            "json",
            "logging",
            "math",
            "multiprocessing",
            "operator",
            "os",
            "pathlib",
            "pickle",
            "pkgutil",
            "random",
            "re",
            "shutil",
            "socket",
            "statistics",
            "string",
            "subprocess",
            "tempfile",
            "textwrap",
            "threading",
            "time",
            "traceback",
            "types",
            "typing",
            "unittest",
            "urllib",
            "uuid",
            "warnings",
            "weakref",
            "xml",
            "zipfile",
        ]
    ),
)

TRACKED = (
    frozenset(
        [
            "__globals__",
            "__dict__",
            "__class__",
            "__subclasses__",
            "__base__",
            "__bases__",
            "__mro__",
            "__code__",
            "__builtins__",
            "__doc__",
            "__setattr__",
            "__delattr__",
            "__getattribute__",
            "__loader__",
            "__spec__",
        ]
    )
    | FRAMES
)
"""Attributes that count even if nothing is known of their owner."""

IMPORTERS = frozenset(
    [
        "builtins.__import__",
        "importlib.import_module",
        "importlib.__import__",
        "pydoc.locate",
        "pydoc.safeimport",
        "pkgutil.resolve_name",
        "importlib._bootstrap._gcd_import",
        "imp.load_module",
        "runpy.run_module",
        "importlib.reload",
        "importlib.util.find_spec",
    ]
)
PASSING = frozenset(
    [
        "builtins.list",
        "builtins.tuple",
        "builtins.set",
        "builtins.frozenset",
        "builtins.iter",
        "builtins.sorted",
        "builtins.reversed",
        "builtins.dict",
        "copy.copy",
        "copy.deepcopy",
        "itertools.chain",
        "itertools.cycle",
        "typing.cast",
        "weakref.proxy",
        "weakref.ref",
    ]
)


def canonical(path: str) -> str:
    """The path of a thing without the modules through which it was reached."""
    if "(" not in path and "?" not in path:
        parts = path.split(".")
        taken = _ALWAYS | _OFTEN if parts[0] in _STANDARD else _ALWAYS
        for place in range(len(parts) - 1, 0, -1):
            if parts[place] in taken and parts[place] != parts[place - 1]:  # signal.signal
                return ".".join(parts[place:])
    return path.replace(".__dict__.__dict__", ".__dict__")
