"""The resolved settings of a directory, which is only ever resumed with the same ones."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from forager.atomic import replace_text
from forager.config import settled
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
    """Write the settings, or refuse if the directory was made with different ones.

    `may_change` lists names, also TABLE.NAME. Settings of an earlier version are read by their
    earlier names; one that it did not have had its default. Raises UsageError and StoreError.
    """
    target, new = path / "settings.json", settings.model_dump(mode="json")
    if target.exists():
        known = settled(type(settings), read_settings(path), f"{target}: ")
        old = _without(known.model_dump(mode="json"), may_change)
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
