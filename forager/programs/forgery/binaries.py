"""Finds what Python could execute in files other than Python source."""

from __future__ import annotations

from .search import Finding

_HARMLESS = frozenset(
    [
        "builtins",
        "collections",
        "copyreg",
        "datetime",
        "decimal",
        "numpy",
        "numpy.core.multiarray",
        "numpy._core.multiarray",
        "pandas",
        "fractions",
        "array",
        "_codecs",
        "__builtin__",
    ]
)
_CALLING = frozenset(
    [
        "eval",
        "exec",
        "compile",
        "getattr",
        "setattr",
        "__import__",
        "open",
        "globals",
        "vars",
        "delattr",
        "input",
        "map",
    ]
)
_CODE = (".py", ".pyc", ".so", ".pyd")


def findings_of_binary(path: str, data: bytes) -> list[Finding]:
    """What a file holds that only a forger needs; empty for most."""
    if data.startswith(b"\x7fELF"):
        return [Finding(1, "is machine code")]
    if path.endswith((".pyc", ".pyo")) or (
        data[2:4] == b"\r\n" and data[:1] > b"\x20" and b"\0" in data[4:12]
    ):
        return [Finding(1, "is byte code")]
    if data.startswith(b"PK\x03\x04") and _holds_code(data):
        return [Finding(1, "is an archive from which Python can import")]
    if data[:1] == b"\x80" and len(data) > 2 and data[1] <= 5:
        return _of_pickle(data)
    if path.endswith((".yaml", ".yml")) and b"!!python/" in data:
        return [Finding(1, "makes Python objects (!!python)")]
    return []


def _holds_code(data: bytes) -> bool:
    import io  # takes time, as the other imports here, and few answers need it
    from zipfile import BadZipFile, ZipFile

    try:
        return any(name.endswith(_CODE) for name in ZipFile(io.BytesIO(data)).namelist())
    except (BadZipFile, ValueError, NotImplementedError, OSError):
        return False


def _of_pickle(data: bytes) -> list[Finding]:
    """The functions of other modules that a pickle calls."""
    import pickletools  # nosec B403  # reads, and executes nothing

    texts: list[str] = []
    names = set()
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if number > 200_000:
                break
            if isinstance(argument, str):
                texts.append(argument)
            if opcode.name in ("GLOBAL", "INST"):
                names.add(tuple(str(argument).split(" ", 1)))
            elif opcode.name == "STACK_GLOBAL" and len(texts) > 1:
                names.add((texts[-2], texts[-1]))
    except Exception:  # of any type: nothing can load it
        return []
    bad = sorted(
        f"{module}.{name}"
        for module, name in names
        if module.partition(".")[0] not in _HARMLESS or name in _CALLING
    )
    return [Finding(1, f"is a pickle that uses {name}") for name in bad]
