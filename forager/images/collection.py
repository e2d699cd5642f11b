"""What pytest collects in a build container: the program `collection` asks, this reads it.

The project's code runs while pytest collects, so a report is no more than the project's word. It
decides about the project's own image alone. Paths count only if they are files of the project.
"""

import json
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence

from pydantic import TypeAdapter

from forager.environments.repository.testing import always
from forager.images.workbench import PYTHON, TOOLS, Workbench, archive
from forager.programs import program
from forager.records import Record
from forager.untrusted import Items, Report, reports

_SECONDS = 180  # in which pytest collects
_LOG_BYTES = 16384
_TIMED_OUT = (124, 137)


class StatedOption(Report):
    """An option that a project states for pytest, with its value."""

    words: Items[str]
    names: Items[str]
    """Several in `-xvs`; one without text stands for a path."""
    known: bool


class CollectedFile(Report):
    """The tests of one file, or why it cannot be collected."""

    file: str
    tests: int
    doctests: int
    error: str


class _CollectionReport(Report):
    """One report of the program."""

    at: str = ""
    file: str = ""
    tests: int = 0
    doctests: int = 0
    error: str = ""
    settings: Items[str] = []
    unknown: Items[str] = []
    options: Items[StatedOption] = []
    required: Items[str] = []
    places: bool = False
    end: bool | None = None
    collected: bool = False
    problem: str = ""


_REPORT = TypeAdapter(_CollectionReport)


class Collection(Record):
    """What pytest collects with some arguments."""

    finished: bool = False
    """Whether pytest refused nothing."""
    collected: bool = False
    """Whether it collected: not if it was asked for its settings first."""
    problem: str = ""
    """What it refused, in its words; or empty."""
    last: str = ""
    """The file whose collection began last."""
    files: list[CollectedFile] = []
    settings: list[str] = []
    """The names of the project's settings."""
    unknown: list[str] = []
    """Those that no plug-in knows."""
    options: list[StatedOption] = []
    """The project's own, as it states them or as an argument replaces them."""
    required: list[str] = []
    """The plug-ins that the settings require."""
    places: bool = False
    """Whether the settings say where tests are."""
    log: str = ""

    @property
    def tests(self) -> int:
        """The number of tests, doctests among them."""
        return sum(file.tests + file.doctests for file in self.files)

    @property
    def broken(self) -> list[str]:
        """The files and folders that cannot be collected."""
        return [file.file for file in self.files if file.error]


Ask = Callable[[Sequence[str], bool], Collection]
"""Asks pytest with arguments for what it collects, or first for settings that may need a change."""


def ask_in(bench: Workbench, variables: Mapping[str, str]) -> Ask:
    """Return what asks in a build container, in the working tree, as the agent's user."""
    bench.put(archive({"collection": (program("collection"), 0o644)}), TOOLS)

    def ask(arguments: Sequence[str], settings: bool) -> Collection:
        command, nonce, mark = asking(f"{PYTHON} {TOOLS}/collection", arguments, settings)
        step = bench.run(command, variables=variables)
        return answer(step.output, nonce, mark)

    return ask


def asking(program: str, arguments: Sequence[str], settings: bool) -> tuple[str, str, str]:
    """Return the shell command that asks; the nonce of its reports; the mark before the log."""
    nonce, mark = secrets.token_hex(16), secrets.token_hex(16)
    words = [*always(), *arguments, "--maxfail=0"]
    request = {"arguments": words, "settings": settings, "nonce": nonce}
    log = f"/tmp/forager-collection-{mark}"
    return (
        f"timeout --kill-after=5 {_SECONDS} {program} 3>&1 >{log} 2>&1 "
        f"<<<{shlex.quote(json.dumps(request))}\n"
        f"printf '\\n{mark} %s\\n' $?; tail -c {_LOG_BYTES} {log}; rm -f {log}",
        nonce,
        mark,
    )


def answer(output: str, nonce: str, mark: str) -> Collection:
    """Read what the program reported."""
    told, _, rest = output.rpartition(f"\n{mark} ")
    code, _, log = rest.partition("\n")
    found, malformed = reports(told, nonce, _REPORT)
    settings = next(
        (report for report in found if report.settings or report.options), _CollectionReport()
    )
    end = next((report for report in found if report.end is not None), _CollectionReport())
    problem = malformed or end.problem
    if end.end is None:
        late = code.isdecimal() and int(code) in _TIMED_OUT
        problem = problem or (f"it took more than {_SECONDS} s" if late else "pytest died")
    return Collection(
        finished=bool(end.end) and not malformed,
        collected=end.collected and not malformed,
        problem=problem,
        last=next((report.at for report in reversed(found) if report.at), ""),
        files=[
            CollectedFile(**report.model_dump(include={"file", "tests", "doctests", "error"}))
            for report in found
            if report.file
        ],
        settings=settings.settings,
        unknown=settings.unknown,
        options=settings.options,
        required=settings.required,
        places=settings.places,
        log=log,
    )
