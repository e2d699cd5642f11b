"""Takes from files that a patch changed what may count, where tests use what is there already.

Docstrings that are tests keep the original's examples, and may have more after them. To a module
that the tests use, a patch may only add names.

It works on copies of the files and runs nothing of them. For each file of the request there are
PLACE.original and PLACE.answer; PLACE.merged is written if it differs from the answer. Standard
input is one JSON object; descriptor 3 takes a line per file: the request's nonce and a JSON object.
"""

from __future__ import annotations

import ast
import doctest
import io
import json
import os
import re
import resource
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_LARGEST = 1 << 20  # bytes of a file; its tree takes up to 200 times as many
_MEMORY = 400 << 20  # bytes; the sandbox must not run out of memory
_LINE_END = re.compile(r"\r\n|\r|\n")


class ParsedFile(NamedTuple):
    """A file's text, its encoding, and the syntax tree."""

    text: str
    encoding: str
    tree: ast.Module


def read(path: str) -> ParsedFile:
    """Read and parse a file. Raises SyntaxError, ValueError, RecursionError, MemoryError."""
    if Path(path).stat().st_size > _LARGEST:
        raise ValueError("the file is too large")
    data = Path(path).read_bytes()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return ParsedFile(data.decode(encoding), encoding, ast.parse(data))


