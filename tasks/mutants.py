"""Wrong answers that are nearly right: mutants of a task's known solution."""

import ast
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from forager.environments.function.task import CodingTask
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.workspace import apply_patch
from forager.mutation.candidates import Families, variants
from forager.mutation.files import parse, read_source, unified_diff
from forager.mutation.reach import Edit, edits_of
from forager.sandboxes.sandbox import Sandbox

_LARGEST = 1 << 18  # characters of a file that is mutated


def solution_mutants(task: CodingTask, families: Families, count: int, seed: int) -> list[str]:
    """At most `count` mutants of the solution, chosen by seed; none of C++."""
    if task.language != "python" or len(task.solution) > _LARGEST:
        return []
    return _some([variant.text for variant in variants(task.solution, families)], count, seed)


class ReferenceChange(NamedTuple):
    """The files that a reference changes, by path, before and after."""

    broken: dict[str, str]
    fixed: dict[str, str]

    def functions(self, path: str) -> set[str]:
        """The qualified names of the functions of a file that it changes."""
        before, after = self.broken[path], self.fixed[path]
        edits = edits_of(unified_diff(path, after, before)).get(path, [])
        return _functions(after, edits)

    def mutants(self, families: Families, count: int, seed: int) -> list[str]:
        """At most `count` patches that mutate these functions in the reference."""
        return _some(list(self._patches(families)), count, seed)

    def _patches(self, families: Families) -> Iterator[str]:
        for path in filter(_is_python, self.fixed):
            functions = self.functions(path)
            for variant in variants(self.fixed[path], families, functions=functions):
                texts = {**self.fixed, path: variant.text}
                if texts != self.broken:
                    yield "".join(
                        unified_diff(name, self.broken[name], texts[name]) for name in texts
                    )


def reference_change(task: RepositoryTask, sandbox: Sandbox) -> ReferenceChange | None:
    """Apply the reference to the opened task, and return what it changes.

    None if it adds or removes files, or changes a binary file.
    """
    paths = list(edits_of(task.patch))
    broken = _texts(sandbox, task, paths)
    apply_patch(sandbox, task.patch)
    change = ReferenceChange(broken, _texts(sandbox, task, paths))
    return change if broken.keys() == change.fixed.keys() == {*paths} else None


def _is_python(path: str) -> bool:
    return path.endswith(".py")


def _texts(sandbox: Sandbox, task: RepositoryTask, paths: list[str]) -> dict[str, str]:
    """The files by their paths, without those that are missing or no text."""
    found = {}
    for path in paths:
        try:
            text = read_source(sandbox.read(f"{task.setup.workdir}/{path}"))
        except OSError:
            continue
        if text is not None and len(text) <= _LARGEST:
            found[path] = text
    return found


def _functions(text: str, edits: list[Edit]) -> set[str]:
    """The qualified names of functions and methods at these edits; nested ones with theirs."""
    try:
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    lines = {line for first, last, _ in edits for line in range(first, max(first, last) + 1)}
    return {
        name
        for name, node in _named(tree)
        if not lines.isdisjoint(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    }


def _named(
    node: ast.AST, prefix: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + child.name, child
        elif isinstance(child, ast.ClassDef):
            yield from _named(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.If | ast.Try | ast.With):
            yield from _named(child, prefix)


def _some(found: list[str], count: int, seed: int) -> list[str]:
    different = list(dict.fromkeys(found))
    return Random(seed).sample(different, min(count, len(different)))
