"""What users type as the value of an option, when it is more than a word or a number."""

import json
from importlib.metadata import entry_points
from math import isfinite, nan
from pathlib import Path
from typing import Any

import click


class JsonObject(click.ParamType[dict[str, Any]]):
    """A JSON object."""

    name = "JSON"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        """The object."""
        try:
            found = json.loads(value)
        except ValueError as error:
            self.fail(f"{value!r} is not JSON: {error}.", param, ctx)
        if not isinstance(found, dict):
            self.fail(f'{value!r} is not a JSON object such as {{"top_k": 20}}.', param, ctx)
        return found


class Size(click.ParamType[int]):
    """A number of bytes, written as in 20GB."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The bytes."""
        from forager.config import bytes_of

        try:
            return value if isinstance(value, int) else bytes_of(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class Numbers(click.ParamType[list[float]]):
    """Numbers between commas."""

    name = "X[,X…]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[float]:
        """The numbers."""
        try:
            numbers = [float(text) for text in value.split(",")]
        except ValueError:
            numbers = [nan]
        if not all(map(isfinite, numbers)):
            self.fail(f"{value!r} is not a number, nor numbers between commas.", param, ctx)
        return numbers


class SandboxName(click.Choice[str]):
    """A kind of sandbox: one of forager's own, or one that another package adds."""

    def __init__(self) -> None:
        others = (entry.name for entry in entry_points(group="forager.sandboxes"))
        super().__init__(["docker", "bubblewrap", *others])


class TextFile(click.ParamType[str]):
    """The text of a file."""

    name = "FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text without white space at its ends."""
        try:
            return Path(value).read_text(encoding="utf-8").strip()
        except OSError as error:
            self.fail(f"cannot read {value}: {error.strerror}", param, ctx)
        except UnicodeDecodeError:
            self.fail(f"{value} is not a text in UTF-8", param, ctx)
