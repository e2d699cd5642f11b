"""Why a project gave no image: one of a few reasons, the decisive line, and what to try."""

import re
from typing import NamedTuple

from forager.errors import BuildError, SourceError
from forager.images.builder import Diagnosis
from forager.images.workbench import decisive_line, telling_lines
from forager.text import safe


class Reason(NamedTuple):
    """A kind of failure."""

    name: str
    pattern: str
    """Found in the message or in the log, if the stage fits."""
    stages: tuple[str, ...]
    suggestion: str


_LINES = 400  # telling ones of a log that are searched
_MOST_PACKAGES = 12  # that a message names
_ANY = ("install", "collect", "test")
REASONS = (
    Reason(
        "refused",
        r"^refused: ",
        _ANY,
        "write a recipe that leaves the tests and pytest alone",
    ),
    Reason(
        "hollow",
        r"^hollow: ",
        ("test",),
        "write into `tests` what pytest is to collect, and into `install` what the tests import",
    ),
    Reason(
        "time limit",
        r"took too long|did not come to its end|it took more than \d+ s|no time is left",
        _ANY,
        "raise --timeout, or `timeout` in the recipe",
    ),
    Reason(
        "crash",
        r"crashed the interpreter|ended the test run",
        ("test",),
        "deselect the test in `tests`",
    ),
    Reason(
        "no tests",
        r"no tests found",
        _ANY,
        "give a source that has tests, such as the git repository",
    ),
    Reason(
        "memory",
        r"MemoryError|Killed signal terminated|out of memory|Cannot allocate memory|"
        r"memory runs out",
        _ANY,
        "give more with --memory",
    ),
    Reason(
        "network",
        r"Temporary failure in name resolution|Network is unreachable|gaierror|Name or service not "
        r"known|Failed to resolve|NewConnectionError|NameResolutionError|dns error|operation timed "
        r"out|client error \(Connect\)",
        _ANY,
        "tests run without a network: deselect those that need one in `tests`",
    ),
    Reason(
        "service",
        r"Connection refused|ConnectionRefusedError|Can't connect to (local )?(MySQL|server)|could "
        r"not connect to server|connection to server .{1,60} failed",
        ("collect", "test"),
        "name the service in `services`",
    ),
    Reason(
        "system package",
        r"fatal error: [\w./+-]+: No such file or directory|cannot find -l\w|command not found|"
        r"executable not found|cannot open shared object file|pkg-config|Debian lacks|No such file "
        r"or directory: '[\w.+-]+'|error: command '[\w.+-]+' failed: No such file",
        _ANY,
        "name the Debian packages in `system`",
    ),
    Reason(
        "Python version",
        r"requires-python|Requires-Python|requires Python|requires a different Python|the current "
        r"Python version|SyntaxError: (Missing parentheses|invalid syntax)|No module named "
        r"'(imp|distutils|asyncore|ConfigParser|urllib2|StringIO|cStringIO|__builtin__)'",
        _ANY,
        "set `python` in the recipe",
    ),
    Reason(
        "dependencies",
        r"No solution found|no versions? of|not found in the package registry|unsatisfiable|Failed "
        r"to (download|fetch)|Failed to build `(?!.*testbed)",
        ("install",),
        "correct the requirements in `install`, or set `exclude_newer` to the date of the commit",
    ),
    Reason(
        "settings",
        r"ImproperlyConfigured|DJANGO_SETTINGS_MODULE|Apps aren't loaded|AppRegistryNotReady",
        ("collect", "test"),
        "set the variable that names the settings in `variables`",
    ),
    Reason(
        "imports",
        r"ModuleNotFoundError|ImportError|cannot import name",
        ("collect", "test"),
        "add to `install` what the tests import, or set `exclude_newer`",
    ),
    Reason(
        "missing files",
        r"No such file or directory: '/testbed/|/testbed/\S+ .{0,60}(?:does not|doesn't) exist",
        ("collect", "test"),
        "give a source that has all files, such as the project's git repository",
    ),
)


_OTHERWISE = {  # by the stage, if no pattern is found
    "install": Reason(
        "build of the project",
        "",
        ("install",),
        "write into `install` how the project is installed",
    ),
    "collect": Reason(
        "settings of pytest",
        "",
        ("collect",),
        "write into `tests` how pytest is called",
    ),
    "test": Reason(
        "failing tests",
        "",
        ("test",),
        "correct the recipe, or accept fewer passing tests with --minimum-pass",
    ),
}


def reason_of(failure: Diagnosis) -> Reason:
    """The reason of a failure. The message says more than a line of the log."""
    for text in (failure.message, telling_lines(failure.log, _LINES)):
        for reason in REASONS:
            if failure.stage in reason.stages and re.search(reason.pattern, text, re.IGNORECASE):
                return reason
    return _OTHERWISE[failure.stage]


def _line_of(reason: Reason, failure: Diagnosis) -> str:
    """The line of the log that gives the reason; if the message gives it, the most likely cause."""
    if reason.pattern and not re.search(reason.pattern, failure.message, re.IGNORECASE):
        for line in telling_lines(failure.log, _LINES).splitlines():
            if re.search(reason.pattern, line, re.IGNORECASE):
                return safe(line.strip())
    return decisive_line(failure.log)


def explained(source: str, failure: Diagnosis) -> BuildError | SourceError:
    """The error that tells a person why, with the decisive line and a suggestion."""
    reason = reason_of(failure)
    if packages := failure.packages:
        named = ", ".join(packages[:_MOST_PACKAGES]) + ", …" * (len(packages) > _MOST_PACKAGES)
        return BuildError(
            f"{source}: {failure.message}; it holds packages of their own, name one with "
            f"#subdirectory=FOLDER: {named}",
            telling_lines(failure.log),
        )
    if reason.name == "no tests":
        return SourceError(f"{source}: {failure.message}")
    line = _line_of(reason, failure)
    detail = f": {line}" if line and line not in failure.message else ""
    how = ", and build with --recipe" if "`" in reason.suggestion else ""
    return BuildError(
        f"{source}: {failure.message}{detail} ({reason.name}: {reason.suggestion}{how})",
        telling_lines(failure.log),
    )
