"""Looks through a syntax tree for what only a forger of test results needs."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Callable

from . import calls, control_flow, definitions, names, probes, rules, stores, texts, uses
from .evaluator import Evaluator
from .expressions import READERS
from .ingredients import ingredients
from .scopes import Layout, Scope, Visited
from .search import Finding, Search
from .values import Thing

if TYPE_CHECKING:
    Look = Callable[[Search, Any, Scope], None]

_NESTED = 4  # texts that execute texts
_PROGRAM = (
    "imports",
    "ends the process",
    "registers",
    "starts",
    "sets a signal",
    "writes",
    "runs doctests",
    "changes the directory",
)
"""What a block that only runs as a program may do."""


class SourceFinder:
    """Finds suspect constructs in a tree.

    `owns` says whether a module is the project's own (see `comparison.owner`), `tests` are the
    files and functions of tests.
    """

    def __init__(
        self,
        tree: ast.AST,
        owns: Callable[[str], bool],
        outer: SourceFinder | None = None,
        scope: Scope | None = None,
        tests: frozenset[str] = frozenset(),
    ) -> None:
        self._owns, self._tests = owns, tests
        self._layout = Layout(tree, scope)
        around = outer._evaluator if outer else None
        self._evaluator: Evaluator = Evaluator(self._layout, READERS, around)
        self._level: int = outer._level + 1 if outer else 0
        self.search = Search(self._evaluator, owns, tests)

    def look(self) -> list[Finding]:
        """All findings. Raises TooMuch for a file that takes too many steps."""
        self._round()
        if self._evaluator.again():
            self._round()
        self.search.findings = list(dict.fromkeys(self.search.findings))
        return self.search.findings

    def _round(self) -> None:
        self._evaluator.nested.clear()
        executed = [seen for seen in self._layout.visited if isinstance(seen.node, ast.Call)]
        for seen in executed:
            self._execute(seen)
        for seen in self._layout.visited:
            if not (seen.block == "types" and self._checks_types(seen.scope)):
                self._look_at(seen)
        for name in sorted(self.search.asked & set(self.search.marked)):
            self.search.find(f"leaves a mark in the environment: {name}", self.search.marked[name])
        parts = sorted(filter(probes.is_part_of_variable, self.search.texts))
        for node in self.search.searched if parts else ():
            self.search.find(f"searches the environment for {parts[0]}", node)

    def _checks_types(self, scope: Scope) -> bool:
        """Whether nothing but `typing` defines TYPE_CHECKING here."""
        paths = self._evaluator.lookup("TYPE_CHECKING", scope)
        known = ("typing.TYPE_CHECKING", "typing_extensions.TYPE_CHECKING")
        bound = self._layout.top.names.get("TYPE_CHECKING", ())
        return all(isinstance(path, Thing) and path.path in known for path in paths) and all(
            binding.kind == "import" for binding in bound
        )

    def _look_at(self, seen: Visited) -> None:
        node, before = seen.node, len(self.search.findings)
        look = _LOOKS.get(type(node))
        if look is None:
            return
        self.search.line = getattr(node, "lineno", self.search.line)
        look(self.search, node, seen.scope)
        if seen.block == "program":
            self.search.findings[before:] = [
                finding
                for finding in self.search.findings[before:]
                if not finding.text.startswith(_PROGRAM)
            ]

    def _execute(self, seen: Visited) -> None:
        """A call that executes a text: read the text as well."""
        node: Any = seen.node
        functions = self._evaluator.values(node.func, seen.scope)
        paths = {value.path for value in functions if isinstance(value, Thing)}
        if not paths & rules.EXECUTING or not node.args:
            return
        executed = self._evaluator.texts(node.args[0], seen.scope)
        for text in executed:
            self._nested(text, node, seen.scope)
        parts = ingredients(node.args[0], seen.scope, self._evaluator)
        outside = rules.READING | rules.READING_ATTRIBUTES | {"os.environ"}
        if parts & rules.DECODING:
            self.search.find("executes (exec) a text that it decodes", node)
        elif parts & outside:
            self.search.find("executes (exec) a text from outside the code", node)
        elif not executed and paths & rules.EXEC and self.search.importing.runs(seen.scope):
            self.search.find("executes (exec) a computed text at import", node)

    def _nested(self, text: str, node: ast.AST, scope: Scope) -> None:
        if self._level >= _NESTED:
            self.search.find("executes (exec) texts that execute texts", node)
            return
        try:
            tree = ast.parse(text.lstrip())
        except (SyntaxError, ValueError):
            return
        except (RecursionError, MemoryError):
            self.search.find("executes (exec) a text that nests too deeply", node)
            return
        inner = SourceFinder(tree, self._owns, self, scope, self._tests)
        self._evaluator.nested.append(inner._evaluator)
        for finding in inner.look():
            self.search.find(finding.text, node)
        self.search.loads |= inner.search.loads


_LOOKS: dict[Any, Look] = {
    ast.Import: uses.import_,
    ast.ImportFrom: uses.import_from,
    ast.Attribute: names.attribute,
    ast.Name: names.name,
    ast.Subscript: names.subscript,
    ast.Call: calls.call,
    ast.Constant: texts.text,
    ast.JoinedStr: texts.formatted,
    ast.BinOp: texts.operation,
    ast.Compare: control_flow.compare,
    ast.BoolOp: control_flow.condition,
    ast.If: control_flow.condition,
    ast.IfExp: control_flow.condition,
    ast.While: control_flow.condition,
    ast.For: control_flow.loop,
    ast.AsyncFor: control_flow.loop,
    ast.comprehension: control_flow.loop,
    ast.FunctionDef: definitions.defined,
    ast.AsyncFunctionDef: definitions.defined,
    ast.ClassDef: definitions.class_,
    ast.Try: control_flow.try_,
    ast.With: control_flow.with_,
    ast.AsyncWith: control_flow.with_,
    ast.Dict: definitions.table,
    ast.Assign: stores.assigned,
    getattr(ast, "TryStar", ast.Try): control_flow.try_,  # since 3.11
    getattr(ast, "Match", None): control_flow.match,  # since 3.10
}
