"""The names that would give a bug away, and how they are found in a text and taken out of it."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from forager.mutation.candidates import Candidate

GONE = "…"
_TELLING = 4  # letters; a shorter name is looked for as a whole word only
_CHAIN = re.compile(rf"{GONE}(?:[./]{GONE})+")


class Names:
    """The functions, classes and files of a bug; none where it may be named."""

    def __init__(self, candidate: Candidate | None) -> None:
        found: set[str] = set()
        for each in (candidate.parts or (candidate,)) if candidate else ():
            if each.function != "<module>":
                found.update(each.function.split("."))
            path = PurePosixPath(each.file)
            found.add(path.parent.name if path.stem == "__init__" else path.stem)
        self.all = sorted(found - {""}, key=lambda name: (-len(name), name))
        self._pattern = re.compile("|".join(map(_form, self.all)) or "(?!)", re.IGNORECASE)

    def found_in(self, text: str) -> list[str]:
        """The words of a text that give something away."""
        return list(dict.fromkeys(self._pattern.findall(text)))

    def out_of(self, text: str) -> str:
        """The text with what gives something away left out."""
        return _CHAIN.sub(GONE, self._pattern.sub(GONE, text))


def _form(name: str) -> str:
    escaped = re.escape(name)
    bare = name.strip("_")
    if len(bare) < _TELLING or name.startswith("__"):
        return rf"(?<!\w){escaped}(?!\w)"
    return rf"\w*{re.escape(bare)}\w*"


def told_lines(patch: str, text: str) -> Sequence[str]:
    """The changed lines of a patch that stand in a text, white space aside.

    Lines of a single word, such as `else:` or `return`, tell nothing.
    """
    flat = " ".join(text.split())
    lines = (" ".join(line[1:].split()) for line in patch.split("\n") if _is_changed(line))
    return [line for line in lines if len(re.findall(r"\w+", line)) > 1 and line in flat]


def _is_changed(line: str) -> bool:
    return line[:1] in "+-" and bool(line) and not line.startswith(("+++ ", "--- "))
