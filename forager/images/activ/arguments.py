"""The arguments with which pytest runs the tests of a frozen job, from the top of the project."""

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from forager.images.activ.frozen import FrozenTests
from forager.images.collection import StatedOption
from forager.images.plugins import measures
from forager.sandboxes.sandbox import WORKDIR
from forager.text import safe

_MOST_WORDS = 60
_LONGEST = 1000  # characters of a word
_WITH_PATH = ("--ignore", "--ignore-glob", "--deselect", "--confcutdir")
_USUAL = re.compile(r"(test_.*|.*_test)\.py")


class Places:
    """Turns paths of the container into paths of the project."""

    def __init__(self, tests: FrozenTests) -> None:
        self._workspace = PurePosixPath(tests.workspace or tests.directory)
        self.directory = self.inside(tests.directory) or "."

    def inside(self, path: str, directory: str = "") -> str:
        """The path within the project, "." for its top; empty if it lies elsewhere."""
        whole = PurePosixPath(directory or str(self._workspace)) / path
        parts: list[str] = []
        for part in whole.parts:
            if part == ".." and parts:
                parts.pop()
            elif part != "..":
                parts.append(part)
        try:
            return str(PurePosixPath(*parts).relative_to(self._workspace))
        except ValueError:
            return ""

    def moved(self, text: str) -> str:
        """A text with the workspace replaced by where the project is in an image."""
        return text.replace(str(self._workspace), WORKDIR)


def arguments(tests: FrozenTests, places: Places) -> list[str]:
    """The arguments of pytest for the same tests, run from the top of the project."""
    if tests.runner == "unittest":
        return _for_unittest([path for file in tests.files if (path := places.inside(file))])
    kept, dropped = _options(tests.addopts, ())
    stated = shlex.join(word for option in kept for word in option)
    found = ["-o", f"addopts={stated}"] if dropped else []
    for option in _options(tests.arguments, tests.paths)[0]:
        found += _rebased_option(option, tests, places)
    given = [word for word in tests.paths if word in tests.arguments]
    paths = [_rebased(word, tests, places) for word in given]
    if not paths and places.directory != ".":
        paths = [places.directory]
    plain = [text for text in (*found, *paths) if safe(text) == text and len(text) <= _LONGEST]
    return plain[:_MOST_WORDS]


def _for_unittest(files: list[str]) -> list[str]:
    """Arguments with which pytest finds the files that unittest found."""
    folders = sorted({str(PurePosixPath(file).parent) for file in files})
    if len(folders) > 5:
        folders = sorted({PurePosixPath(file).parts[0] for file in files})
    names = sorted({PurePosixPath(file).name for file in files})
    if all(map(_USUAL.fullmatch, names)):
        return folders
    pattern = " ".join(names) if len(names) <= 10 else "*.py"
    return ["-o", f"python_files={pattern}", *folders]


def _options(words: Sequence[str], paths: Iterable[str]) -> tuple[list[list[str]], bool]:
    """The options that change outcomes, with their values; whether others were dropped."""
    positional = set(paths)
    found: list[list[str]] = []
    for word in words[:200]:
        if word.startswith("-"):
            found.append([word])
        elif word not in positional and found and len(found[-1]) == 1 and "=" not in found[-1][0]:
            found[-1].append(word)
    options = [StatedOption(words=option, names=_names(option[0]), known=True) for option in found]
    kept = [option.words for option in options if not _is_dropped(option)]
    return kept, len(kept) < len(options)


def _names(word: str) -> list[str]:
    if word.startswith("--"):
        return [word.partition("=")[0]]
    letters = word[1:]
    return [f"-{letter}" for letter in letters] if not letters.strip("vqxsl") else [word[:2]]


def _is_dropped(option: StatedOption) -> bool:
    return measures(option) or option.names[0] in ("--cache-clear", "--basetemp", "--rootdir", "-c")


def _rebased(word: str, tests: FrozenTests, places: Places) -> str:
    """A path, which may name a test, from the top of the project instead of the directory."""
    path, mark, rest = word.partition("::")
    if places.directory == "." and not path.startswith("/"):
        return word
    return f"{places.inside(path, tests.directory) or path}{mark}{rest}"


def _rebased_option(words: Sequence[str], tests: FrozenTests, places: Places) -> list[str]:
    """The same for an option whose value is a path."""
    option, sign, value = words[0].partition("=")
    if option not in _WITH_PATH:
        return [places.moved(word) for word in words]
    if sign:
        return [f"{option}={_rebased(value, tests, places)}"]
    return [option, *(_rebased(word, tests, places) for word in words[1:])]
