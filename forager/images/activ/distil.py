"""From a frozen job to a recipe: pins, the project in place, variables, pytest's arguments.

Nothing of the container itself is kept: it holds copies of the project as often as not.
"""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import ValidationError

from forager.images.activ.arguments import Places, arguments
from forager.images.activ.frozen import FrozenPackage, FrozenTests
from forager.images.collection import CollectedFile
from forager.images.layout import project_name, read_text
from forager.images.recipe import Recipe
from forager.images.suite import protected_paths
from forager.sandboxes.sandbox import WORKDIR
from forager.text import safe
from forager.untrusted import Malformed, json_value

_MOST_PACKAGES, _MOST_SYSTEM, _MOST_VARIABLES = 500, 60, 40
_LONGEST = 1000  # characters of a value
_MOST_BUILDS = 50  # folders whose names are compared
_NOT_PINNED = {"pip", "uv", "pipx"}  # tools that environments bring
_NAME = re.compile(r"[A-Za-z0-9]([\w.-]{0,98}[A-Za-z0-9])?")
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|ACCESS_?KEY|AUTH|PRIVATE", re.I)
_OTHERS = re.compile(  # variables of machines and tools
    r"(GITHUB|RUNNER|ACTIONS|INPUT|ACT|TOX|NOX|PIP|PIPX|UV|PYTEST|COV|COVERAGE|CODECOV|HATCH|"
    r"POETRY|PDM|SSL|CURL|REQUESTS|GIT|LD|DEBIAN|DOCKER|AWS|VIRTUAL_ENV)_?.*|.*_(proxy|PROXY)|"
    r"PATH|HOME|PWD|OLDPWD|SHLVL|_|CI|USER|TERM|HOSTNAME|TMPDIR|LANG|PYTHONHOME|ImageOS|"
    r"FORCE_COLOR|NO_COLOR|PY_COLORS|COLUMNS|LINES|PS1|pythonLocation"
)
_EDITABLE = "--no-deps -e"
_EDITABLE_SINCE = "2023-01-01"  # when backends could install a project in place (PEP 660)
_GENERATES = re.compile(
    r"^(python\S* -m )?cython\b|^python\S* .*\bbuild_ext\b|\bgrpc_tools\b|"
    r"^make .*\b(cython|build|compile|ext|generate|inplace)"
)
_SETTINGS = ("tox.ini", "pyproject.toml", "setup.cfg", "noxfile.py", "Makefile", "pytest.ini")


class Tree(NamedTuple):
    """What distilling reads of the project on the host."""

    path: Path
    tracked: Sequence[str]
    texts: str
    """The vetted workflow and the settings of tools, in which variables are named."""


def tree_of(path: Path, tracked: Sequence[str], workflow: str) -> Tree:
    """Return the tree with the texts of its settings."""
    return Tree(
        path, tracked, "\n".join([workflow, *(read_text(path, name) for name in _SETTINGS)])
    )


def distilled(
    tests: FrozenTests,
    system: Iterable[str],
    tree: Tree,
    before: Recipe,
    python: str,
    day: str = "",
) -> Recipe:
    """Return the recipe of what a job installed; whatever is not plain is left out.

    `python` is the version of the base that the recipe before has. With a day, the project is
    built by what was uploaded before.
    """
    places = Places(tests)
    projects, others = _divided(tests.packages, places, tree)
    install = [f"uv pip install --no-deps {shlex.join(others)}"] if others else []
    dated = f" --exclude-newer {max(day, _EDITABLE_SINCE)}" if day else ""  # the build backend
    install += [f"uv pip install{dated} {_EDITABLE} {shlex.quote(place)}" for place in projects]
    if tests.runner == "unittest" and "DJANGO_SETTINGS_MODULE" in tests.variables:
        install.append("uv pip install pytest-django")
    wanted = dict.fromkeys([*before.system, *sorted(system)])
    variables = {**before.variables, **_variables(tests, places, tree)}
    if not projects and (path := _import_path(tests, places)):
        variables.setdefault("PYTHONPATH", path)
    changes = {
        "python": before.python if tests.python == python else tests.python,
        "exclude_newer": "",  # pins may be newer: each pip in the job dates as it can
        "system": [name for name in wanted if _is_valid("system", [name])][:_MOST_SYSTEM],
        "install": install,
        "variables": variables,
        "tests": arguments(tests, places),
        "protected": _protected(tests, places, tree),
    }
    kept = {key: value for key, value in changes.items() if _is_valid(key, value)}
    return before.model_copy(update=kept)


def _is_valid(key: str, value: object) -> bool:
    try:
        Recipe.model_validate({key: value})
    except ValidationError:
        return False
    return True


def _divided(
    packages: Sequence[FrozenPackage], places: Places, tree: Tree
) -> tuple[list[str], list[str]]:
    """The folders of the project's own distributions, and the requirements of all others."""
    own = canonicalize_name(project_name(tree.path))
    folders: dict[str, None] = {}
    others: dict[str, str] = {}
    for package in packages[:_MOST_PACKAGES]:
        if not package.name or not _NAME.fullmatch(package.name):
            continue
        name = canonicalize_name(package.name)
        folder = _folder(package, places, tree, name == own)
        if folder:
            folders[folder] = None
        elif name != own and name not in _NOT_PINNED:
            others.setdefault(name, _requirement(package))
    return sorted(folders), [others[name] for name in sorted(others)]


