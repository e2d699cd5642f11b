"""Reports what pytest collects, with which settings, and why it refuses to.

Standard input is one JSON object: the `arguments` of pytest and `settings`, whether to stop before
the first conftest.py if the project states options or unknown settings. Descriptor 3 takes lines of
the request's nonce and a JSON object:
    at        a file that is being collected; if pytest ends here, this file ended it
    file      a file with its number of `tests` and `doctests`, or the `error` of its collection;
              what plug-ins check about a module, such as its style, counts among the doctests
    settings  the names of all settings, those that are `unknown`, the `options` that the project
              states (`words`, their `names`, whether they are `known`), the plug-ins that it
              requires, and whether the `places` of tests are stated
    end       whether pytest refused nothing so far, the `problem` if it did, and whether it has
              `collected`
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from _pytest.config import ConftestImportFailure, UsageError, _prepareconfig
from _pytest.doctest import DoctestItem

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILES = 5000  # most files that are reported
_ERROR, _ERRORS = 1000, 200_000  # characters of an error, and of all
_SOURCES = (".py", ".pyi", ".pyx")
_PATH = 1000  # most characters of a path


class Reporter:
    """Writes reports to the descriptor that the project's processes do not inherit."""

    def __init__(self, nonce: str) -> None:
        self._nonce = nonce
        self._descriptor = os.dup(3)
        os.set_inheritable(self._descriptor, False)
        os.close(3)

    def send(self, **record: Any) -> None:
        """Write one report."""
        line = f"{self._nonce} {json.dumps(record)}\n".encode()
        while line:
            line = line[os.write(self._descriptor, line) :]


