"""Proposals from the mutators themselves: the inverse of a swap is a swap of the same table.

The mutators below add inverses that no table holds (of a removed operator, of `%` that became
`//`).
"""

import ast
import re
import warnings
from collections.abc import Iterator
from itertools import combinations

import libcst as cst

from forager.mutation.candidates import Change, Families, Region, Replacement, Variant, variants
from forager.repair.places import assigned, parameters_of
from forager.repair.proposals import Clues, Proposal, lines_of_change
from forager.repair.source import FUNCTIONS, Passage

# How likely a change of the family undoes the bug, relative to a change of an operator.
_PRIORS = {"operators": 1.0, "arguments": 0.8, "variables": 0.5, "missing operators": 0.4}
_OPERATOR_PRIORS = {  # those that have many places, or whose bugs are rarer
    "swap_keywords": 0.5,
    "swap_jump": 0.5,
    "swap_raised": 0.5,
    "swap_truth": 0.5,
    "swap_function": 0.5,
    "swap_method": 0.5,
    "shift_number": 0.4,
    "shift_limit": 0.4,
    "shift_bound": 0.3,
    "swap_attribute": 0.3,
    "swap_statements": 0.3,
    "swap_sibling": 0.25,
    "replace_variable": 0.2,
    "swap_caught": 0.2,
}
_REMOVAL = 0.1  # of what only takes away: what is missing is rarely the cure

_NO_VALUE = ("NameError", "UnboundLocalError")
_QUOTED = re.compile(r"'(\w+)'")

_OTHERS: dict[type[cst.CSTNode], tuple[str, ...]] = {
    cst.FloorDivide: ("%",),
    cst.Multiply: ("%", "**"),
    cst.FloorDivideAssign: ("%=",),
    cst.MultiplyAssign: ("%=", "**="),
    cst.Minus: ("+",),
}
_TESTED: dict[type[cst.CSTNode], tuple[str, ...]] = {
    cst.If: ("test",),
    cst.While: ("test",),
    cst.IfExp: ("test",),
    cst.Assert: ("test",),
    cst.CompIf: ("test",),
    cst.BooleanOperation: ("left", "right"),
    cst.Return: ("value",),
    cst.Assign: ("value",),
    cst.Arg: ("value",),
}
_SIGNED: dict[type[cst.CSTNode], tuple[str, ...]] = {
    cst.Arg: ("value",),
    cst.Index: ("value",),
    cst.Slice: ("lower", "upper", "step"),
    cst.BinaryOperation: ("left", "right"),
    cst.Comparison: ("left",),
    cst.ComparisonTarget: ("comparator",),
    cst.Return: ("value",),
    cst.Assign: ("value",),
    cst.Element: ("value",),
    cst.IfExp: ("body", "orelse"),
    cst.Param: ("default",),
}
_SINGLE = (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.Integer, cst.Float)
_PLAIN = (*_SINGLE, cst.Comparison)


def other_operators(region: Region) -> Iterator[Change]:
    """Operators whose inverse no table holds."""
    for node in region.find(*_OTHERS):
        for text in _OTHERS[type(node)]:
            yield Change("other_operator", (Replacement(node, text),))


def insert_not(region: Region) -> Iterator[Change]:
    """`x` becomes `not x` in conditions."""
    for parent in region.find(*_TESTED):
        for name in _TESTED[type(parent)]:
            node = getattr(parent, name)
            loose = isinstance(parent, cst.Return | cst.Assign | cst.Arg)
            if isinstance(node, _SINGLE if loose else _PLAIN):
                yield Change("insert_not", (Replacement(node, f"not {region.code(node)}"),))
            elif isinstance(node, cst.BooleanOperation) and not loose:
                text = region.code(node)
                inner = text if node.lpar else f"({text})"
                yield Change("insert_not", (Replacement(node, f"not {inner}"),))


def insert_sign(region: Region) -> Iterator[Change]:
    """`1` becomes `-1`, `x & y` becomes `x & ~y`."""
    for parent in region.find(*_SIGNED):
        for name in _SIGNED[type(parent)]:
            node = getattr(parent, name)
            if isinstance(node, _SINGLE):
                yield Change("insert_minus", (Replacement(node, f"-{region.code(node)}"),))
                if isinstance(getattr(parent, "operator", None), cst.BitAnd):
                    yield Change("insert_tilde", (Replacement(node, f"~{region.code(node)}"),))


