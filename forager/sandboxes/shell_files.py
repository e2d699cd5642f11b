"""Files of a sandbox, read and written over its shell's stream."""

import posixpath
import re
import secrets
import shlex

from forager.sandboxes.shell import Shell, announced

_READ_LIMIT = 64 << 20  # bytes of the largest file that `read_file` returns
_SAID_LIMIT = 4096  # bytes of an error message of `write_file`
_SECONDS = 120.0
_TRIES = 3
# The report of `dd` at its end.
_RECORDS, _RECORDS_IN = re.compile(rb"\d+\+\d+"), b" records in\n"
_COPIED = re.compile(
    _RECORDS_IN + rb"\d+\+\d+ records out\n(\d{1,15}) bytes?(?: \(.*\))? copied, .*\n"
)

# Exit codes of the snippets below, each an errno's name.
_ERRORS: dict[int, type[OSError]] = {
    102: FileNotFoundError,
    113: PermissionError,
    121: IsADirectoryError,
}


def read_file(shell: Shell, path: str) -> bytes:
    """Return a file's content; errors are those of `Sandbox.read`.

    Background jobs print to the same stream. `dd` reports how many bytes it copied, so that output
    in between is noticed, and the file is read again.
    """
    name = _operand(path)
    script = (
        f"[[ -e {name} ]] || builtin exit 102; [[ ! -d {name} ]] || builtin exit 121; "
        f"[[ -f {name} && -r {name} ]] || builtin exit 113; "
        f"builtin exec -c /bin/dd bs=65536 <{name} 2>&1"
    )
    for _ in range(_TRIES):
        code, said = shell.transfer(script, _SECONDS, _READ_LIMIT)
        if code:
            raise _ERRORS.get(code, OSError)(path)
        end = said.rfind(_RECORDS_IN)
        counted = _COPIED.match(said, max(0, end))
        if counted and _RECORDS.fullmatch(said, int(counted[1]), end):
            return said[: int(counted[1])]
    raise OSError(f"{path} is too large, or jobs in the background print too much to read it")


def write_file(shell: Shell, path: str, content: bytes) -> None:
    """Write a file, keeping the mode of one that exists; errors are those of `Sandbox.write`.

    The content follows on the stream once the file is open, read by `head -c`, as bash would read
    it byte by byte. What `head` leaves is skipped up to a line with a token, so that bash does not
    run it.
    """
    name, parent = _operand(path), _operand(posixpath.dirname(path) or ".")
    mark = secrets.token_hex(16)
    take = (
        f"{announced(mark)}; /usr/bin/head -c {len(content)} >&3; code=$?; "
        f"while IFS= builtin read -r line && [[ $line != {mark} ]]; do builtin :; done; "
        "builtin exit $code"
    )
    code, said = shell.transfer(
        f"[[ ! -d {name} ]] || builtin exit 121; [[ -d {parent} ]] || builtin exit 102; "
        f"[[ -w {name} || ! -e {name} && -w {parent} ]] || builtin exit 113; "
        f"{{ {take}; }} 2>&1 3>|{name}",
        _SECONDS,
        _SAID_LIMIT,
        content + f"\n{mark}\n".encode(),
        mark,
    )
    if code:
        text = said.decode("utf-8", "replace").strip()
        raise _ERRORS.get(code, PermissionError if "denied" in text else OSError)(text or path)


def _operand(path: str) -> str:
    """A path as a shell word that cannot be taken for an option."""
    return shlex.quote(path if path.startswith(("/", "./")) else f"./{path}")