class Question:
    """The pytest plugin: reports settings and collected files, and then ends the process."""

    def __init__(self, reporter: Reporter, settings: bool) -> None:
        self._reporter = reporter
        self._settings = settings
        self._parser: Any = None
        self._manager: Any = None
        self._errors: dict[str, str] = {}
        self._problem = ""
        self._collected = False

    def pytest_addoption(self, parser: Any, pluginmanager: Any) -> None:
        """Keep what knows the options, even if pytest refuses them."""
        self._parser, self._manager = parser, pluginmanager

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self) -> None:
        """Stop here if the settings matter first: all installed plug-ins are loaded."""
        settings = self._stated()
        if self._settings and (settings["options"] or settings["unknown"]):
            self.end(True)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: Any) -> Iterator[None]:
        """Report a file before its code runs, as it may end the process."""
        if isinstance(collector, pytest.File):
            self._reporter.send(at=collector.nodeid[:_PATH])
        yield

    def pytest_collectreport(self, report: Any) -> None:
        """Note a file that cannot be collected."""
        if report.failed:
            self._errors[report.nodeid] = str(report.longrepr)

    def pytest_internalerror(self, excinfo: Any) -> None:
        """Note why pytest gives up."""
        self._problem = f"{excinfo.typename}: {excinfo.value}"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> None:
        """Report the collected files, and end: pytest has found nothing to refuse."""
        tests: Counter[str] = Counter()
        doctests: Counter[str] = Counter()
        for item in session.items:
            path = item.nodeid.partition("::")[0]
            about = path.endswith(_SOURCES) and not isinstance(item, pytest.Function)
            kind = doctests if about or isinstance(item, DoctestItem) else tests
            kind[path] += 1
        each = min(_ERROR, _ERRORS // max(1, len(self._errors)))
        for path in sorted({*tests, *doctests, *self._errors} - {""})[:_FILES]:
            self._reporter.send(
                file=path[:_PATH],
                tests=tests[path],
                doctests=doctests[path],
                error=self._errors.get(path, "")[-each:],
            )
        # An error of the session itself, such as that of a conftest.py in pytest 7.
        problem = "" if session.items else self._errors.get("", "")
        self._collected = not problem
        self.end(not problem, problem)

    def end(self, finished: bool, problem: str = "") -> NoReturn:
        """Report the settings and the end; the process ends here."""
        try:
            self._reporter.send(**self._stated())
        except Exception as error:  # settings that pytest cannot read are the problem itself
            problem = problem or f"{type(error).__name__}: {error}"
        problem = problem or self._problem
        self._reporter.send(end=finished, collected=self._collected, problem=problem[-_ERROR:])
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    def _stated(self) -> dict[str, Any]:
        config = self._manager.get_plugin("pytestconfig")
        words = [str(word) for word in config.getini("addopts")]
        options = list(grouped(words, known_options(self._parser)))
        given = getattr(getattr(config, "known_args_namespace", None), "override_ini", None)
        ours = {text.partition("=")[0] for text in given or ()}
        read = config._inicfg if hasattr(config, "_inicfg") else config.inicfg
        stated = {*map(str, read)} - ours
        known = {*self._parser._inidict, *getattr(self._parser, "_ini_aliases", ())}
        in_options = any(option["names"] == [""] for option in options)
        return {
            "settings": sorted(stated),
            "unknown": sorted(stated - known),
            "options": options,
            "required": [str(word) for word in config.getini("required_plugins")],
            "places": in_options or bool(config.getini("testpaths")),
        }


def known_options(parser: Any) -> dict[str, Any]:
    """The options of pytest and of all loaded plug-ins, by name, as actions of argparse."""
    made = parser._getparser() if hasattr(parser, "_getparser") else parser.optparser  # pytest 8, 9
    actions: dict[str, Any] = made._option_string_actions
    return actions


def grouped(words: list[str], known: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The words of each option with its value; a path is an option without a name."""
    left = list(words)
    while left:
        word = left.pop(0)
        names = names_of(word, known)
        values: list[str] = []
        if names != [""] and not has_value(word, names):
            values = left[: values_of(names[-1], known, left)]
            del left[: len(values)]
        recognized = all(name in known or not name for name in names)
        yield {"words": [word, *values], "names": names, "known": recognized}


def names_of(word: str, known: dict[str, Any]) -> list[str]:
    """The names of the options in a word: several in `-xvs`, one without text for a path."""
    if not word.startswith("-") or word in ("-", "--"):
        return [""]
    if word.startswith("--") or word in known:
        return [word.partition("=")[0]]
    names = []
    for letter in word[1:]:
        names.append(f"-{letter}")
        action = known.get(f"-{letter}")
        if action is None or action.nargs != 0:  # what follows is its value
            break
    return names


def has_value(word: str, names: list[str]) -> bool:
    """Whether the last option in a word has its value there, as in `--tb=short` or `-ra`."""
    return (
        "=" in word
        if word.startswith("--")
        else sum(len(name) - 1 for name in names) < len(word) - 1
    )


def values_of(name: str, known: dict[str, Any], following: list[str]) -> int:
    """How many of the following words are values of an option."""
    plain = 0
    while plain < len(following) and not following[plain].startswith("-"):
        plain += 1
    action = known.get(name)
    if action is None:  # of a plug-in that is missing: a value, unless it is a path
        return int(plain > 0 and not Path(following[0].partition("::")[0]).exists())
    if action.nargs is None:
        return min(1, len(following))
    if isinstance(action.nargs, int):
        return min(action.nargs, len(following))
    return min(1, plain) if action.nargs == "?" else plain


def main() -> None:
    """Read the request, let pytest collect, report."""
    request = json.loads(sys.stdin.readline())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.path[0] = str(Path.cwd())  # as `python -m pytest` has it
    del sys.argv[1:]
    question = Question(Reporter(request["nonce"]), request["settings"])
    problem = ""
    try:
        config = _prepareconfig([*request["arguments"], "--collect-only"], [question])
        config.hook.pytest_cmdline_main(config=config)
    except UsageError as error:
        problem = "; ".join(map(str, error.args))
    except ConftestImportFailure as error:
        problem = str(error)  # has the error and the file
    except BaseException as error:
        cause = error.__cause__ or error  # pytest 9.2 says only which plug-in raised it
        problem = f"{type(cause).__name__}: {cause}"
        if cause is not error:
            problem += f" (from {error})"
    question.end(False, problem)


if __name__ == "__main__":
    main()
