"""Gives docstrings that are tests their examples back, in files that a patch changed.

It works on copies of the files and runs nothing of them. For each file of the request there are
PLACE.original and PLACE.answer; PLACE.restored is written if the examples of a named docstring
differ. Standard input is one JSON object; descriptor 3 takes a line per file: the request's nonce
and a JSON object.
"""

from __future__ import annotations

import ast
import doctest
import io
import json
import os
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_LARGEST = 4 << 20  # bytes of a file
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
        if text and examples(text) != examples(ast.get_docstring(node, clean=False)):
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


def judge(file: dict[str, Any]) -> dict[str, Any]:
    """Restore one file; `unclear` says that its docstrings cannot be compared."""
    place = file["place"]
    names: list[str] = []
    unclear = False
    try:
        original, answer = read(f"{place}.original"), read(f"{place}.answer")
        text, names = restore(original, answer, file["names"])
        if names:
            data = text.encode(answer.encoding)
            Path(f"{place}.restored").write_bytes(data)
            again = ParsedFile(text, answer.encoding, ast.parse(data))
            unclear = bool(restore(original, again, names).names)
    except SyntaxError:  # neither can the tests import it
        names = []
    except (ValueError, LookupError, RecursionError, MemoryError) as error:
        print(file["path"], type(error).__name__, error, file=sys.stderr)
        unclear = True
    return {"path": file["path"], "place": place, "restored": names, "unclear": unclear}


def main() -> None:
    """Read the request and answer."""
    request = json.loads(sys.stdin.readline())
    for file in request["files"]:
        line = f"{request['nonce']} {json.dumps(judge(file))}\n"
        os.write(3, line.encode())


if __name__ == "__main__":
    main()
