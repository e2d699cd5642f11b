"""Compiles `helper.c` for the interpreter that runs this, where there is a compiler."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

NAME = "forager_tracer_helper"
_SECONDS = 120
_FLAGS = ("-O2", "-shared", "-fPIC", "-fno-strict-aliasing", "-fwrapv")


def source() -> bytes:
    """The source of the helper, next to this module or in the archive that it came in."""
    loader: Any = __spec__.loader
    data: bytes = loader.get_data(str(Path(__file__).parent / "helper.c"))
    return data


def file_name(text: bytes) -> str:
    """The file of a compiled helper: another for each source and kind of interpreter."""
    return f"{NAME}-{hashlib.sha256(text).hexdigest()[:16]}{EXTENSION_SUFFIXES[0]}"


def load(path: str) -> ModuleType | None:
    """Import a compiled helper; None if the file is missing or does not fit."""
    if not Path(path).is_file():
        return None
    try:
        spec = spec_from_file_location(NAME, path, loader=ExtensionFileLoader(NAME, path))
        module = module_from_spec(spec) if spec else None
        if spec and spec.loader and module:
            spec.loader.exec_module(module)
        return module
    except ImportError:
        return None


def build(directory: str) -> str:
    """Compile the helper into a directory; return its path, or nothing if that is impossible."""
    text = source()
    compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    headers = sysconfig.get_path("include")
    if not compiler or not (Path(headers) / "Python.h").is_file():
        return ""
    target = Path(directory) / file_name(text)
    with tempfile.TemporaryDirectory(dir=directory) as place:
        (Path(place) / "helper.c").write_bytes(text)
        made = str(Path(place) / "helper.so")
        command = [compiler, *_FLAGS, f"-I{headers}", "-o", made, str(Path(place) / "helper.c")]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        if done.returncode:
            sys.stderr.write(done.stderr.decode(errors="replace")[-2000:])
            return ""
        Path(made).replace(target)
    return str(target)


def helper(directories: list[str]) -> ModuleType | None:
    """The helper from the first directory that has it, or built in the last one; None without."""
    name = file_name(source())
    for directory in directories:
        module = load(str(Path(directory) / name))
        if module is not None:
            return module
    built = build(directories[-1]) if directories else ""
    return load(built) if built else None
