"""Asks a model for calls of a function."""

import ast
from collections.abc import Callable

from forager.tracing.source import parsed_source, split_lines

WrittenCalls = Callable[[str], str]
"""Asks a model a question; returns its answer, or an empty text. Raises ModelError."""
_MOST, _LONGEST = 20, 1000  # calls, and characters of one
_LONGEST_CODE = 12_000  # characters of a function
_QUESTION = """\
This function is from {path}.

```python
{code}```

Write ten calls of `{name}` that return normally and differ in what they do: other branches, other \
results, edge cases. Each argument is a literal of Python (numbers, strings, lists, dicts, tuples, \
sets, True, False, None). Write one call a line, such as `{name}(1, key="a")`, \
and nothing else."""


def question_for(name: str, path: str, code: str) -> str:
    """The question about a function."""
    return _QUESTION.format(path=path, code=code, name=name)


def function_source(text: str, name: str) -> str:
    """The lines of a function of a module; empty if it is not there, or too long."""
    tree = parsed_source(text)
    for node in tree.body if tree else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            first = min(part.lineno for part in (node, *node.decorator_list))
            code = "".join(split_lines(text)[first - 1 : node.end_lineno])
            return code if len(code) <= _LONGEST_CODE else ""
    return ""


def calls_in(answer: str) -> list[str]:
    """The lines of an answer that look like calls; the sandbox reads their literals."""
    lines = (line.strip().strip("`") for line in answer.split("\n"))
    found = [line for line in lines if line.endswith(")") and len(line) <= _LONGEST]
    return found[:_MOST]
