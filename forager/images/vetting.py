"""What a recipe may do that a model wrote, and how that is checked.

A person answers for a recipe; a model is rewarded for tests that pass, and may find shorter ways
than to make them pass. So a recipe with `untrusted = true` is checked three times:

- its text (`refusal`): no variable or option that loads code or stops tests from being run;
- the container after the install (`Vetting`): the tracked files are the source's, the install added
  nothing that Python or pytest load by themselves, no test and no module of its own, and installed
  files are those that distributions brought, which come from an index or from the project;
- the runs of the tests: no canary passes, and at least half of the test functions in the project's
  files pass (`shortfall`). What is deselected, ignored or skipped does not pass.

What remains possible: a distribution that lies, and forged metadata of one.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name
from pydantic import TypeAdapter

from forager.environments.repository.protection import folder_of_tests, named_like_tests, plain
from forager.environments.repository.testing import TestReport
from forager.errors import BuildError
from forager.images.builder import refused
from forager.images.layout import project_name
from forager.images.recipe import Recipe, paths
from forager.images.sealing import LEFT_BY_TOOLS, REMOVED_AT_HOME
from forager.images.soundness import LEAST_COLLECTED
from forager.images.workbench import TOOLS, VENV, Workbench, archive
from forager.programs import program
from forager.programs.inventory import MOST, state
from forager.sandboxes.sandbox import WORKDIR
from forager.text import safe
from forager.untrusted import Malformed, Report, record

_LONGEST_RUN, _MOST_MEMORY = 3600, 16 << 30  # seconds and bytes that a model may ask for
_REFUSED_VARIABLES = re.compile(
    r"PYTHON(?!(PATH|HASHSEED|UTF8|IOENCODING|WARNINGS|DONTWRITEBYTECODE|UNBUFFERED|DEVMODE"
    r"|FAULTHANDLER|ASYNCIODEBUG|TZPATH)$).*|PYTEST_.*|LD_.*|(UV|PIP)_.*(INDEX|LINKS|CONFIG).*"
    r"|PATH|HOME|ENV|BASH_.*|SHELLOPTS|VIRTUAL_ENV|GIT_.*|FORAGER_.*"
)
_REFUSED_OPTIONS = {
    *("--config-file", "--rootdir", "--confcutdir", "--noconftest", "--pyargs", "--pdbcls"),
    *("--co", "--collect-only", "--collectonly"),
    *("--setup-only", "--setuponly", "--setup-plan", "--setupplan"),
}
_REFUSED_SETTINGS = {"python_functions", "python_classes"}
_WITH_VALUE = "kmcporWn"  # pytest's short options that take a value
_LOADED_MODULES = ("conftest", "sitecustomize", "usercustomize")
_SETTINGS = {"pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "setup.cfg"}
_SETTINGS |= {"pyproject.toml", "pyvenv.cfg"}
_PASSED_OVER = [VENV, WORKDIR, TOOLS, "/tmp", "/var/tmp", "/proc", "/sys", "/dev"]
_PASSED_OVER += [f"/home/agent/{name}" for name in REMOVED_AT_HOME]
_NAMED = 5  # most paths that a refusal names
_MOST_OUTPUT = 1 << 20  # characters of an inventory


class Inventory(Report):
    """What the program `inventory` found; see there."""

    loose: dict[str, str]
    altered: list[str]
    changed: list[str]
    added: dict[str, str]
    plugins: list[str]
    local: dict[str, str]
    outside: list[str]


_INVENTORY = TypeAdapter(Inventory)


def untrusted(recipe: Recipe) -> Recipe:
    """The recipe as a model's; forager decides which paths are protected."""
    return recipe.model_copy(update={"untrusted": True, "protected": []})


