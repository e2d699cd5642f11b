"""Settings that a user writes, mostly as TOML: one clear line where something in them is wrong."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import AliasChoices, BaseModel, ValidationError

from forager.errors import UsageError

M = TypeVar("M", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises UsageError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}") from None


def read_settings(path: Path, kind: type[M]) -> M:
    """The settings in a TOML file. Raises UsageError that names the file and the key."""
    return settled(kind, read_toml(path), f"{path}: ")


def current_names(kind: type[BaseModel], given: dict[str, Any]) -> dict[str, Any]:
    """Rename the settings that earlier versions called otherwise (`AliasChoices` of the fields)."""
    names = {
        earlier: name
        for name, field in kind.model_fields.items()
        if isinstance(field.validation_alias, AliasChoices)
        for earlier in field.validation_alias.choices
    }
    return {names.get(key, key): value for key, value in given.items()}


def settled(kind: type[M], given: dict[str, Any], where: str = "") -> M:
    """The settings that are given; `where` stands before the key that UsageError names."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = f"no such key; there are {', '.join(_keys(kind, first['loc'][:-1]))}"
        raise UsageError(where + (f"{key}: {message}" if key else message)) from None


def _keys(kind: type[BaseModel], table: tuple[int | str, ...]) -> list[str]:
    """The keys of a table within the settings."""
    for name in table:
        field = kind.model_fields.get(str(name))
        inner = field and field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            kind = inner
    return list(kind.model_fields)