def _folder(package: FrozenPackage, places: Places, tree: Tree, own: bool) -> str:
    """The folder of a distribution that is built from the project's files; or empty."""
    where = places.inside(package.place) if package.place.startswith("/") else ""
    url = _direct_url(package)
    if url.scheme == "file":
        where = places.inside(unquote(url.path))
    elif "site-packages" in where:  # an environment within the tree
        where = ""
    if not where and not own:
        return ""
    builds = _builds(tree)
    for folder in [PurePosixPath(where), PurePosixPath(where).parent] if where else []:
        if str(folder) in builds:
            return _relative(str(folder))
    named = canonicalize_name(package.name or "")
    for name in builds[:_MOST_BUILDS]:
        if canonicalize_name(project_name(tree.path / name)) == named:
            return _relative(name)
    return "." if own and "." in builds else ""


def _relative(folder: str) -> str:
    return "." if folder == "." else f"./{folder}"


def _builds(tree: Tree) -> list[str]:
    """The folders of which something can be built, the uppermost first."""
    files = [PurePosixPath(name) for name in tree.tracked]
    found = {path.parent for path in files if path.name in ("pyproject.toml", "setup.py")}
    return [str(path) for path in sorted(found, key=lambda path: (len(path.parts), path))]


class _Url(NamedTuple):
    scheme: str
    path: str
    text: str


def _direct_url(package: FrozenPackage) -> _Url:
    try:
        stated = json_value(package.url, 4000) if package.url else {}
        text = str(stated.get("url", "")) if isinstance(stated, dict) else ""
        parts = urlsplit(text)
    except (Malformed, ValueError):
        return _Url("", "", "")
    if isinstance(stated.get("vcs_info"), dict):
        commit = str(stated["vcs_info"].get("commit_id", ""))
        text = f"git+{text}@{commit}" if re.fullmatch("[0-9a-f]{40}", commit) else ""
    return _Url(parts.scheme, parts.path, text)


def _requirement(package: FrozenPackage) -> str:
    url = _direct_url(package)
    if url.scheme == "https" and len(url.text) < 300 and "@" not in urlsplit(url.text).netloc:
        return f"{package.name} @ {url.text}"
    try:
        return f"{package.name}=={Version(package.version or '').public}"
    except InvalidVersion:
        return str(package.name)


def _variables(tests: FrozenTests, places: Places, tree: Tree) -> dict[str, str]:
    """The variables that the job or the project's tools set, without secrets."""
    kept = {
        name: places.moved(value)
        for name, value in tests.variables.items()
        if re.fullmatch(r"[A-Za-z_]\w{0,99}", name)
        and (name == "DJANGO_SETTINGS_MODULE" or re.search(rf"\b{name}\b", tree.texts))
        and not _OTHERS.fullmatch(name)
        and not _SECRET.search(name)
        and len(value) <= _LONGEST
        and safe(value) == value
        and "\n" not in value
    }
    return dict(sorted(kept.items())[:_MOST_VARIABLES])


def _import_path(tests: FrozenTests, places: Places) -> str:
    """What a project that is not installed needs on its path: folders of the project."""
    folders = [places.inside(entry, tests.directory) for entry in tests.path[:50]]
    inside = [folder for folder in folders if folder and not re.search(r"(^|/)\.\w|/bin$", folder)]
    found = dict.fromkeys(f"{WORKDIR}/{folder}" for folder in inside if folder != ".")
    if "." in inside:
        found[WORKDIR] = None
    return ":".join(found)


def _protected(tests: FrozenTests, places: Places, tree: Tree) -> list[str]:
    collected = {
        **{name: (0, count) for name, count in tests.doctests.items()},
        **{name: (count, 0) for name, count in tests.files.items()},
    }
    files = [
        CollectedFile(file=found, tests=count, doctests=doctests, error="")
        for name, (count, doctests) in collected.items()
        if (found := places.inside(name))
    ]
    return protected_paths(tree.tracked, files)


def variants(recipe: Recipe, job: dict[str, Any]) -> Iterator[tuple[Recipe, str]]:
    """Yield the recipe, and others with all tests or another way to build, with names."""
    yield recipe, "frozen job"
    if recipe.tests:  # a job may run a few tests first
        whole = recipe.model_copy(update={"tests": [], "protected": []})
        yield whole, "all tests with its packages"
    built = [command for command in recipe.install if _EDITABLE in command]
    rest = [command for command in recipe.install if _EDITABLE not in command]
    if built and (steps := _generating(job)):
        yield recipe.model_copy(update={"install": [*rest, *steps, *built]}), "its build steps too"
    if built:
        own = [command.replace(_EDITABLE, f"--no-build-isolation {_EDITABLE}") for command in built]
        yield recipe.model_copy(update={"install": [*rest, *own]}), "built with its packages"


def _generating(job: dict[str, Any]) -> list[str]:
    """The commands of a job that make files of the project from others."""
    steps = job.get("steps")
    texts = (
        [step.get("run") for step in steps if isinstance(step, dict)]
        if isinstance(steps, list)
        else []
    )
    lines = [line.strip() for text in texts if isinstance(text, str) for line in text.splitlines()]
    return [line for line in lines if _GENERATES.search(line) and "${{" not in line][:5]


def describe(tests: FrozenTests, recipe: Recipe) -> str:
    """One line about what was distilled."""
    pins = json.dumps(recipe.install).count("==")
    count = sum(tests.files.values()) + sum(tests.doctests.values())
    return f"{count} tests were about to start with {tests.runner}; {pins} packages pinned"
