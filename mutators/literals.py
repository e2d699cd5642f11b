"""Replacements of literals, for every family that changes them."""

import libcst as cst

_WRITTEN = {"0x": hex, "0o": oct, "0b": bin}


def numbers_near(node: cst.CSTNode) -> tuple[str, ...]:
    """The number plus one and minus one; only plus one for 0 and floats; () for other code."""
    match node:
        case cst.Integer("0"):
            return ("1",)
        case cst.Integer(text):
            return _stepped(text, 1), _stepped(text, -1)
        case cst.Float(text):
            return (str(float(text) + 1),)
        case cst.UnaryOperation(operator=cst.Minus(), expression=cst.Integer(text)):
            return _negative(_stepped(text, 1)), _negative(_stepped(text, -1))
    return ()


def is_number(node: cst.CSTNode) -> bool:
    """Whether code is a number, with or without a minus."""
    return bool(numbers_near(node))


def _stepped(text: str, step: int) -> str:
    return _WRITTEN.get(text[:2].lower(), str)(int(text, 0) + step)


def _negative(text: str) -> str:
    return "0" if text == "0" else f"-{text}"
