"""Which test runs which line: measured once per image, and kept with it.

Sets of tests are whole numbers: bit i stands for the i-th test of the record.
"""

import gzip
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from forager.atomic import replacing
from forager.environments.repository.programs import run_program
from forager.environments.repository.testing import always
from forager.errors import SandboxError
from forager.images.image import Image
from forager.paths import data_directory
from forager.programs import copy_name
from forager.records import Record
from forager.sandboxes.sandbox import Limits, Sandbox
from forager.untrusted import Items, Malformed, Report, record, unpacked

_TRACER = "coverage_tracer"  # the program
_SLOWER = 40  # times that tracing may slow the suite down
_LIMIT = 64 << 20  # bytes of the compressed result
_LONGEST = 1 << 18  # characters of a part of it, compressed or not


class FileCoverage(Record):
    """What runs in one file. Sets of tests are hexadecimal numbers."""

    lines: dict[int, str] = {}
    calls: dict[int, dict[str, str]] = {}
    """First line of a function → "calls,files" between it and the test → tests."""
    before: list[int] = []
    """First lines of the functions that run before any test: at import or collection."""


class Coverage(Record):
    """What each test runs."""

    tests: list[str]
    tracer: str = ""
    """The program that measured it: another one may see more."""
    opaque: str = "0x0"
    """Tests that start processes: what they run is not seen."""
    files: dict[str, FileCoverage] = {}
    seconds: float = 0.0

    def running(self, path: str, lines: Iterable[int], functions: Iterable[int]) -> int:
        """The tests that run one of these lines, or enter a function that begins on one."""
        found, file = 0, self.files.get(path)
        if file:
            for line in lines:
                found |= int(file.lines.get(line, "0"), 16)
            for first in functions:
                for tests in file.calls.get(first, {}).values():
                    found |= int(tests, 16)
        return found

    def runs(self, path: str) -> bool:
        """Whether a test runs anything in a file."""
        file = self.files.get(path)
        return bool(file and (file.lines or file.calls))

    def running_file(self, path: str) -> int:
        """The tests that run any line of a file."""
        found, file = 0, self.files.get(path)
        for tests in file.lines.values() if file else ():
            found |= int(tests, 16)
        return found

    def distance(self, path: str, function: int, tests: Iterable[str]) -> tuple[int, int] | None:
        """The calls and files between the nearest of these tests and a function; None: not seen."""
        file = self.files.get(path)
        near = file.calls.get(function, {}) if file else {}
        wanted = self.numbers(tests)
        found = [
            (int(calls), int(others))
            for (calls, others), group in ((key.split(","), group) for key, group in near.items())
            if int(group, 16) & wanted
        ]
        return min(found, default=None)

    def numbers(self, tests: Iterable[str]) -> int:
        """A set of tests as a number."""
        chosen = set(tests)
        return sum(1 << number for number, test in enumerate(self.tests) if test in chosen)

    def names(self, numbers: int) -> list[str]:
        """The names of a set of tests."""
        return [self.tests[number] for number in bits(numbers)]

    def breadth(self) -> list[int]:
        """How many lines each test runs: those that run few are about what they run."""
        counts = [0] * len(self.tests)
        for file in self.files.values():
            for tests in file.lines.values():
                for number in bits(int(tests, 16)):
                    counts[number] += 1
        return counts


_Set = Annotated[str, Field(pattern=r"^0x[0-9a-f]+$")]


class _Packed(Report):
    """A part of the coverage of one file: `_Part` as JSON, compressed, in base64."""

    part: str


class _Part(Report):
    file: str
    lines: Items[tuple[int, _Set]] = []
    calls: Items[tuple[int, Annotated[str, Field(pattern=r"^\d{1,9},\d{1,9}$")], _Set]] = []
    before: Items[int] = []


class _Last(Report):
    opaque: _Set


_REPORT: TypeAdapter[_Packed | _Last] = TypeAdapter(_Packed | _Last)
_PART = TypeAdapter(_Part)


def bits(numbers: int) -> Iterator[int]:
    """The places of the ones, the lowest first."""
    while numbers:
        lowest = numbers & -numbers
        yield lowest.bit_length() - 1
        numbers ^= lowest


def coverage_of(image: Image, start: Callable[[str, Limits], Sandbox]) -> Coverage:
    """Return the coverage stored with the image, or measure it. Raises SandboxError."""
    path = data_directory() / "images" / f"{image.key}.coverage.json.gz"
    known = _read(path)
    if known and known.tracer == copy_name(_TRACER) and set(known.tests) == set(image.passing):
        return known
    sandbox = start(image.reference, Limits(memory=max(image.recipe.memory, 4 << 30)))
    try:
        measured = measure(sandbox, image)
    finally:
        sandbox.close()
    with replacing(path) as part:
        part.write_bytes(gzip.compress(measured.model_dump_json().encode(), 6))
    return measured


def measure(sandbox: Sandbox, image: Image) -> Coverage:
    """Run the image's passing tests once under a tracer. Raises SandboxError."""
    run = run_program(
        sandbox,
        image.setup,
        _TRACER,
        {"arguments": [*always(), *image.setup.arguments], "tests": image.passing},
        _REPORT,
        timeout=_SLOWER * image.test_seconds + 60,
        output_limit=_LIMIT,
        longest=_LONGEST,
    )
    parts = [report for report in run.reports if isinstance(report, _Packed)]
    last = run.reports[-1] if run.reports else None
    if run.problem or not isinstance(last, _Last):
        why = run.problem or run.ending
        raise SandboxError(
            f"{image.reference}: the tests do not come to their end under the tracer: {why}"
        )
    try:
        files = _joined(parts, len(image.passing))
        opaque = _checked(last.opaque, len(image.passing))
    except Malformed as error:
        raise SandboxError(f"{image.reference}: what the tracer reports is no coverage") from error
    return Coverage(
        tests=image.passing,
        tracer=copy_name(_TRACER),
        seconds=run.seconds,
        files=files,
        opaque=opaque,
    )


def _joined(parts: list[_Packed], tests: int) -> dict[str, FileCoverage]:
    """Join the parts of files. Raises Malformed for tests that do not exist."""
    files: dict[str, FileCoverage] = {}
    for packed in parts:
        part = record(_PART, unpacked(packed.part, _LONGEST), _LONGEST)
        file = files.setdefault(part.file, FileCoverage(lines={}, calls={}, before=[]))
        file.before.extend(part.before)
        file.lines.update((line, _checked(group, tests)) for line, group in part.lines)
        for first, near, group in part.calls:
            file.calls.setdefault(first, {})[near] = _checked(group, tests)
    return files


def _checked(group: str, tests: int) -> str:
    if int(group, 16) >> tests:
        raise Malformed("there are fewer tests")
    return group


def _read(path: Path) -> Coverage | None:
    try:
        return Coverage.model_validate_json(gzip.decompress(path.read_bytes()))
    except (FileNotFoundError, EOFError, gzip.BadGzipFile, ValidationError):
        return None
