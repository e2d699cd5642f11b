"""Which test runs which line: measured once per image, and kept with it.

Sets of tests are whole numbers: bit i stands for the i-th test of the record.
"""

import gzip
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from forager.atomic import replacing
from forager.environments.repository.programs import run_program
from forager.environments.repository.testing import ALWAYS
from forager.errors import SandboxError
from forager.images.image import Image
from forager.paths import data_directory
from forager.records import Record
from forager.sandboxes.sandbox import Limits, Sandbox

_SLOWER = 40  # times that tracing may slow the suite down
_LIMIT = 1 << 30  # bytes of the result


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
    version: int = 2
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
    if known and known.version == 2 and set(known.tests) == set(image.passing):
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
        "coverage_tracer",
        {"arguments": [*ALWAYS, *image.setup.arguments], "tests": image.passing},
        timeout=_SLOWER * image.test_seconds + 60,
        output_limit=_LIMIT,
    )
    for report in run.reports:
        del report["seen"]
        return Coverage(tests=image.passing, seconds=run.seconds, **report)
    raise SandboxError(
        f"{image.reference}: the tests do not come to their end under the tracer: {run.ending}"
    )


def _read(path: Path) -> Coverage | None:
    try:
        return Coverage.model_validate_json(gzip.decompress(path.read_bytes()))
    except (FileNotFoundError, EOFError, gzip.BadGzipFile, ValidationError):
        return None
