"""Finds the program in a model's message."""

import re

from forager.environments.answer.texts import without_thought
from forager.environments.environment import AttemptAnswer
from forager.environments.function.running import Language

_BLOCK = re.compile(r"``` *([A-Za-z0-9+#]*)(.*?)```", re.DOTALL)
_NAMES: dict[Language, set[str]] = {
    "python": {"python", "py", "python3"},
    "cpp": {"cpp", "c++", "cc", "cxx"},
}


def only_block(text: str, language: Language) -> AttemptAnswer:
    """The one fenced block of this language after the model's thinking, as in CWM.

    Blocks of any language count if none is of this one.
    """
    blocks = _BLOCK.findall(without_thought(text))
    named = [body for name, body in blocks if name.lower() in _NAMES[language]]
    found = named or [body for _, body in blocks]
    if len(found) == 1:
        return AttemptAnswer(text=found[0].lstrip("\r\n"))
    problem = f"the message holds {len(found)} blocks of code; exactly one is needed"
    return AttemptAnswer(problem=problem, problem_kind="format")
