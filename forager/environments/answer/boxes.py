r"""Finds the final answer of a mathematical text: what stands in its `\boxed{…}`."""

import re

from forager.environments.answer.texts import without_thought
from forager.environments.environment import AttemptAnswer

LONGEST = 2000  # characters of an answer
_MARK = re.compile(r"\\boxed\s*\{|\\.|[{}]", re.DOTALL)


def final_answer(text: str) -> AttemptAnswer:
    r"""The content of the `\boxed{…}` after the model's thinking.

    Several boxes must hold the same text: an answer is one answer. Takes linear time.
    """
    contents = list(dict.fromkeys(_outermost(without_thought(text))))
    if not contents:
        return _problem(r"the message has no \boxed{…}")
    if len(contents) > 1:
        return _problem(f"the message has {len(contents)} final answers; exactly one is needed")
    if r"\boxed" in contents[0]:
        return _problem(r"a \boxed{…} holds another one")
    if not contents[0]:
        return _problem(r"its \boxed{…} is empty")
    if len(contents[0]) > LONGEST:
        return _problem(f"the answer has more than {LONGEST:,} characters")
    return AttemptAnswer(text=contents[0])


def _problem(problem: str) -> AttemptAnswer:
    return AttemptAnswer(problem=problem, problem_kind="format")


def _outermost(text: str) -> list[str]:
    """The contents of the outermost boxes, in order; a box without its end is left out."""
    found: list[tuple[int, int]] = []
    opened: list[int] = []  # for each open brace where a box's content begins, or -1
    for mark in _MARK.finditer(text):
        if mark[0].startswith(r"\boxed"):
            opened.append(mark.end())
        elif mark[0] == "{":
            opened.append(-1)
        elif mark[0] == "}" and opened:
            start = opened.pop()
            if start >= 0:
                while found and found[-1][0] > start:  # a box in this one
                    found.pop()
                found.append((start, mark.start()))
    return [text[start:end].strip() for start, end in found]