def refusal(recipe: Recipe, tree: Path) -> str:
    """Why the text of an untrusted recipe is refused, in one line; empty if it is not."""
    if recipe.timeout > _LONGEST_RUN or recipe.memory > _MOST_MEMORY:
        return f"at most {_LONGEST_RUN} s and {_MOST_MEMORY >> 30} GiB are allowed"
    release = canonicalize_name(recipe.submodules.partition("==")[0])
    if release and release != canonicalize_name(project_name(tree)):
        return "submodules come from a release of the project itself only"
    for name, value in recipe.variables.items():
        if _REFUSED_VARIABLES.fullmatch(name):
            return f"the variable {safe(name)} is not allowed"
        if name == "PYTHONPATH" and not all(map(_is_inside, value.split(":"))):
            return f"PYTHONPATH may name directories in {WORKDIR} only"
    return next(_refused_arguments(recipe.tests), "")


def _is_inside(place: str) -> bool:
    path = PurePosixPath(place)
    return path.is_relative_to(WORKDIR) and ".." not in path.parts


def _refused_arguments(arguments: Sequence[str]) -> Iterator[str]:
    """Say of each refused argument of pytest why it is refused."""
    for path in paths(arguments):
        if path.startswith(("/", "@")) or ".." in PurePosixPath(path).parts:
            yield f"pytest may run tests of the project only, not {safe(path)}"
    for name, value in _options(arguments):
        setting, _, words = value.partition("=")
        if name in _REFUSED_OPTIONS or name == "-c":
            yield f"pytest's option {name} is not allowed"
        elif name == "-p" and not value.startswith("no:"):
            yield f"pytest's option -p {safe(value)} is not allowed: installed plug-ins load anyway"
        elif name in ("-o", "--override-ini") and setting == "addopts":
            yield from _refused_arguments(_split(words))
        elif name in ("-o", "--override-ini") and setting in _REFUSED_SETTINGS:
            yield f"pytest's setting {setting} is not allowed: other functions are no tests"
        elif name in ("-o", "--override-ini") and setting == "pythonpath":
            places = _split(words)
            if not all(_is_inside(f"{WORKDIR}/{place}") for place in places):
                yield "pytest's pythonpath may name directories of the project only"


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield pytest's options with their values; several short ones may share a word."""
    for word, after in zip(arguments, [*arguments[1:], ""], strict=False):
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            yield name, value if equals else after
        elif word.startswith("-"):
            letter = next((letter for letter in word[1:] if letter in _WITH_VALUE), "")
            value = word.partition(letter)[2] if letter else ""
            yield f"-{letter}", value or after


def _split(words: str) -> list[str]:
    try:
        return shlex.split(words)
    except ValueError:
        return ["@"]  # which is refused


