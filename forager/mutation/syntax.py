"""Decides which nodes of a syntax tree mutators see: no stubs, no text for people."""

import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache

import libcst as cst

_FORM = re.compile(r"whitespace|lines|par$|header|footer|comma|semicolon|type_parameters")
_LABELS = ("name", "attr", "keyword")  # fields whose Name does not read a variable
_LATER = (cst.Lambda, cst.Import, cst.ImportFrom)
_LOGGER = re.compile(r"_?log(ger|ging)?", re.IGNORECASE)
_LOG_METHODS = {"debug", "info", "warning", "warn", "error", "exception", "critical", "log"}


def children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The direct children of a node that contain code, without whitespace and commas."""
    for name in _fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            yield value
        elif isinstance(value, list | tuple):
            yield from (item for item in value if isinstance(item, cst.CSTNode))


def last_name(node: cst.CSTNode) -> str:
    """`typing.Protocol[T]` → `Protocol`, `functools.wraps(f)` → `wraps`."""
    match node:
        case cst.Subscript(value=inner) | cst.Call(func=inner):
            return last_name(inner)
        case cst.Attribute(attr=cst.Name(name)) | cst.Name(name):
            return name
    return ""


def is_log_call(node: cst.CSTNode) -> bool:
    """Whether a statement or an expression is a call such as `logger.debug(…)`."""
    match node:
        case cst.SimpleStatementLine(body=[only]):
            return is_log_call(only)
        case cst.Expr(value=cst.Call(func=cst.Attribute(value=logger, attr=cst.Name(method)))):
            return method in _LOG_METHODS and bool(_LOGGER.fullmatch(last_name(logger)))
    return False


def is_text(node: cst.CSTNode) -> bool:
    """Whether an expression builds a string."""
    match node:
        case cst.SimpleString() | cst.ConcatenatedString() | cst.FormattedString():
            return True
        case (
            cst.BinaryOperation(left=part)
            | cst.Call(func=cst.Attribute(value=part, attr=cst.Name("format")))
        ):
            return is_text(part)
    return False


def is_stub(node: cst.CSTNode) -> bool:
    """Whether only type checkers read a node."""
    match node:
        case cst.If():
            return last_name(node.test) == "TYPE_CHECKING"
        case cst.FunctionDef():
            return any(
                last_name(decorator.decorator) == "overload" for decorator in node.decorators
            )
        case cst.ClassDef():
            return any(last_name(base.value) == "Protocol" for base in node.bases)
    return False


def is_offered_outside(node: cst.CSTNode, parent: cst.CSTNode) -> bool:
    """Whether mutators see a node outside functions."""
    if isinstance(node, cst.Arg):
        return isinstance(parent, cst.ClassDef)
    kinds = cst.ClassDef | cst.Decorator | cst.Import | cst.ImportFrom | cst.ImportAlias
    return isinstance(node, kinds)


def used_at_import(node: cst.CSTNode, lazy: bool) -> Iterator[str]:
    """The names that the code outside functions reads, without which the import fails.

    `lazy` means that Python does not evaluate annotations.
    """
    for child in children(node):
        if isinstance(child, cst.Name):
            if all(getattr(node, label, None) is not child for label in _LABELS):
                yield child.value
        elif isinstance(node, cst.FunctionDef) and child is node.body:
            continue
        elif not isinstance(child, _LATER) and not (lazy and isinstance(child, cst.Annotation)):
            yield from used_at_import(child, lazy)


@cache
def _fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    """The fields that can contain code; LibCST's own `children` rebuilds every node it lists."""
    return tuple(field.name for field in fields(kind) if not _FORM.search(field.name))
