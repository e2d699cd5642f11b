"""What the engine and the sieve send each other, one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    Edit = tuple[int, int, list[str]]
    """First and last line that go (the last before the first: none), and the lines that come."""
    Edits = dict[str, list[Edit]]
    """The edits of each file, in order."""

Way = Literal["warm", "cold", "none"]


@dataclass
class MutantQuestion:
    """A mutant, and the tests that can notice it."""

    edits: Edits
    cold: bool
    tests: str
    """Places in the job's order of tests, as the bits of a number in hexadecimal."""


@dataclass
class SieveJob:
    """Mutants to judge within so many seconds; what is not begun by then has no answer."""

    root: str
    options: list[str]
    """Those of pytest."""
    paths: list[str]
    """From which it collects all tests; none for its own settings."""
    order: list[str]
    seconds: float
    patience: float
    """Seconds that a mutant may wait in addition to what its tests wait without it."""
    mutants: list[MutantQuestion]

    def line(self) -> str:
        """The job as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> SieveJob:
        """The job that `line` wrote."""
        fields = json.loads(text)
        mutants = [MutantQuestion(**mutant) for mutant in fields.pop("mutants")]
        return cls(**fields, mutants=mutants)

    def tests_of(self, mutant: MutantQuestion) -> list[str]:
        """The names of a mutant's tests."""
        bits = bin(int(mutant.tests, 16))[:1:-1]
        return [self.order[place] for place, bit in enumerate(bits) if bit == "1"]


@dataclass
class Answer:
    """What the tests said of a mutant; it survived if nothing is set."""

    failed: list[str] = field(default_factory=list)
    timeout: bool = False
    crashed: str = ""
    broken: list[str] = field(default_factory=list)
    """Test files that cannot be collected."""
    unstable: list[str] = field(default_factory=list)
    """Tests that fail without the mutant; they did not run."""
    way: Way = "warm"
    cpu: float = 0.0
    """Seconds of processor time of the child that ran the tests."""

    def line(self) -> str:
        """The answer as JSON."""
        return json.dumps(asdict(self))


@dataclass
class ChildReport:
    """What a child saw before its end."""

    failed: list[str] = field(default_factory=list)
    timeout: bool = False
    broken: list[str] = field(default_factory=list)
    spent: dict[str, list[float]] = field(default_factory=dict)
    """Seconds of processor time and of waiting, for each test."""

    def line(self) -> bytes:
        """The report as JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> ChildReport:
        """The report that `line` wrote."""
        fields: dict[str, Any] = json.loads(line)
        return cls(**fields)
