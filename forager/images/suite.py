"""Which tests a project has, and the arguments with which pytest collects them.

Pytest is asked, in the build container, with the project's own settings. Only what keeps it from
collecting is taken back: modules and plug-ins that are missing are installed if forager finds their
distribution, and the option of a plug-in is dropped otherwise; a file that ends pytest is ignored.
Options that measure, report or spread load are dropped at once. Every other change is noted.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from forager.environments.repository.protection import folder_of_tests, named_like_tests
from forager.errors import BuildError, SourceError
from forager.images.collection import Ask, CollectedFile, Collection, StatedOption
from forager.images.distributions import missing_modules
from forager.images.plugins import is_measuring, measures, plugin_of_module, plugin_of_option
from forager.images.workbench import telling_lines
from forager.text import ending, safe

_ROUNDS = 16  # most changes until pytest collects
_MOST_IGNORED = 5  # files that end pytest
_MOST_MODULES = 20  # that are looked up in a round
_MOST_TRIED = 8  # options that are dropped one at a time
_UNITTEST_NAMES = "python_files=test*.py tests.py *test.py *tests.py"
_NO_PLUGIN = re.compile(r'Error importing plugin "([\w.]+)"')
_TOO_OLD = re.compile(r"requires pytest-(\d[\w.]*), actual")
_WRONG_VALUE = re.compile(r"argument (-[\w-]+)")
_NO_PATH = re.compile(r"file or directory not found: (\S+)")
_NO_SETTING = re.compile(r"Unknown config option: (\w+)")
_UNREADABLE = re.compile(
    r"^\S+\.(?:ini|cfg|toml):|\[pytest\] section in setup\.cfg files is no longer supported"
)
_RAISED_WARNING = re.compile(r"^((Pytest)?\w*Warning): ")
_SETTINGS = re.compile(r"/\.?pytest\.(ini|toml)$")
_SPEED = re.compile(r"bench(es|marks?|marking)?|perf(ormance)?|asv_bench", re.IGNORECASE)

Install = Callable[[str], bool]
"""Installs a requirement; returns whether that worked."""
Distribution = Callable[[str], str]
"""Finds the requirement that brings a module; empty if none is known."""


class Suite(NamedTuple):
    """The tests of a project."""

    arguments: list[str]
    """Of pytest."""
    protected: list[str]
    """The paths that decide the outcome of tests."""
    notes: list[str]


def find_suite(
    ask: Ask,
    install: Install,
    distribution: Distribution,
    tracked: Sequence[str],
    likely: Mapping[str, int],
    ignored: Sequence[str] = (),
) -> Suite:
    """Find the tests among the tracked files.

    `likely` has the files that look like tests, with the number of functions of each. pytest does
    not enter the `ignored` paths. Raises BuildError if pytest does not collect, SourceError if it
    collects nothing.
    """
    search = _Search(ask, install, distribution, ignored)
    found = search.best(tracked, likely)
    if not found.collected:
        raise BuildError(
            f"pytest does not collect the tests: {ending(found.problem)}",
            telling_lines(found.log),
        )
    if not found.files:
        raise SourceError(
            "no tests found (pytest collects none): give a source that holds them, such as the "
            "project's git repository"
        )
    protected = protected_paths(tracked, found.files)
    return Suite(search.arguments(), protected, [safe(note) for note in search.notes])


def stated_suite(ask: Ask, tracked: Sequence[str], arguments: Sequence[str]) -> Suite:
    """The tests that pytest collects with the arguments of a recipe. Raises BuildError."""
    found = ask(arguments, False)
    if not found.collected:
        raise BuildError(
            f"pytest does not collect the tests: {ending(found.problem)}",
            telling_lines(found.log),
        )
    return Suite([*arguments], protected_paths(tracked, found.files), [])


def protected_paths(tracked: Iterable[str], files: Iterable[CollectedFile]) -> list[str]:
    """Return the paths that decide the outcome of tests: their files and every conftest.py.

    A file in a folder named like tests stands for the folder. A module whose docstrings alone are
    tests is not protected.
    """
    names = set(tracked)
    found = {
        PurePosixPath(folder_of_tests(file.file) or file.file)
        for file in files
        if file.file in names and _holds_tests(file)
    }
    found |= {PurePosixPath(name) for name in names if PurePosixPath(name).name == "conftest.py"}
    return sorted(str(path) for path in found if found.isdisjoint(path.parents))


def _holds_tests(file: CollectedFile) -> bool:
    by_name = bool(file.error) and named_like_tests(PurePosixPath(file.file).name)
    source = file.file.endswith((".py", ".pyi", ".pyx"))
    return file.tests > 0 or by_name or (file.doctests > 0 and not source)


class _Search:
    """The arguments so far, and the reasons for them."""

    def __init__(
        self, ask: Ask, install: Install, distribution: Distribution, ignored: Sequence[str]
    ) -> None:
        self._ask = ask
        self._install = install
        self._distribution = distribution
        self._options: list[StatedOption] | None = None  # instead of the project's own
        self._settings: dict[str, str] = {}
        self._kept_out = list(ignored)
        self._ignored: list[str] = []
        self._more: list[str] = []
        self._tried: set[str] = set()
        self.notes: list[str] = []

    def arguments(self) -> list[str]:
        """The arguments of pytest."""
        found = []
        if self._options is not None:
            words = [word for option in self._options for word in option.words]
            found += ["-o", f"addopts={shlex.join(words)}"]
        for name, value in self._settings.items():
            found += ["-o", f"{name}={value}"]
        return [
            *found,
            *(f"--ignore={path}" for path in [*self._kept_out, *self._ignored]),
            *self._more,
        ]

    def best(self, tracked: Sequence[str], likely: Mapping[str, int]) -> Collection:
        """What pytest collects at best."""
        found = self._collected()
        if not found.collected:
            return found
        if not found.settings and (folder := _folder_with_settings(tracked)):
            least = sum(file.tests for file in found.files if file.file.startswith(f"{folder}/"))
            reason = "its settings are there"
            return self._better(found, [folder], reason, least or 1)
        if not found.tests and found.places:
            found = self._better(found, ["."], "the stated testpaths hold no tests")
        if self._missed(found, likely) and "python_files" not in found.settings:
            found = self._better(found, ["-o", _UNITTEST_NAMES], "tests have unittest's names")
        if missed := self._missed(found, likely):
            folders = sorted({folder_of_tests(name) for name in missed} - {""})
            more = ["-o", "python_files=*.py", *folders]
            found = self._better(found, more, "tests are in files of other names")
        if any("import file mismatch" in file.error for file in found.files):
            found = self._better(found, ["--import-mode=importlib"], "files share their names")
        return found if found.places else self._without_others(found)

    def _missed(self, found: Collection, likely: Mapping[str, int]) -> set[str]:
        """The files that look like tests and are not collected, if they hold the majority."""
        files = {file.file for file in found.files}
        missed = {*likely} - files
        elsewhere = sum(likely[name] or 1 for name in missed)
        return missed if elsewhere > sum(likely.get(name) or 1 for name in files) else set()

    def _better(
        self, found: Collection, more: list[str], reason: str, least: int = 0
    ) -> Collection:
        """Use these arguments too if so many tests are collected: by default more than before."""
        self._more += more
        other = self._collected()
        if other.collected and other.tests >= (least or found.tests + 1):
            self.notes.append(f"pytest runs with {shlex.join(more)}: {reason}")
            return other
        del self._more[-len(more) :]
        return found

    def _without_others(self, found: Collection) -> Collection:
        """Ignore what is no test of the project, if nothing says where its tests are.

        That is what measures speed, and broken files outside the folders that are named like tests.
        """
        good = [file.file for file in found.files if file.tests + file.doctests]
        speed = {folder for name in good if (folder := _folder_for_speed(name))}
        rest = [name for name in good if not _folder_for_speed(name)]
        others = sorted(speed) if rest else []
        if any(map(folder_of_tests, rest)):
            others += [name for name in found.broken if not folder_of_tests(name)]
        if not others:
            return found
        self._ignored += others
        self.notes.append(f"ignored, as the tests are elsewhere: {', '.join(others)}")
        return self._collected()

    def _collected(self) -> Collection:
        """Ask until there is nothing left to mend; first for the settings, which is quicker."""
        settings = True
        for _ in range(_ROUNDS):
            found = self._ask(self.arguments(), settings)
            if not self._mend(found):
                if found.collected or not settings:
                    break
                settings = False
        return found

    def _mend(self, found: Collection) -> bool:
        """Change the arguments or the environment so that pytest collects more."""
        if self._drop(found, measures, ""):
            return True
        if found.collected:
            return self._known_plugins(found) or self._missing_modules(found)
        return not found.finished and any(mend(found) for mend in self._mends())

    def _mends(self) -> Iterator[Callable[[Collection], bool]]:
        """What may be mended, in the order in which pytest refuses it."""
        yield self._wrong_value
        yield self._old_pytest
        yield self._missing_plugin
        yield self._required_plugins
        yield self._missing_path
        yield self._known_plugins
        yield self._missing_modules
        yield self._unknown_option
        yield self._unknown_setting
        yield self._raised_warning
        yield self._fatal_file
        yield self._harmful_option
        yield self._unreadable_settings

    def _unreadable_settings(self, found: Collection) -> bool:
        """Leave out settings that this pytest refuses to read."""
        if "--rootdir=." in self._more or not _UNREADABLE.search(found.problem):
            return False
        self._more += ["-c", "/dev/null", "--rootdir=."]
        self.notes.append(f"pytest runs without the project's settings: {found.problem[:200]}")
        return True

    def _drop(
        self, found: Collection, unwanted: Callable[[StatedOption], bool], reason: str
    ) -> bool:
        """Drop options of the project."""
        dropped = [option for option in found.options if unwanted(option)]
        if not dropped:
            return False
        self._options = [option for option in found.options if option not in dropped]
        for option in dropped if reason else ():
            self.notes.append(f"pytest's option {shlex.join(option.words)} is dropped: {reason}")
        return True

    def _installed(self, requirement: str) -> bool:
        """Install a requirement, once."""
        if not requirement or requirement in self._tried:
            return False
        self._tried.add(requirement)
        return self._install(requirement)

    def _missing_plugin(self, found: Collection) -> bool:
        if not (match := _NO_PLUGIN.search(found.problem)):
            return False
        name = match[1]
        return self._installed(plugin_of_module(name)) or self._drop(
            found,
            lambda option: option.names == ["-p"] and "".join(option.words)[2:] == name,
            "there is no such plug-in",
        )

    def _required_plugins(self, found: Collection) -> bool:
        if "Missing required plugins" not in found.problem:
            return False
        wanted = [text for text in found.required if not is_measuring(text)]
        installed = [self._installed(text) for text in wanted]
        if any(installed):
            return True
        rest = wanted if wanted != found.required else []
        self._settings["required_plugins"] = shlex.join(rest)
        if not rest and wanted:
            self.notes.append(f"required plug-ins are missing: {', '.join(wanted)}")
        return bool(found.required)

    def _old_pytest(self, found: Collection) -> bool:
        if not (match := _TOO_OLD.search(found.problem)):
            return False
        if not self._installed(f"pytest>={match[1]}"):
            self._settings["minversion"] = ""
            self.notes.append(f"pytest is older than {match[1]}, which the settings require")
        return True

    def _known_plugins(self, found: Collection) -> bool:
        """Install the plug-ins of settings and options that no installed one knows."""
        unknown = [name for option in found.options if not option.known for name in option.names]
        wanted = {plugin_of_option(name) for name in (*found.unknown, *unknown)}
        installed = [self._installed(plugin) for plugin in sorted(wanted)]
        return any(installed)

    def _missing_modules(self, found: Collection) -> bool:
        """Install what the tests import and the environment lacks."""
        modules = missing_modules(found.problem, *(file.error for file in found.files))
        wanted = {self._distribution(name) for name in modules[:_MOST_MODULES]}
        installed = [self._installed(requirement) for requirement in sorted(wanted)]
        return any(installed)

    def _unknown_option(self, found: Collection) -> bool:
        if "unrecognized arguments" not in found.problem:
            return False
        return self._drop(found, lambda option: not option.known, "no plug-in knows it")

    def _wrong_value(self, found: Collection) -> bool:
        """Drop an option whose value pytest refuses."""
        if not (match := _WRONG_VALUE.search(found.problem)):
            return False
        return self._drop(
            found, lambda option: match[1] in option.names, "pytest refuses its value"
        )

    def _missing_path(self, found: Collection) -> bool:
        if not (match := _NO_PATH.search(found.problem)):
            return False
        path = match[1]
        if self._drop(found, lambda option: option.words == [path], "there is no such path"):
            return True
        return self._override("testpaths", "", f"{path} does not exist")

    def _unknown_setting(self, found: Collection) -> bool:
        """Be less strict about settings."""
        if not (match := _NO_SETTING.search(found.problem)):
            return False
        reason = f"no plug-in knows the setting {match[1]}"
        if self._drop(found, lambda option: "--strict-config" in option.names, reason):
            return True
        ignored = ["-W", "ignore::pytest.PytestConfigWarning"]
        if "Warning" in found.problem and ignored[1] not in self._more:
            self._more += ignored
            return True
        return self._override("strict_config", "false", reason)

    def _raised_warning(self, found: Collection) -> bool:
        """Ignore a warning that the settings make an error, and that ends pytest."""
        if not (match := _RAISED_WARNING.match(found.problem)):
            return False
        ignored = ["-W", f"ignore::{'pytest.' if match[2] else ''}{match[1]}"]
        if ignored[1] in self._more:
            return False
        self._more += ignored
        self.notes.append(f"pytest runs with {shlex.join(ignored)}: {found.problem[:200]}")
        return True

    def _override(self, name: str, value: str, reason: str) -> bool:
        if name in self._settings:
            return False
        self._settings[name] = value
        self.notes.append(f"pytest runs with {name}={value}: {reason}")
        return True

    def _harmful_option(self, found: Collection) -> bool:
        """Drop the one option without which pytest collects, if nothing else helps."""
        before = self._options
        for option in found.options[:_MOST_TRIED]:
            self._options = [other for other in found.options if other is not option]
            if self._ask(self.arguments(), False).collected:
                words, reason = shlex.join(option.words), found.problem[:200]
                self.notes.append(f"pytest's option {words} is dropped: {reason}")
                return True
        self._options = before
        return False

    def _fatal_file(self, found: Collection) -> bool:
        """Ignore a file in whose collection pytest ended."""
        if not found.last or found.last in self._ignored or len(self._ignored) >= _MOST_IGNORED:
            return False
        self._ignored.append(found.last)
        self.notes.append(f"{found.last} is ignored: pytest ends there: {found.problem[:200]}")
        return True


def _folder_with_settings(tracked: Sequence[str]) -> str:
    """The uppermost folder with a settings file of pytest's own; or empty.

    Pytest reads such a file if it is given the folder.
    """
    folders = [PurePosixPath(name).parent for name in tracked if _SETTINGS.search(name)]
    return str(min(folders, key=lambda path: len(path.parts))) if folders else ""


def _folder_for_speed(name: str) -> str:
    """The folder above a file that is named like measurements of speed, or empty."""
    for folder in reversed(PurePosixPath(name).parents):
        if _SPEED.fullmatch(folder.name):
            return str(folder)
    return ""
