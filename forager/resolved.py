"""The resolved settings of a directory: what was begun with some goes on with the same."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from forager.atomic import replace_text
from forager.errors import UsageError
from forager.records import Record


def read_settings(path: Path) -> dict[str, Any]:
    """The settings that a directory was made with. Raises UsageError."""
    try:
        settings: dict[str, Any] = json.loads((path / "settings.json").read_text())
    except ValueError as error:
        raise UsageError(f"{path / 'settings.json'} is not JSON: {error}") from error
    return settings


def save_settings(path: Path, settings: Record, may_change: Collection[str]) -> None:
    """Write the settings, or refuse where those that are there say something else.

    One that may change is a name, or TABLE.NAME. A setting that there was not yet when they were
    written had its default. Raises UsageError and StoreError.
    """
    target, new = path / "settings.json", settings.model_dump(mode="json")
    if target.exists():
        old = _without(_defaults(settings) | read_settings(path), may_change)
        now = _without(new, may_change)
        differences = [
            f"{name} is {json.dumps(old.get(name))} there and {json.dumps(now.get(name))} now"
            for name in sorted(old.keys() | now.keys())
            if old.get(name) != now.get(name)
        ]
        if differences:
            raise UsageError(
                f"{path} was made with other settings: {'; '.join(differences)}. "
                "Give the same ones to resume it, or another directory"
            )
    replace_text(target, json.dumps(new, indent=2) + "\n")


def _without(settings: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The settings but those of these names."""
    return {
        name: {below: each for below, each in value.items() if f"{name}.{below}" not in names}
        if isinstance(value, dict)
        else value
        for name, value in settings.items()
        if name not in names
    }


def _defaults(settings: Record) -> dict[str, Any]:
    fields = type(settings).model_fields.items()
    values = {
        name: field.get_default(call_default_factory=True)
        for name, field in fields
        if not field.is_required()
    }
    return settings.model_copy(update=values).model_dump(mode="json", include=set(values))
