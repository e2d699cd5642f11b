"""What all who look at a file share: what is known of it, and what they find."""

from __future__ import annotations

import ast
from typing import Callable, Iterable, NamedTuple

from .evaluator import Evaluator
from .import_time import ImportTime


class Finding(NamedTuple):
    """A construct: where it is, and what it does.

    `code` is its line in the source, if any other use of the construct counts as a new one.
    """

    line: int
    text: str
    code: str = ""


class Search:
    """The search through one tree.

    `owns` says whether a module is the project's own (see `comparison.owner`), `tests` are the
    files and functions of tests.
    """

    def __init__(
        self, evaluator: Evaluator, owns: Callable[[str], bool], tests: frozenset[str]
    ) -> None:
        self.evaluator, self.layout, self.owns = evaluator, evaluator.layout, owns
        self.test_names = {path.rpartition("/")[2] for path in tests}
        self.importing = ImportTime(self.layout)
        self.line = 0
        self.called: set[int] = set()  # functions' nodes; they come after their calls
        self.asked: set[str] = set()  # variables of the environment
        self.marked: dict[str, ast.AST] = {}
        self.searched: list[ast.AST] = []  # where the names of all variables are read
        self.findings: list[Finding] = []
        self.loads: set[str] = set()
        self.texts: set[str] = set()

    def find(self, text: str, node: ast.AST | None = None) -> None:
        """Note what a node does, by default one at the line that is looked at."""
        finding = Finding(getattr(node, "lineno", self.line), text)
        if finding not in self.findings[-8:]:
            self.findings.append(finding)

    def find_all(self, texts: Iterable[str], node: ast.AST) -> None:
        """Note all that a node does."""
        for text in texts:
            self.find(text, node)

    def is_elsewhere(self, path: str) -> bool:
        """Whether a path leads to a module of the project, or into one, but not to this one."""
        return "." in path and (path.startswith("__self__.") or self.owns(path.partition(".")[0]))

    def is_foreign(self, path: str) -> bool:
        """Whether a path names a module, or a class or function of one, of others."""
        if path in ("sys.modules[?]", "?module"):
            return True
        root = path.partition(".")[0]
        if "(" in path or "?" in path or root == "__self__":
            return False
        if any(part.startswith("test_") or part == "conftest" for part in path.split(".")):
            return True
        return not self.owns(root)
