"""Settings: read from a user's TOML file, and kept with the directory that was made with them.

    load_settings(path, kind)        TOML file → settings
    resolve_settings(kind, given)    values by name → settings
    merged(table, overrides)         nested tables → one
    save_settings(directory, …)      settings → DIRECTORY/settings.json, or a refusal to resume
    saved_settings(directory)        DIRECTORY/settings.json → values by name
    bytes_of(text)                   a size such as 20GB → bytes

Whatever is wrong is one line that names the file and the key.
"""

import json
import math
import re
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import AliasChoices, BaseModel, ValidationError

from forager.atomic import replace_text
from forager.errors import UsageError
from forager.records import Record, describe_problem

M = TypeVar("M", bound=BaseModel)

SETTINGS = "settings.json"
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def load_toml(path: Path) -> dict[str, Any]:
    """Read the tables of a TOML file. Raises UsageError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None


def load_settings(path: Path, kind: type[M]) -> M:
    """Read settings from a TOML file. Raises UsageError that names the file and the key."""
    return resolve_settings(kind, load_toml(path), f"{path}: ")


def resolve_settings(kind: type[M], given: dict[str, Any], where: str = "") -> M:
    """Complete the values that are given with defaults, and check all of them.

    Raises UsageError that names the key; `where` stands before it.
    """
    try:
        settings = kind.model_validate(given)
    except ValidationError as error:
        raise UsageError(where + describe_problem(kind, error)) from None
    for name in _endless(settings.model_dump()):
        raise UsageError(f"{where}{name}: write a finite number")
    return settings


def _endless(values: Any, name: str = "") -> Iterator[str]:
    """The names of settings that are infinite or no number, such as train.learning_rate."""
    if isinstance(values, float) and not math.isfinite(values):
        yield name
    below = enumerate(values) if isinstance(values, list | tuple) else ()
    for key, value in values.items() if isinstance(values, dict) else below:
        yield from _endless(value, f"{name}.{key}".lstrip("."))


def current_names(kind: type[BaseModel], given: dict[str, Any]) -> dict[str, Any]:
    """Rename the settings that earlier versions called otherwise (`AliasChoices` of the fields)."""
    names = {
        earlier: name
        for name, field in kind.model_fields.items()
        if isinstance(field.validation_alias, AliasChoices)
        for earlier in field.validation_alias.choices
    }
    return {names.get(key, key): value for key, value in given.items()}


def merged(table: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Merge nested tables; `overrides` wins."""
    found = dict(table)
    for name, value in overrides.items():
        below = found.get(name)
        if isinstance(below, dict) and isinstance(value, dict):
            value = merged(below, value)
        found[name] = value
    return found


def saved_settings(directory: Path) -> dict[str, Any]:
    """Read the settings that a directory was made with. Raises UsageError."""
    path = directory / SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise UsageError(f"{path} is not a table of settings")
    return settings


def save_settings(
    directory: Path, settings: Record, may_change: Collection[str], *, resume: bool = True
) -> None:
    """Write settings.json, or refuse where the directory was made with other settings.

    Without `resume` there is nothing yet that they made, and other settings replace them.
    `may_change` lists names, also TABLE.NAME. Settings of an earlier version are read by their
    earlier names; one that it did not have had its default. Raises UsageError and StoreError.
    """
    path, new = directory / SETTINGS, settings.model_dump(mode="json")
    if path.exists():
        known = _known(directory, type(settings))
        old = _without(known.model_dump(mode="json"), may_change)
        now = _without(new, may_change)
        differences = [
            f"{name} is {json.dumps(old.get(name))} there and {json.dumps(now.get(name))} now"
            for name in sorted(old.keys() | now.keys())
            if resume and old.get(name) != now.get(name)
        ]
        if differences:
            raise UsageError(
                f"{directory} was made with other settings: {'; '.join(differences)}. "
                "Give the same ones to resume it, or another directory"
            )
    replace_text(path, json.dumps(new, indent=2) + "\n")


def _known(directory: Path, kind: type[M]) -> M:
    """The settings that a directory was made with. Raises UsageError if another verb made it."""
    try:
        return resolve_settings(kind, saved_settings(directory))
    except UsageError as error:
        raise UsageError(
            f"{directory} was made by another verb or version of forager ({error}); name another "
            "directory"
        ) from error


def _without(settings: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The settings but those of these names."""
    return {
        name: {key: below for key, below in value.items() if f"{name}.{key}" not in names}
        if isinstance(value, dict)
        else value
        for name, value in settings.items()
        if name not in names
    }


def bytes_of(text: str) -> int:
    """Read a size such as 20GB, 512m or 1024, in powers of 1,024. Raises ValueError."""
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,3})?) ?([kmgt]?)i?b?", text.strip().lower())
    if not found:
        raise ValueError(f"'{text}' is not a size: write it as in 20GB")
    return int(float(found[1]) * _UNITS[found[2]])
