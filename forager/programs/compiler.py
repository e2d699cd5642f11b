"""Compiles programs for the interpreter that runs this one.

usage: python compiler TARGET FILE…

Writes each FILE compiled into the directory TARGET, which it makes, under the same name. A module
becomes byte code, and an archive of modules one of byte code. Python runs both as it runs the FILE.
"""

from __future__ import annotations

import io
import marshal
import sys
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from zipfile import ZipFile, ZipInfo, is_zipfile

# The header of byte code that names no source: no checks when it loads, flags as in PEP 552.
_HEADER = MAGIC_NUMBER + b"\1\0\0\0" + bytes(8)


def compiled(source: bytes, name: str) -> bytes:
    """The byte code of a module, as in a file."""
    return _HEADER + marshal.dumps(compile(source, name, "exec", dont_inherit=True))


def compiled_archive(source: Path) -> bytes:
    """The archive with each module compiled, and other files as they are."""
    result = io.BytesIO()
    with ZipFile(source) as modules, ZipFile(result, "w") as archive:
        for name in modules.namelist():
            content = modules.read(name)
            if name.endswith(".py"):
                name, content = f"{name}c", compiled(content, f"{source.name}/{name}")
            archive.writestr(ZipInfo(name), content)
    return result.getvalue()


def main() -> None:
    """Compile the files that the arguments name."""
    target = Path(sys.argv[1])
    target.mkdir()
    for source in map(Path, sys.argv[2:]):
        package = is_zipfile(source)
        code = compiled_archive(source) if package else compiled(source.read_bytes(), source.name)
        (target / source.name).write_bytes(code)


if __name__ == "__main__":
    main()