MISSING: Families = {"missing operators": (other_operators, insert_not, insert_sign)}


def swaps(passage: Passage, families: Families, clues: Clues) -> Iterator[Proposal]:
    """Every change of the families, scored by the lines it touches."""
    chosen = families | MISSING
    tree = passage.tree()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `x is 1` and the like, of mutated code
        found = list(variants(passage.text, chosen))
    for variant in found:
        lines = passage.without_header(variant.text)
        if len(lines) != len(passage.lines) or lines == passage.lines:
            continue
        prior = _OPERATOR_PRIORS.get(variant.operator) or _PRIORS.get(variant.family, 0.2)
        score = prior * clues.suspicion.of(lines_of_change(passage, lines, tree))
        if variant.operator == "insert_minus" and not _signs_number(passage, lines):
            score *= 0.3
        if _only_removes(passage.lines, lines):
            score *= _REMOVAL
        yield Proposal(passage, lines, score, _thought(passage, variant, lines))


def distant_swaps(passage: Passage, clues: Clues) -> Iterator[Proposal]:
    """Two names swapped in the body of a function, however far apart the mutators would let them.

    A swap moves names, so two that were near may be distant now. Pairs with an unbound name come
    first.
    """
    tree = passage.tree()
    unbound = {name for message in clues.messages(*_NO_VALUE) for name in _QUOTED.findall(message)}
    for function in (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)):
        parameters = parameters_of(function)
        names = [name for name in dict.fromkeys([*parameters, *reversed(assigned(function.body))])
                 if name not in ("self", "cls")]  # fmt: skip
        for first, second in combinations(names, 2):
            likely = 1.0 if {first, second} & unbound else 0.1
            kinds = (ast.Load,) if not {first, second} & set(parameters) else (ast.Load, ast.Store)
            lines = _with_swapped(passage, function, first, second, kinds)
            score = likely * clues.suspicion.of(lines_of_change(passage, lines, tree))
            thought = f"`{first}` and `{second}` in `{function.name}` may be the wrong way round."
            yield Proposal(passage, lines, score, thought)


def _with_swapped(
    passage: Passage,
    function: ast.FunctionDef | ast.AsyncFunctionDef,
    first: str,
    second: str,
    kinds: tuple[type[ast.expr_context], ...],
) -> tuple[str, ...]:
    """The passage's lines with two names swapped in these contexts (loads or stores)."""
    other = {first: second, second: first}
    lines = [line.encode() for line in passage.lines]
    nodes = [
        node
        for statement in function.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and node.id in other and isinstance(node.ctx, kinds)
    ]
    for node in sorted(nodes, key=lambda node: (node.lineno, -node.col_offset)):
        index = passage.index_of(node.lineno)
        line = lines[index]
        if line[node.col_offset : node.end_col_offset] == node.id.encode():
            head, tail = line[: node.col_offset], line[node.end_col_offset :]
            lines[index] = head + other[node.id].encode() + tail
    return tuple(line.decode() for line in lines)


def _only_removes(old: tuple[str, ...], new: tuple[str, ...]) -> bool:
    """Whether the change removes words and adds none."""
    before, after = "".join(old).split(), "".join(new).split()
    return len("".join(after)) < len("".join(before)) - 3 and len(after) <= len(before)


def _signs_number(passage: Passage, lines: tuple[str, ...]) -> bool:
    return any(
        old != new and "-" + old.lstrip("-") != new and any(f"-{d}" in new for d in "0123456789")
        for old, new in zip(passage.lines, lines, strict=True)
    )


def _thought(passage: Passage, variant: Variant, lines: tuple[str, ...]) -> str:
    pairs = zip(passage.lines, lines, strict=True)
    changed = [(old.strip(), new.strip()) for old, new in pairs if old != new]
    where = f"Line {passage.line_of(variant.line)}"
    if len(changed) == 1 and len(changed[0][0]) + len(changed[0][1]) < 120:
        return f"{where} reads `{changed[0][0]}`. It may have to be `{changed[0][1]}`."
    what = variant.operator.replace("_", " ")
    return f"{where} and what belongs to it may be the wrong way round ({what})."
