"""What to install, from the project's own files."""

import re
import shlex
from collections.abc import Collection, Iterable
from pathlib import Path

from packaging.utils import canonicalize_name

from forager.errors import SourceError
from forager.images.layout import (
    import_root,
    is_installable,
    may_hold_tests,
    project_name,
    stated_repository,
)
from forager.images.recipe import Recipe
from forager.images.requirements import Stated, parse, runtime_file, stated_requirements
from forager.sandboxes.sandbox import WORKDIR

_TESTING = re.compile(r"(unit[-_]?)?(tests?|testing|pytest)([-_].*)?$|.*[-_]tests?$", re.IGNORECASE)
_DEVELOPING = re.compile(r"dev(el|elop|elopment)?$", re.IGNORECASE)
OTHER_EXTRAS = re.compile(
    r"(check|cover(age)?|enabler|typ(e|es|ing|echeck(ing)?)|lint(ing)?|style|format(ting)?|docs?|"
    r"mypy|ruff|build|release|benchmarks?|pre-?commit)$",
    re.IGNORECASE,
)
_OTHER_TASKS = set(  # in development groups, useless for a test run
    """
    bandit black build bump2version bumpversion check-manifest codecov codespell commitizen
    coverage coveralls cython-lint flake8 furo hatch hatchling interrogate ipdb ipython isort
    mkdocs mkdocs-material mypy myst-parser nox pip pip-tools pre-commit pycodestyle
    pydocstyle pylint pyright pytest-black pytest-checkdocs pytest-cov pytest-enabler
    pytest-flake8 pytest-ruff pytest-xdist pyupgrade readme-renderer ruff setuptools-scm
    sphinx sphinx-copybutton sphinx-rtd-theme towncrier tox tox-uv twine virtualenv wheel
    zest-releaser
    """.split()  # noqa: SIM905
)


def infer(directory: Path) -> Recipe:
    """Infer the recipe of a project; raises SourceError when it holds no tests.

    `tests` and `protected` stay empty: once the project is installed, pytest says where tests are.
    """
    if not may_hold_tests(directory):
        raise SourceError(
            "no tests found (no test function, conftest.py or setting of pytest for other tests): "
            "give a source that holds them, such as "
            + (stated_repository(directory) or "the project's git repository")
        )
    extras, requirements = _test_requirements(directory)
    requirements = _unique(requirements)
    installable = is_installable(directory)
    root = f"{WORKDIR}/{import_root(directory)}".rstrip("/")
    return Recipe(
        install=_commands(directory, extras, requirements, installable=installable),
        variables={} if installable else {"PYTHONPATH": root},
    )


def _commands(
    directory: Path, extras: list[str], requirements: list[str], *, installable: bool
) -> list[str]:
    """Write the install commands: the project first, so that no dependency brings a copy of it."""
    commands = []
    if installable:
        project = f".[{','.join(extras)}]" if extras else "."
        commands.append(f"uv pip install -e {_quoted(project)}")
    else:
        requirements = _unique([*runtime_file(directory), *requirements])
    if requirements:
        commands.append(f"uv pip install {' '.join(map(_quoted, requirements))}")
    return commands


def _quoted(word: str) -> str:
    """Quote a word for the shell so that a marker stays readable."""
    return f'"{word}"' if "'" in word and not re.search(r'["$`\\]', word) else shlex.quote(word)


def _test_requirements(directory: Path) -> tuple[list[str], list[str]]:
    """Return the project's extras and the requirements that its tests need.

    Test extras are installed as extras. Development groups count only if there are no others, and
    without the tools for other tasks (linters, docs).
    """
    stated = list(stated_requirements(directory))
    known = {canonicalize_name(entry.group) for entry in stated if entry.extras == [entry.group]}
    chosen = [entry for entry in stated if _TESTING.match(entry.group)]
    extras = _known_extras(chosen, known)
    texts = [
        text for entry in chosen if entry.extras != [entry.group] for text in entry.requirements
    ]
    if not extras and not texts:
        developing = [entry for entry in stated if _DEVELOPING.match(entry.group)]
        extras = _known_extras(
            [entry for entry in developing if entry.extras != [entry.group]], known
        )
        texts = [text for entry in developing for text in entry.requirements]
    unwanted = {*_OTHER_TASKS, canonicalize_name(project_name(directory))}
    return list(dict.fromkeys(extras)), [
        text for text in texts if _name(text) not in unwanted and text != "pytest"
    ]


def _known_extras(stated: Iterable[Stated], known: Collection[str]) -> list[str]:
    """The extras that the project has, as tox and nox may name one that is gone.

    Those for other tasks than tests bring plug-ins that check style while pytest collects.
    """
    return [
        name
        for entry in stated
        for name in entry.extras
        if canonicalize_name(name) in known and not OTHER_EXTRAS.match(name)
    ]


def _unique(requirements: Iterable[str]) -> list[str]:
    """Keep the first requirement of each distribution and environment marker."""
    kept: dict[tuple[str, str], str] = {}
    for text in requirements:
        parsed = parse(text)
        if parsed:
            kept.setdefault((canonicalize_name(parsed.name), str(parsed.marker)), text)
    return list(kept.values())


def _name(requirement: str) -> str:
    parsed = parse(requirement)
    return canonicalize_name(parsed.name) if parsed else ""
