"""Reads the code of an image and starts the sandboxes for its mutants."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from forager.environments.repository.objects import (
    LIST_FILES,
    PRINT_FILES,
    contents,
    regular_files,
)
from forager.errors import SandboxError
from forager.images.image import Image
from forager.mutation.candidates import Candidate, Families, FileChecker, Sketch, sketches
from forager.mutation.files import read_source, source_files
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import Limits, Sandbox

_LISTING, _NAMES, _CONTENTS = (f"/tmp/forager.{name}" for name in ("tree", "names", "blobs"))


LEFT_OUT = "files"
"""The family of candidates that stand for source files without candidates."""


class ProjectTexts(NamedTuple):
    """The texts by path of an image's source and test files."""

    sources: dict[str, str]
    tests: dict[str, str]
    encoded: frozenset[str] = frozenset()
    """Source files that are not UTF-8. A change of other lines than ASCII would not apply."""
    left_out: Mapping[str, str] = MappingProxyType({})
    """By path, why a source file has no text."""

    def listed(
        self, families: Families, tested: Callable[[str], bool] = lambda _: True
    ) -> Iterator[Candidate | Sketch]:
        """All changes of tested files, and a candidate that has a problem for a file without one.

        A large project has many files that no test runs, and to parse them takes minutes.
        """
        for path, problem in self.left_out.items():
            yield _without_candidates(path, problem)
        for path, text in self.sources.items():
            if not tested(path):
                continue
            try:
                yield from sketches(path, text, families)
            except SyntaxError:
                yield _without_candidates(path, "cannot be parsed")

    def candidates(self, drawn: Iterable[Candidate | Sketch]) -> Iterator[Candidate]:
        """The candidates of what is drawn, without changes that do nothing or nothing new."""
        checkers: dict[str, FileChecker] = {}
        for change in drawn:
            if isinstance(change, Candidate):
                yield change
                continue
            if change.file not in checkers:
                checkers[change.file] = FileChecker(self.sources[change.file])
            if checkers[change.file].admits(change):
                yield self.checked(checkers[change.file].candidate(change))

    def checked(self, candidate: Candidate) -> Candidate:
        """A candidate, with a problem if its diff would not apply to the bytes of the file."""
        if candidate.file not in self.encoded or candidate.diff.isascii():
            return candidate
        return candidate.model_copy(update={"problem": "neither UTF-8 nor ASCII"})


def read_texts(image: Image) -> ProjectTexts:
    """Read the files of an image's commit. Raises SandboxError."""
    tests = {test.partition("::")[0] for test in image.passing}
    sandbox = docker_sandbox(image.reference)
    try:
        return texts_of(sandbox, image.setup.protected, tests)
    finally:
        sandbox.close()


def texts_of(sandbox: Sandbox, protected: Collection[str], tests: Collection[str]) -> ProjectTexts:
    """Read the files of the commit in a sandbox. Raises SandboxError."""
    _must(sandbox, f"git {' '.join(LIST_FILES)} HEAD >{_LISTING}")
    files = regular_files(sandbox.read(_LISTING))
    sources = source_files(files, protected)
    read = _read(sandbox, files, {*sources, *(path for path in tests if path in files)})
    texts = {path: text for path in read if (text := read_source(read[path])) is not None}
    left_out = {path: "has an odd name" for path in sources if _is_odd(path)}
    left_out |= {path: "has an unknown encoding" for path in sources if path not in texts}
    mutated = [path for path in sources if path not in left_out]
    return ProjectTexts(
        {path: texts[path] for path in mutated},
        {path: texts[path] for path in sorted(tests) if path in texts},
        frozenset(path for path in mutated if texts[path].encode() != read[path]),
        {ascii(path)[1:-1]: problem for path, problem in left_out.items()},
    )


def _is_odd(path: str) -> bool:
    """Whether git writes a name in quotes, or it is not UTF-8."""
    return not path.isprintable() or '"' in path or "\\" in path


def _without_candidates(path: str, problem: str) -> Candidate:
    return Candidate(
        family=LEFT_OUT, operator="", file=path, function="", line=0, diff="", problem=problem
    )


def start(reference: str, limits: Limits) -> Sandbox:
    """Start a sandbox of an image. Raises SandboxError."""
    return docker_sandbox(reference, limits=limits)


def _read(sandbox: Sandbox, files: dict[str, str], paths: Iterable[str]) -> dict[str, bytes]:
    """The contents of these files by path."""
    ids = {path: files[path] for path in paths}
    sandbox.write(_NAMES, "".join(f"{name}\n" for name in ids.values()).encode())
    _must(sandbox, f"git {' '.join(PRINT_FILES)} <{_NAMES} >{_CONTENTS}")
    return dict(zip(ids, contents(sandbox.read(_CONTENTS)), strict=True))


def _must(sandbox: Sandbox, command: str) -> None:
    done = sandbox.run(command)
    if done.exit_code:
        raise SandboxError(f"the files of the image cannot be read: {done.output.strip()}")
