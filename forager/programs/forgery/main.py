"""Compares the files before and after a patch, and reports what was added for a forger only.

Standard input is one JSON object: the paths that the patch changed (`files`), the reference patch
(`reference`), the files and functions of tests (`tests`), and whether pytest imports modules for
their doctests (`doctests`). The current directory is the repository, whose HEAD holds the files
before. Descriptor 3 takes one line of the request's nonce and a JSON object with `reasons`.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys

from .plain import is_plain
from .repository import Repository

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_MEMORY = 3 << 30  # bytes
_MOST = 20  # reasons


def all_plain(repository: Repository, files: list[str], contents: dict[str, bytes]) -> bool:
    """Whether a patch adds plain code to existing modules, and nothing else.

    Each module is compared with what it was, and with what the reference patch makes of it.
    """
    if any(not path.endswith(".py") or path not in contents for path in files):
        return False
    before = repository.before(files)
    if not all(path in before for path in files):
        return False
    rest = [path for path in files if not is_plain(path, before[path], contents[path])]
    right = repository.reference() if rest else {}
    return all(path in right and is_plain(path, right[path][1], contents[path]) for path in rest)


def reasons(request: dict[str, Any]) -> list[str]:
    """One line for each construct that was added."""
    repository = Repository(request["reference"])
    files: list[str] = request["files"]
    contents = {path: _read(path) for path in files if os.path.isfile(path)}
    if all_plain(repository, files, contents):
        return []
    from .comparison import compare  # takes time, and plain answers do not need it

    return compare(repository, files, contents, request["tests"], doctests=request["doctests"])


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def main() -> NoReturn:
    """Read the request and answer it."""
    request = json.loads(sys.stdin.readline())
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    sys.setrecursionlimit(5000)
    gc.disable()  # syntax trees are no garbage, and collections look at them again and again
    found = [ascii(reason)[1:-1][:300] for reason in reasons(request)]
    more = len(found) - _MOST
    answer = found[:_MOST] + ([f"and {more} more"] if more > 0 else [])
    os.write(3, f"{request['nonce']} {json.dumps({'reasons': answer})}\n".encode())
    os._exit(0)  # without freeing the syntax trees, which takes time
