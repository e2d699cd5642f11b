"""Which files are the project's own, and which of them are tests."""

from __future__ import annotations

import re
from typing import Callable

_TESTS = re.compile(r"(^|/)(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")
_FOREIGN = ("/site-packages/", "/.venv/", "/.tox/", "/node_modules/")


def project_files(root: str) -> Callable[[str], str]:
    """Return a function that names a file of the project by its path from the root."""
    start = f"{root.rstrip('/')}/"

    def wanted(file: str) -> str:
        if not file.startswith(start) or any(part in file for part in _FOREIGN):
            return ""
        return file[len(start) :]

    return wanted


def is_test(path: str) -> bool:
    """Whether a file of a project belongs to its tests."""
    return _TESTS.search(path) is not None