def documented(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """Every module, class and function with its name in the module; the last of a name counts.

    Doctest does not look into functions.
    """
    yield "", tree
    waiting: list[tuple[str, Any]] = [("", tree)]
    while waiting:
        prefix, node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                name = f"{prefix}.{child.name}" if prefix else child.name
                yield name, child
                if isinstance(child, ast.ClassDef):
                    waiting.append((name, child))
            elif isinstance(child, (ast.stmt, ast.ExceptHandler)):
                waiting.append((prefix, child))


def examples(text: str | None) -> list[Any]:
    """What a docstring's examples run, expect and ask of doctest."""
    try:
        found = doctest.DocTestParser().get_examples(text or "")
    except ValueError:  # doctest cannot read it either
        return [text]
    return [(example.source, example.want, sorted(example.options.items())) for example in found]


def begins_with(text: str | None, wanted: list[Any]) -> bool:
    """Whether a docstring's first examples are these; later ones cannot spare them."""
    return examples(text)[: len(wanted)] == wanted


class Restored(NamedTuple):
    """The text of a file after restoring, and the names of the objects whose examples differed."""

    text: str
    names: list[str]


def restore(original: ParsedFile, answer: ParsedFile, names: list[str]) -> Restored:
    """Put the original's docstrings into the answer where a named one has other examples.

    Raises ValueError if the answer does not define a named object, so that nobody can say which
    docstring its test would read.
    """
    texts = {name: ast.get_docstring(node, clean=False) for name, node in documented(original.tree)}
    wanted = {name: texts[name] for name in names if examples(texts.get(name))}
    starts, edits, changed = line_starts(answer.text), [], set()
    defined = list(documented(answer.tree))
    if not set(wanted) <= {name for name, _ in defined}:
        raise ValueError("the patch does not define what has a doctest")
    for name, node in defined:
        text = wanted.get(name)
        if text and not begins_with(ast.get_docstring(node, clean=False), examples(text)):
            edits.append(edit(answer.text, starts, node, ascii(text)))
            changed.add(name)
    result = answer.text
    for begin, end, literal in sorted(edits, reverse=True):
        result = result[:begin] + literal + result[end:]
    return Restored(result, sorted(changed))


def edit(text: str, starts: list[int], node: Any, literal: str) -> tuple[int, int, str]:
    """Where to put a docstring's literal: in the place of the present one, or before the body."""
    if not node.body:
        return 0, 0, f"{literal}\n"
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        begin = offset(text, starts, first.value.lineno, first.value.col_offset)
        return (
            begin,
            offset(text, starts, first.value.end_lineno, first.value.end_col_offset),
            literal,
        )
    line = min(
        [first.lineno, *(decorator.lineno for decorator in getattr(first, "decorator_list", ()))]
    )
    begin = offset(text, starts, line, first.col_offset)
    before = text[starts[line - 1] : begin]
    return begin, begin, f"{literal}; " if before.strip() else f"{literal}\n{before}"


def line_starts(text: str) -> list[int]:
    """The offset of each line, and of the end; lines end as in Python's grammar."""
    return [0, *(end.end() for end in _LINE_END.finditer(text)), len(text)]


def offset(text: str, starts: list[int], line: int, column: int) -> int:
    """The offset of a position that counts lines from 1 and columns in bytes of UTF-8."""
    start, end = starts[line - 1], starts[line]
    return start + len(text[start:end].encode()[:column].decode())


def with_additions(original: ParsedFile, answer: ParsedFile) -> tuple[str, bool]:
    """The original with the names that the answer adds, and whether the answer does no more.

    Raises ValueError if the answer adds nothing.
    """
    known = {name for node in original.tree.body for name in bound(node)}
    added = [node for node in answer.tree.body if is_addition(node, known)]
    if not added:
        raise ValueError("the patch adds nothing")
    rest = [ast.dump(node) for node in answer.tree.body if node not in added]
    starts = line_starts(answer.text)
    texts = [original.text.rstrip(), *(segment(answer.text, starts, node) for node in added)]
    return "\n\n\n".join(texts) + "\n", rest == [ast.dump(node) for node in original.tree.body]


def is_addition(node: ast.stmt, known: set[str]) -> bool:
    """Whether a statement only defines, assigns or imports new names."""
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return False
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    names = set(bound(node))
    simple = isinstance(node, kinds) or (isinstance(node, ast.Assign) and bool(names))
    return simple and not names & {*known, "*"}


def bound(node: ast.stmt) -> Iterator[str]:
    """The names that a statement of a module may bind."""
    waiting: list[ast.AST] = [node]
    while waiting:
        found = waiting.pop()
        if isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield found.name
            continue
        if isinstance(found, ast.Name) and isinstance(found.ctx, ast.Store):
            yield found.id
        elif isinstance(found, ast.alias):
            yield found.asname or found.name.partition(".")[0]
        waiting.extend(ast.iter_child_nodes(found))


def segment(text: str, starts: list[int], node: Any) -> str:
    """The text of a statement, with its decorators."""
    begin = offset(text, starts, node.lineno, node.col_offset)
    lines = [decorator.lineno for decorator in getattr(node, "decorator_list", ())]
    end = offset(text, starts, node.end_lineno, node.end_col_offset)
    return text[starts[min(lines) - 1] if lines else begin : end]


class Merged(NamedTuple):
    """A file's bytes, if they differ from the answer's, and what of the answer is not in them."""

    data: bytes
    lost: list[str]


def merge(file: dict[str, Any]) -> Merged:
    """Merge one file. Raises what `read` raises, and ValueError if that is impossible."""
    original, answer = read(f"{file['place']}.original"), read(f"{file['place']}.answer")
    if file["names"] is None:
        text, whole = with_additions(original, answer)
        return Merged(text.encode(original.encoding), [] if whole else [""])
    text, names = restore(original, answer, file["names"])
    if not names:
        return Merged(b"", [])
    data = text.encode(answer.encoding)
    if restore(original, ParsedFile(text, answer.encoding, ast.parse(data)), names).names:
        raise ValueError("the examples differ still")
    return Merged(data, names)


def judge(file: dict[str, Any]) -> dict[str, Any]:
    """Merge one file and report; `unclear` says that nothing of the answer can be taken."""
    merged, unclear = Merged(b"", []), False
    try:
        merged = merge(file)
        if merged.data:
            Path(f"{file['place']}.merged").write_bytes(merged.data)
    except SyntaxError:  # neither can the tests import it
        unclear = file["names"] is None
    except (ValueError, LookupError, RecursionError, MemoryError) as error:
        print(file["path"], type(error).__name__, error, file=sys.stderr)
        unclear = True
    report = {"merged": bool(merged.data), "lost": merged.lost, "unclear": unclear}
    return {"path": file["path"], **report}


def main() -> None:
    """Read the request and answer."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY or most > _MEMORY:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, most))
    request = json.loads(sys.stdin.readline())
    for file in request["files"]:
        line = f"{request['nonce']} {json.dumps(judge(file))}\n"
        os.write(3, line.encode())


if __name__ == "__main__":
    main()
