"""Options that are fields of a settings record, which declares each of them once.

A field gives its option the name, type, bounds, choices, default and description. A verb's table
says only where the two differ: a shorter name, a metavar, another way to read the value.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args, get_origin

import click

from forager.cli.values import JsonObject
from forager.cli.verb import Option
from forager.errors import UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

_METAVARS = {int: "N", float: "X", str: "TEXT", Path: "FILE"}


class Setting(NamedTuple):
    """A field as an option; a nested field is written as limits.turns."""

    field: str
    names: tuple[str, ...]
    metavar: str | None
    type: click.ParamType[Any] | None

    @property
    def spelling(self) -> str:
        """The long name of the option, such as --max-turns."""
        return max(self.names, key=len)

    @property
    def key(self) -> str:
        """The name under which click passes the value to the verb."""
        return self.spelling.lstrip("-").replace("-", "_")


def setting(
    field: str,
    *names: str,
    metavar: str | None = None,
    type: click.ParamType[Any] | None = None,
) -> Setting:
    """A field as an option, which has the field's own name if no other is given."""
    return Setting(field, names or (_long(field.rpartition(".")[2]),), metavar, type)


class Derived:
    """The options of a verb that are fields of a record, by heading.

    `record` is "module:Class", so that the record is imported only when it is needed.
    """

    def __init__(self, record: str, table: Mapping[str, Sequence[Setting | str]]) -> None:
        self._record = record
        self._table = {
            heading: [setting(entry) if isinstance(entry, str) else entry for entry in entries]
            for heading, entries in table.items()
        }

    @cached_property
    def record(self) -> "type[BaseModel]":
        """The class of the record."""
        module, _, name = self._record.partition(":")
        kind: type[BaseModel] = getattr(import_module(module), name)
        return kind

    @cached_property
    def _settings(self) -> list[Setting]:
        return [entry for entries in self._table.values() for entry in entries]

    def options(self) -> list[Option]:
        """The options, in the order of the table."""
        return [
            _option(entry, heading, _field(self.record, entry.field), self._default(entry))
            for heading, entries in self._table.items()
            for entry in entries
        ]

    def _default(self, entry: Setting) -> Any:
        """The default of a field; None for a required field and for a table without a default."""
        name, *inner = entry.field.split(".")
        field = self.record.model_fields[name]
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        for name in inner:
            default = getattr(default, name, None)
        return default

    def given(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The values that the user gave, nested as in the record."""
        found: dict[str, Any] = {}
        for entry in self._settings:
            if (value := params[entry.key]) is not None and value != ():
                *tables, name = entry.field.split(".")
                table = found
                for inner in tables:
                    table = table.setdefault(inner, {})
                table[name] = list(value) if isinstance(value, tuple) else value
        return found

    def build(self, values: Mapping[str, Any]) -> Any:
        """The record of these values. Raises UsageError that names the option."""
        from forager.config import resolve_settings

        spellings = {entry.field: entry.spelling for entry in self._settings}
        try:
            return resolve_settings(self.record, dict(values))
        except UsageError as error:
            key, colon, message = str(error).partition(": ")
            raise UsageError(f"{spellings.get(key, key)}{colon}{message}") from None


def _option(entry: Setting, heading: str, field: "FieldInfo", default: Any) -> Option:
    kind, many = _kind_of(field)
    shown: dict[str, Any] = {
        "heading": heading,
        "former": _former(field),
        "shown_default": "" if entry.type else _shown(default, entry),
        "help": field.description,
    }
    if kind is bool:
        on_by_default = field.get_default() is True
        names = [_with_off(name) if on_by_default else name for name in entry.names]
        return Option(names, is_flag=True, default=None, **shown)
    return Option(
        entry.names,
        required=field.is_required(),
        multiple=many and entry.type is None,
        type=entry.type or _type_of(kind, field),
        metavar=None if entry.type else entry.metavar or _METAVARS.get(kind),
        **shown,
    )


def _with_off(name: str) -> str:
    return f"{name}/--no-{name.removeprefix('--')}"


def _field(record: "type[BaseModel]", path: str) -> "FieldInfo":
    name, _, rest = path.partition(".")
    field = record.model_fields[name]
    return _field(_kind_of(field)[0], rest) if rest else field


def _kind_of(field: "FieldInfo") -> tuple[Any, bool]:
    """The type of a value, None aside, and whether there may be several values."""
    kind = field.annotation
    parts = [part for part in get_args(kind) if part is not NoneType]
    if NoneType in get_args(kind):
        (kind,) = parts
    many = get_origin(kind) is list
    if many:
        kind = get_args(kind)[0]
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind, many


def _type_of(kind: Any, field: "FieldInfo") -> click.ParamType[Any]:
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if get_origin(kind) is dict:
        return JsonObject()
    bounds = _bounds(field)
    if kind is int:
        return click.IntRange(**bounds) if bounds else click.INT
    if kind is float:
        return click.FloatRange(**bounds) if bounds else click.FLOAT
    if kind is Path:
        return click.Path(path_type=Path)
    return click.STRING if kind is str else _settings_file(kind)


def _settings_file(kind: "type[BaseModel]") -> click.ParamType[Any]:
    from forager.config import load_settings

    return click.types.FuncParamType(lambda path: load_settings(Path(path), kind))


def _bounds(field: "FieldInfo") -> dict[str, Any]:
    """The bounds as click's ranges take them; nothing if there are none."""
    found = {
        name: getattr(limit, name)
        for limit in field.metadata
        for name in ("ge", "gt", "le", "lt")
        if hasattr(limit, name)
    }
    return found and {
        "min": found.get("ge", found.get("gt")),
        "max": found.get("le", found.get("lt")),
        "min_open": "gt" in found,
        "max_open": "lt" in found,
    }


def _shown(default: Any, entry: Setting) -> str:
    """The default as help shows it; nothing for a flag that is off, and for what has none."""
    if default is True:
        return entry.spelling.removeprefix("--")
    if isinstance(default, float):
        return f"{default:,.10g}"
    if isinstance(default, int):
        return f"{default:,}" if default is not False else ""
    return default if isinstance(default, str) else ""


def _former(field: "FieldInfo") -> list[str]:
    """The spellings that the option had earlier: the other names under which files may have it."""
    from pydantic import AliasChoices

    names = field.validation_alias
    return (
        [_long(str(name)) for name in names.choices[1:]] if isinstance(names, AliasChoices) else []
    )


def _long(field: str) -> str:
    return f"--{field.replace('_', '-')}"
