"""Files of a sandbox, read and written over its shell's stream."""

import posixpath
import secrets
import shlex

from forager.environments.shell import BoundedOutput, Shell
from forager.errors import SandboxError

_READ_LIMIT = 256 << 20  # bytes of the largest file that `read_file` returns
_SECONDS = 120.0

# Exit codes of the snippets below, each an errno's name.
_ERRORS: dict[int, type[OSError]] = {
    102: FileNotFoundError,
    113: PermissionError,
    121: IsADirectoryError,
}


def read_file(shell: Shell, path: str) -> bytes:
    """Return a file's content; errors are those of `Sandbox.read`."""
    name = _operand(path)
    output = BoundedOutput(_READ_LIMIT)
    code, _, _ = shell.call(
        f"if [ ! -e {name} ]; then (exit 102); elif [ -d {name} ]; then (exit 121); "
        f"elif [ ! -f {name} ] || [ ! -r {name} ]; then (exit 113); "
        f"else /bin/cat <{name}; fi",
        _SECONDS,
        output,
    )
    if code is None:
        raise SandboxError(f"reading {path} took more than {_SECONDS:.0f} s")
    head, tail, dropped = output.content()
    if code or dropped:
        raise _ERRORS.get(code, OSError)(path)
    return head + tail


def write_file(shell: Shell, path: str, content: bytes) -> None:
    """Write a file, keeping the mode of one that exists; errors are those of `Sandbox.write`.

    The content follows the command on the stream, counted: bash reads its input byte by byte,
    `head` does not. Where `head` does not come to the end of it, the rest is skipped up to a line
    with a token, so that it is not taken for commands; to bash that line is an empty command.
    """
    name, parent = _operand(path), _operand(posixpath.dirname(path) or ".")
    mark = f": {secrets.token_hex(16)}"
    head = f"/usr/bin/head -c {len(content)}"
    skip = f'while IFS= builtin read -r line && [ "$line" != "{mark}" ]; do :; done; builtin exit'
    output = BoundedOutput(4096)
    code, _, _ = shell.call(
        f"if [ -d {name} ]; then ({head} >/dev/null; {skip} 121); "
        f"elif [ ! -d {parent} ]; then ({head} >/dev/null; {skip} 102); "
        f"elif [ ! -w {name} ] && {{ [ -e {name} ] || [ ! -w {parent} ]; }}; "
        f"then ({head} >/dev/null; {skip} 113); "
        f"elif {head} >{name}; then :; else ({skip} 1); fi",
        _SECONDS,
        output,
        content + f"\n{mark}\n".encode(),
    )
    if code is None:
        raise SandboxError(f"writing {path} took more than {_SECONDS:.0f} s")
    if code:
        said = output.content()[0].decode("utf-8", "replace").strip()
        raise _ERRORS.get(code, PermissionError if "denied" in said else OSError)(said or path)


def _operand(path: str) -> str:
    """A path as a shell word that is no option."""
    return shlex.quote(path if path.startswith(("/", "./")) else f"./{path}")
