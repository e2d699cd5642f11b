"""The recipe of an image: what to install, and how to run the tests.

A recipe is a short TOML file. `infer.py` infers from the project's own files what to install, and
`suite.py` asks pytest about the tests. `forager image show` prints the recipe; correct it by hand
and build again with `--recipe FILE`:

    system = ["libxml2-dev"]
    install = ["uv pip install -e '.[test]'", "uv pip install 'hypothesis>=6'"]
    tests = ["-o", "addopts=", "tests"]
    protected = ["tests", "conftest.py"]
    timeout = 600
    memory = "4g"

    [variables]
    TZ = "UTC"
"""

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import tomli_w
from pydantic import Field, field_validator

from forager.config import bytes_of, load_settings
from forager.environments.repository.services import checked
from forager.programs import PYTHONS
from forager.records import Record

_WITH_VALUE = set(  # pytest's options whose value may be the next word
    """
    -c --config-file -k -m -n -o --override-ini -p -r -W --pythonwarnings --basetemp --capture
    --code-highlight --color --confcutdir --deselect --doctest-glob --doctest-report --durations
    --durations-min --ignore --ignore-glob --import-mode --junit-xml --junitxml --junit-prefix
    --junitprefix --last-failed-no-failures --lfnf --log-auto-indent --log-cli-date-format
    --log-cli-format --log-cli-level --log-date-format --log-disable --log-file
    --log-file-date-format --log-file-format --log-file-level --log-file-mode --log-format
    --log-level --maxfail --pastebin --pdbcls --rootdir --show-capture --tb --verbosity
    """.split()  # noqa: SIM905
)
OWN_DIRECTORIES = set(
    """
    /bin /boot /dev /etc /home /lib /lib32 /lib64 /libx32 /media /mnt /opt /proc /root /run /sbin
    /srv /sys /testbed /tmp /usr /var
    """.split()  # noqa: SIM905
)
"""Directories at the root that belong to the system or to forager."""


class Recipe(Record):
    """How a source tree becomes an image whose tests run."""

    python: str = Field("", description='Python version, e.g. "3.12"; empty for the base\'s own.')
    system: list[str] = Field([], description="Debian packages to install.")
    install: list[str] = Field(
        [],
        description="Shell commands, run in /testbed by the user `agent`; use `uv pip install`.",
    )
    services: list[str] = Field(
        [],
        description="Services that run during the tests, such as postgresql, mysql, redis, "
        "rabbitmq, memcached; postgresql/NAME also makes a database.",
    )
    directories: list[str] = Field(
        [], description="Directories outside the project, such as /config, that belong to `agent`."
    )
    submodules: str = Field(
        "",
        description="Release, such as NAME==1.2, whose sdist has the files of git submodules.",
    )
    exclude_newer: str = Field(
        "", description="Date, such as 2024-05-01: install no package version uploaded later."
    )
    lock: str = Field(
        "",
        description="Lock file of the project, such as uv.lock, poetry.lock or Pipfile.lock, whose "
        "versions every install keeps to.",
    )
    variables: dict[str, str] = Field({}, description="Variables of the install and the tests.")
    tests: list[str] = Field([], description="Arguments of pytest: options and test paths.")
    protected: list[str] = Field(
        [], description="Paths whose changes are ignored in grading: tests, conftest.py files."
    )
    timeout: float = Field(600, gt=0, description="Seconds that the whole test suite may take.")
    memory: int = Field(
        2 << 30, ge=64 << 20, description='Memory of builds and tests: bytes, or "512m", "4g".'
    )
    untrusted: bool = Field(
        False, description="Whether a model wrote it: then it may not touch the tests or pytest."
    )

    @field_validator("memory", mode="before")
    @classmethod
    def _bytes(cls, value: Any) -> Any:
        try:
            return bytes_of(value) if type(value) is str else value
        except ValueError:  # which pydantic describes
            return value

    @field_validator("python")
    @classmethod
    def _version(cls, value: str) -> str:
        if value and not re.fullmatch(r"3\.\d+(\.\d+)?", value):
            raise ValueError("write it as in '3.12'")
        if value and int(value.split(".")[1]) < int(PYTHONS[0].split(".")[1]):
            raise ValueError(f"forager's programs need Python {PYTHONS[0]} or later")
        return value

    @field_validator("services")
    @classmethod
    def _services(cls, value: list[str]) -> list[str]:
        return checked(value)

    @field_validator("directories")
    @classmethod
    def _outside(cls, value: list[str]) -> list[str]:
        for name in value:
            top = f"/{name.strip('/').partition('/')[0]}"
            if not re.fullmatch(r"(/[\w][\w.-]*)+", name) or top in OWN_DIRECTORIES:
                raise ValueError(f"{name!r} is not a directory of your own at the root")
        return value

    @field_validator("submodules")
    @classmethod
    def _release(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z0-9][\w.-]*==[\w.!+-]+", value):
            raise ValueError("write it as in 'toolz==1.0.0'")
        return value

    @field_validator("exclude_newer")
    @classmethod
    def _date(cls, value: str) -> str:
        if value:
            date.fromisoformat(value)
        return value

    @field_validator("system")
    @classmethod
    def _packages(cls, value: list[str]) -> list[str]:
        for name in value:
            if not re.fullmatch(r"[a-z0-9][a-z0-9+.:=~_-]*", name):
                raise ValueError(f"{name!r} is not the name of a Debian package")
        return value

    @field_validator("protected")
    @classmethod
    def _relative(cls, value: list[str]) -> list[str]:
        return [_inside(name) for name in value]

    @field_validator("lock")
    @classmethod
    def _lock(cls, value: str) -> str:
        return _inside(value)


def _inside(name: str) -> str:
    """The path. Raises ValueError if it leads out of the project."""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise ValueError(f"{name!r} is not inside the project")
    return name


def options(arguments: Sequence[str]) -> list[str]:
    """The options among pytest's arguments: those that begin with a dash, and their values."""
    before = ["", *arguments]
    return [word for word, last in zip(arguments, before, strict=False) if _is_option(word, last)]


def paths(arguments: Sequence[str]) -> list[str]:
    """The paths among pytest's arguments: all words that `options` leaves."""
    before = ["", *arguments]
    words = zip(arguments, before, strict=False)
    return [word for word, last in words if not _is_option(word, last)]


def _is_option(word: str, before: str) -> bool:
    return word.startswith("-") or before in _WITH_VALUE


def load(path: Path) -> Recipe:
    """Read a recipe file; UsageError names the key that is wrong."""
    return load_settings(path, Recipe)


def dump(recipe: Recipe) -> str:
    """Write a recipe as TOML, with its keys explained; `load` reads it back."""
    width = max(map(len, Recipe.model_fields))
    header = [
        f"#   {name:<{width}}  {field.description}" for name, field in Recipe.model_fields.items()
    ]
    lines = ["# Correct it and build again with --recipe FILE.", *header, ""]
    return "\n".join(lines) + "\n" + tomli_w.dumps(recipe.model_dump())
