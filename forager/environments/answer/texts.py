"""Finds the final answer in a model's message."""

import ast
import re

_THOUGHT = "</think>"
_TAG = re.compile(r"\[ANSWER\](.*?)(?:\[/ANSWER\]|\Z)", re.DOTALL)
LONGEST = 16_384  # characters of Python that is parsed here


def without_thought(text: str) -> str:
    """The part of a message after the model's thinking."""
    return text.rpartition(_THOUGHT)[2]


def tagged(text: str) -> str | None:
    """The text between the last [ANSWER] and its [/ANSWER], which may be missing at the end."""
    found = _TAG.findall(without_thought(text))
    return found[-1].strip() if found else None


def parsed(text: str, most: int = LONGEST) -> ast.expr | None:
    """The expression that a text consists of; None for others, or too long or deep ones."""
    try:
        return ast.parse(text.strip(), mode="eval").body if len(text) <= most else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def sides(assertion: str) -> tuple[str, str] | None:
    """The two sides of `assert LEFT == RIGHT`; None for anything else."""
    text = assertion.strip().removeprefix("assert ").partition("\n")[0].strip()
    comparison = parsed(text)
    if not isinstance(comparison, ast.Compare) or len(comparison.ops) != 1:
        return None
    if not isinstance(comparison.ops[0], ast.Eq):
        return None
    left, right = (
        ast.get_source_segment(text, side) for side in (comparison.left, comparison.comparators[0])
    )
    return (left, right) if left and right else None
