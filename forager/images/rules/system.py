"""Debian packages for the headers, libraries and programs that a log names."""

import re
from collections.abc import Callable, Iterator

from forager.errors import Unreachable
from forager.images.builder import Diagnosis, SourceProject
from forager.images.debian import Contents
from forager.images.recipe import Recipe
from forager.images.rules.rule import Proposals, with_packages

_MOST = 12  # packages of one change
_NAME = r"([A-Za-z][\w.+-]{0,60})"
# What a line names, by the kind of file. A name without a point is a program.
_SIGNS: tuple[tuple[str, str], ...] = (
    ("header", r"fatal error: ([\w./+-]{1,80}\.h(?:h|pp|xx)?): No such file"),
    ("header", r"fatal error: '([\w./+-]{1,80}\.h(?:h|pp|xx)?)' file not found"),
    ("header", r"([\w/]{1,60}\.h) (?:is|was) (?:missing|not found)"),
    ("library", rf"cannot find -l{_NAME}"),
    ("library", r"lib([\w-]{1,40}) development (?:packages|files|headers)"),
    ("library", r"and lib([\w-]{1,40}) development packages"),
    ("library", r"the lib([\w-]{1,40}) and lib[\w-]{1,40} development packages"),
    ("library", r"(?:failed to find|[Cc]ould not find|cannot load library '?|Unable to find) ?"
                r"(?:the )?lib([\w-]{1,40})"),
    ("library", r"lib([\w-]{1,40}) (?:is |was )?(?:not found|not installed|missing)"),
    ("shared", r"(lib[\w.+-]{1,60}\.so(?:\.\d+)*): cannot open shared object file"),
    ("loaded", r"cannot load library '(lib[\w.+-]{1,60}-\d+)'"),
    ("pkg_config", rf"No package '{_NAME}' found"),
    ("pkg_config", rf"Package '?{_NAME}'?,? (?:was not found|required by|not found)"),
    ("pkg_config", rf"Dependency \"?{_NAME}\"? not found"),
    ("pkg_config", rf"pkg-config --exists {_NAME}"),
    ("program", rf"{_NAME} executable not found"),
    ("program", rf"(?:find|locate|execute) (?:the )?[`'\"]?{_NAME}[`'\"]? (?:executable|binary)"),
    ("program", r"No such file or directory: '/(?:[\w.-]+/){1,6}bin/([A-Za-z][\w+-]{0,60})'"),
    ("program", rf"(?:sh|bash): (?:line \d+: |\d+: )?{_NAME}: (?:command )?not found"),
    ("program", r"No such file or directory: '([A-Za-z][\w+-]{0,60})'"),
    ("program", r"error: command '([A-Za-z][\w+-]{0,60})' failed: No such file"),
    ("program", r"unable to execute '([A-Za-z][\w+-]{0,60})'"),
    ("program", r"[Pp]rogram '?([A-Za-z][\w+-]{0,60})'? (?:was |is )?not found"),
    ("program", r"([A-Za-z][\w+-]{0,60}) is not installed or it's not in your PATH"),
    ("program", r"([A-Za-z][\w+-]{0,60}): not found"),
)  # fmt: skip
_OTHERWISE = {  # what a log says without naming a file
    r"No module named '_?tkinter'": "python3-tk",
    r"Cargo, the Rust package manager, is not installed|can't find Rust compiler": "cargo",
    r"No time zone found|ZoneInfoNotFoundError|/etc/localtime": "tzdata",
    r"unsupported locale setting": "locales-all",
    r"[Jj]ava(?:c)? (?:executable )?not found|No such file or directory: 'java'": (
        "default-jre-headless"
    ),
    r"(?:find |directory: '.{0,80})(?:initdb|pg_ctl|postgres)\b": "postgresql",
    r"CMake must be installed|cmake.{1,40}not found": "cmake",
}
_PRESENT = {"python", "python3", "pip", "sh", "bash", "uv", "pkg-config", "gcc", "make"}


def system_packages(project: SourceProject, recipe: Recipe, failure: Diagnosis) -> Proposals:
    """Propose the packages that have the files which the log misses."""
    found = [
        (package, name)
        for package, name in _missing(failure.log, project.contents)
        if package not in recipe.system
    ][:_MOST]
    if found:
        packages = list(dict.fromkeys(package for package, _ in found))
        named = ", ".join(dict.fromkeys(name for _, name in found))
        yield (
            with_packages(recipe, packages),
            f"{named} missing, which Debian has in {', '.join(packages)}",
        )


def _missing(log: str, contents: Contents) -> Iterator[tuple[str, str]]:
    """Yield the packages for what a log misses, each with the name of it."""
    for pattern, package in _OTHERWISE.items():
        if match := re.search(pattern, log):
            yield package, match[0]
    look: dict[str, Callable[[str], str]] = {
        "header": contents.header,
        "library": contents.library,
        "shared": contents.shared,
        "loaded": lambda name: contents.shared(re.sub(r"-(\d+)$", r".so.\1", name)),
        "pkg_config": contents.pkg_config,
        "program": contents.program,
    }
    try:
        for kind, name in dict.fromkeys(_named(log)):
            if package := look[kind](name):
                yield package, name
    except Unreachable:
        return


def _named(log: str) -> Iterator[tuple[str, str]]:
    for kind, pattern in _SIGNS:
        for match in re.finditer(pattern, log):
            if match[1] not in _PRESENT:
                yield kind, match[1]