class Vetting:
    """Watches one build container; made before the commands of an untrusted recipe run."""

    def __init__(self, bench: Workbench, tree: Path, files: Sequence[str], recipe: Recipe) -> None:
        self._bench, self._files, self._recipe = bench, files, recipe
        request = {
            "environment": VENV,
            "tree": WORKDIR,
            "tracked": {name: state(tree / name) for name in files},
            "top": "/",
            "passed_over": _PASSED_OVER,
        }
        brought = {
            "inventory": (program("inventory"), 0o644),
            "inventory.json": (json.dumps(request).encode(), 0o644),
        }
        bench.put(archive(brought), TOOLS)
        self._before = self._inventory().loose

    def purge(self) -> None:
        """End what the recipe started, and remove byte code: nobody can say what it is of."""
        command = f"pkill -KILL -u agent; find {VENV} -name __pycache__ -prune -exec rm -rf {{}} +"
        self._bench.check(command, user="root")

    def check(self) -> None:
        """Raise RecipeFailed if the recipe has done what it may not."""
        found = self._inventory()
        reasons = [
            *_about("changes tracked files", found.changed),
            *_about("changes files of distributions", found.altered),
            *_about("puts modules into the environment", self._new(found.loose)),
            *_about("adds files that it may not add", self._planted(found.added)),
            *_about("installs what is not the project's", self._foreign_origins(found.local)),
            *_about("leaves modules outside the project", found.outside),
            *_about("registers plug-ins of pytest", self._foreign_plugins(found)),
        ]
        if len(found.added) >= MOST:
            reasons.append(f"adds more than {MOST} files to the project's tree")
        if reasons:
            raise refused(f"the recipe {reasons[0]}", "\n".join(reasons))

    def _inventory(self) -> Inventory:
        command = f"python3 -I {TOOLS}/inventory {TOOLS}/inventory.json"  # the system's Python
        try:
            output = self._bench.check(command, user="root")
            return record(_INVENTORY, output, _MOST_OUTPUT)
        except (BuildError, Malformed) as error:
            raise refused("what the recipe left behind cannot be listed", str(error)) from error

    def _new(self, loose: Mapping[str, str]) -> list[str]:
        return [path for path, value in loose.items() if self._before.get(path) != value]

    def _planted(self, added: Mapping[str, str]) -> list[str]:
        """The new files that decide tests, or that take the place of a module."""
        python = {str(PurePosixPath(name).parent) for name in self._files if name.endswith(".py")}
        tops = {PurePosixPath(name).parts[0] for name in self._files}
        removed = {*LEFT_BY_TOOLS} - tops
        stated = self._recipe.variables.get("PYTHONPATH", "").split(":")
        roots = {".", "src", "lib", *(place.removeprefix(WORKDIR).strip("/") for place in stated)}
        return [
            path
            for path, target in added.items()
            if PurePosixPath(path).parts[0] not in removed
            and (_leads_out(path, target) or _decides(path) or _is_module(path, python - roots))
        ]

    def _foreign_origins(self, local: Mapping[str, str]) -> list[str]:
        """The distributions from directories and archives outside the project."""
        tracked = {f"{WORKDIR}/{name}" for name in self._files}
        folders = {str(PurePosixPath(name).parent) for name in tracked if _builds(name)}
        return [
            f"{name} from {url}"
            for name, url in local.items()
            if unquote(urlsplit(url).path).rstrip("/") not in folders | tracked
        ]

    def _foreign_plugins(self, found: Inventory) -> list[str]:
        """The plug-ins in the project's tree whose modules the recipe added."""
        added = {_module_of(path) for path in found.added}
        modules = [value.partition(":")[0].strip().replace(".", "/") for value in found.plugins]
        return [name for name in modules if any(f"/{path}".endswith(f"/{name}") for path in added)]


def _builds(name: str) -> bool:
    return PurePosixPath(name).name in ("pyproject.toml", "setup.py", "setup.cfg")


def _module_of(path: str) -> str:
    place = PurePosixPath(path)
    return str(place.with_name(place.name.partition(".")[0])).removesuffix("/__init__")


def _about(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield f"{what}: {', '.join(map(safe, names[:_NAMED]))}{more}"


def _leads_out(path: str, target: str) -> bool:
    depth = 0
    for part in (PurePosixPath(path).parent / target).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return target.startswith("/")


def _decides(path: str) -> bool:
    """Whether Python or pytest load a file of this name by themselves, or take it for a test."""
    place = PurePosixPath(plain(path))
    if any(part.partition(".")[0] in _LOADED_MODULES for part in place.parts):
        return True
    test = named_like_tests(place.name) or folder_of_tests(str(place))
    return place.name in _SETTINGS or place.suffix == ".pth" or bool(place.suffix == ".py" and test)


def _is_module(path: str, folders: set[str]) -> bool:
    """Whether a file is a Python module outside these folders, which hold the project's own."""
    place = PurePosixPath(path)
    return plain(place.suffix) in (".py", ".pyc") and str(place.parent) not in folders


def shortfall(first: TestReport, tracked: Sequence[str], functions: int) -> str:
    """Why the first run of an untrusted recipe does not suffice; empty if it does."""
    files = set(tracked)
    passed = [test for test, outcome in first.outcomes.items() if outcome == "passed"]
    own = {test.partition("[")[0] for test in passed if test.partition("::")[0] in files}
    passing, of = len(own), functions
    if not functions:  # tests that no file spells out
        passing, of = len(passed), len(first.outcomes)
    if passing >= LEAST_COLLECTED * of:
        return ""
    return (
        f"{passing} of the {of} test functions in the project's files pass (needed: "
        f"{LEAST_COLLECTED:.0%}); those that are skipped, ignored or deselected count"
    )
