"""The recipe of an image: what to install, and how to run the tests.

A recipe is a short TOML file. `infer.py` infers it from the project's own files. `forager image
show` prints it; correct it by hand and build again with `--recipe FILE`:

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
from pathlib import Path, PurePosixPath
from typing import Any

import tomli_w
from pydantic import Field, field_validator

from forager.config import load_settings
from forager.programs import PYTHONS
from forager.records import Record

_WITH_VALUE = ("-c", "-k", "-m", "-o", "-p", "-W", "--ignore", "--ignore-glob", "--deselect",
               "--import-mode", "--rootdir", "--confcutdir")  # fmt: skip
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class Recipe(Record):
    """How a source tree becomes an image whose tests run."""

    python: str = Field("", description='Python version, e.g. "3.12"; empty for the base\'s own.')
    system: list[str] = Field([], description="Debian packages to install.")
    install: list[str] = Field(
        [],
        description="Shell commands, run in /testbed by the user `agent`; use `uv pip install`.",
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

    @field_validator("memory", mode="before")
    @classmethod
    def _bytes(cls, value: Any) -> Any:
        matched = re.fullmatch(r"(\d+) ?([kmg]?)b?", value.lower()) if type(value) is str else None
        return int(matched[1]) * _UNITS[matched[2]] if matched else value

    @field_validator("python")
    @classmethod
    def _version(cls, value: str) -> str:
        if value and not re.fullmatch(r"3\.\d+(\.\d+)?", value):
            raise ValueError("write it as in '3.12'")
        if value and int(value.split(".")[1]) < int(PYTHONS[0].split(".")[1]):
            raise ValueError(f"forager's programs need Python {PYTHONS[0]} or later")
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
        for name in value:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise ValueError(f"{name!r} is not inside the project")
        return value


def options(arguments: Sequence[str]) -> list[str]:
    """The options among pytest's arguments: those that begin with a dash, and their values."""
    found: list[str] = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if argument.startswith("-") or before in _WITH_VALUE:
            found.append(argument)
    return found


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
