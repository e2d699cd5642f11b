"""Finds the names that would give a bug away in a text, and removes them."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from forager.mutation.candidates import Candidate

GONE = "…"
_TELLING = 4  # letters; shorter names match whole words only
_CHAIN = re.compile(rf"{GONE}(?:[./]{GONE})+")


class RevealingNames:
    """The functions, classes and files of a bug; None makes an empty set."""

    def __init__(self, candidate: Candidate | None) -> None:
        found: set[str] = set()
        for part in (candidate.parts or (candidate,)) if candidate else ():
            if part.function != "<module>":
                found.update(part.function.split("."))
            path = PurePosixPath(part.file)
            found.add(path.parent.name if path.stem == "__init__" else path.stem)
        self.all = sorted(found - {""}, key=lambda name: (-len(name), name))
        self._pattern = re.compile("|".join(map(_form, self.all)) or "(?!)", re.IGNORECASE)

    def found_in(self, text: str) -> list[str]:
        """The words of a text that contain one of the names, each once."""
        return list(dict.fromkeys(self._pattern.findall(text)))

    def out_of(self, text: str) -> str:
        """The text with these words replaced by "…"."""
        return _CHAIN.sub(GONE, self._pattern.sub(GONE, text))


def _form(name: str) -> str:
    escaped = re.escape(name)
    bare = name.strip("_")
    if len(bare) < _TELLING or name.startswith("__"):
        return rf"(?<!\w){escaped}(?!\w)"
    return rf"\w*{re.escape(bare)}\w*"


def told_lines(patch: str, text: str) -> Sequence[str]:
    """The changed lines of a patch that a text quotes, ignoring white space."""
    flat = " ".join(text.split())
    return [line for line in telling_lines(patch) if line in flat]


def telling_lines(patch: str) -> list[str]:
    """The different changed lines of a patch with single spaces.

    Lines of a single word, such as `else:` or `return`, reveal nothing and do not count.
    """
    lines = (" ".join(line[1:].split()) for line in patch.split("\n") if _is_changed(line))
    return [line for line in dict.fromkeys(lines) if len(re.findall(r"\w+", line)) > 1]


def _is_changed(line: str) -> bool:
    return line[:1] in "+-" and bool(line) and not line.startswith(("+++ ", "--- "))
