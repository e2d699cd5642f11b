"""Helpers that the mutators' tests share."""

from textwrap import dedent

from forager.mutation.candidates import Mutator, variants


def mutate(mutator: Mutator, text: str) -> list[str]:
    """Return the text after each change that one mutator makes."""
    return [variant.text for variant in variants(text, {"family": (mutator,)})]


def text(source: str) -> str:
    """Return a piece of code as it stands in a file."""
    return dedent(source).lstrip("\n")


def expressions(mutator: Mutator, expression: str) -> list[str]:
    """Return what becomes of one returned expression."""
    start, end = "async def f(a, b, c, d):\n    return ", "  # why\n"
    results = mutate(mutator, f"{start}{expression}{end}")
    assert all(result.startswith(start[:-1]) and result.endswith(end) for result in results)
    return [result[len(start) - 1 : -len(end)].strip() for result in results]
