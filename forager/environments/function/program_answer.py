"""Takes the program that is an answer: a file that an agent left, or a block in a message."""

import re
from collections.abc import Iterator

from forager.environments.answer.texts import without_thought
from forager.environments.environment import AttemptAnswer
from forager.environments.function.running import Language
from forager.sandboxes.sandbox import Sandbox

_NAME = re.compile(r" *([A-Za-z0-9+#]*)")
_NAMES: dict[Language, set[str]] = {
    "python": {"python", "py", "python3"},
    "cpp": {"cpp", "c++", "cc", "cxx"},
}


def left_file(sandbox: Sandbox, path: str, most: int) -> AttemptAnswer:
    """The text of a file with at most `most` bytes. Raises SandboxError if the sandbox is gone."""
    try:
        content = sandbox.read(path)
        if len(content) > most:
            raise OSError(f"it has more than {most:,} bytes")
        return AttemptAnswer(text=content.decode())
    except FileNotFoundError:
        problem = f"there is no file {path}"
    except (OSError, UnicodeDecodeError) as error:
        problem = f"{path} cannot be read: {error}"
    return AttemptAnswer(problem=problem, problem_kind="format")


def only_block(text: str, language: Language) -> AttemptAnswer:
    """The one fenced block of this language after the model's thinking, as in CWM.

    Blocks of any language count if none is of this one.
    """
    blocks = list(_blocks(without_thought(text)))
    named = [body for name, body in blocks if name.lower() in _NAMES[language]]
    found = named or [body for _, body in blocks]
    if len(found) == 1:
        return AttemptAnswer(text=found[0].lstrip("\r\n"))
    problem = f"the message holds {len(found)} blocks of code; exactly one is needed"
    return AttemptAnswer(problem=problem, problem_kind="format")


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """The name and text of each block, in linear time."""
    parts = text.split("```")
    for inner, _ in zip(parts[1::2], parts[2::2], strict=False):  # the last may have no end
        name = _NAME.match(inner)
        assert name is not None
        yield name[1], inner[name.end() :]
