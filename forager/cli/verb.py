"""Verbs and their help: options under headings, verbs grouped by what a person does."""

import errno
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import click

from forager.cli.console import echo, say
from forager.errors import ForagerError, LoggedError, StoreError, UsageError

_FILE_ERRORS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
    *(errno.EEXIST, errno.ENOTEMPTY, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.EBUSY, errno.EXDEV, errno.ESTALE, errno.ENOLCK),
    *(errno.ENOSYS, errno.EOPNOTSUPP, errno.EMFILE, errno.ENFILE),
}

_RESUMES = "forager.resumes"
_OUTPUTS = ("output", "kept")  # parameters whose files a verb writes
_RUNS = ("runs", "directories")  # whose directories are read only: an evaluation may read its own
_FOREIGN = ("where", "programs")  # whose files are no records
_OWN = ("settings.json", "tasks.jsonl", "traces.jsonl", "index.sqlite")  # of runs and traces
OPTIONS = "Options"
"""The heading of the options that name no other."""


class Option(click.Option):
    """An option that knows its heading, its former spellings, and how to show its default."""

    def __init__(
        self,
        *arguments: Any,
        heading: str = OPTIONS,
        former: Sequence[str] = (),
        shown_default: str = "",
        **attributes: Any,
    ) -> None:
        super().__init__(*arguments, **attributes)
        self.heading, self.former, self._shown_default = heading, former, shown_default

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Accept the former spellings too; help does not show them."""
        super().add_to_parser(parser, ctx)
        for name in self.former:
            if self.is_flag:
                _add_switch(parser, self, name, True)
                _add_switch(parser, self, f"--no-{name.removeprefix('--')}", False)
            else:
                parser.add_option(self, [name], self.name, action="store", nargs=1)

    def get_help_extra(self, ctx: click.Context) -> Any:
        """What stands in brackets behind the help: the default of the settings record."""
        extra = super().get_help_extra(ctx)
        if self._shown_default:
            extra["default"] = self._shown_default
        return extra


class OptionSource(Protocol):
    """Gives a verb its options when somebody asks for them."""

    def options(self) -> list[Option]:
        """The options."""
        ...


class Verb(click.Command):
    """A command whose options are partly fields of settings records.

    The records are imported when somebody asks for the options, so that `forager --help` answers
    at once.
    """

    def __init__(self, *arguments: Any, settings: OptionSource | None = None, **attributes: Any):
        self._settings, self._params = settings, list[click.Parameter]()
        super().__init__(*arguments, **attributes)

    @property
    def params(self) -> list[click.Parameter]:
        """The options of the settings record, then the declared ones."""
        if self._settings:
            derived, self._settings = self._settings, None
            self._params[:0] = derived.options()
        return self._params

    @params.setter
    def params(self, declared: list[click.Parameter]) -> None:
        self._params = declared

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; one that writes somewhere goes on when it is typed again."""
        ctx.meta[_RESUMES] = bool(ctx.params.get("output"))
        _check_outputs(ctx.params)
        _tell_of_torn(ctx.params)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings, `--help` last among those without one."""
        sections: dict[str, list[tuple[str, str]]] = {OPTIONS: []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record and isinstance(param, click.Option):
                sections.setdefault(getattr(param, "heading", OPTIONS), []).append(record)
        _write_sections(formatter, sections.items())


class Group(click.Group):
    """Verbs under headings, each with the first sentence of its help."""

    command_class = Verb

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **{"subcommand_metavar": "VERB …", **attributes})
        self.headings: dict[str, list[str]] = {}

    def add_verbs(self, heading: str, *verbs: click.Command) -> None:
        """Add verbs under a heading, in this order."""
        for verb in verbs:
            self.add_command(verb)
            self.headings.setdefault(heading, []).append(str(verb.name))

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names of the verbs in the order of the help."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs under their headings."""
        headings = self.headings or {"Verbs": self.list_commands(ctx)}
        _write_sections(
            formatter,
            [
                (heading, [self._line(name) for name in names])
                for heading, names in headings.items()
            ],
        )

    def _line(self, name: str) -> tuple[str, str]:
        return name, self.commands[name].get_short_help_str(limit=1000)


class Forager(Group):
    """A group whose errors are one line on stderr.

    The exit code is 2 for what the user must settle (input, files, disk), 1 for other errors.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "forager"
            say(f"{error.format_message().rstrip('.')} (see `{path} --help`)")
            ctx.exit(2)
        except ForagerError as error:
            say(str(error))
            if isinstance(error, LoggedError) and error.log:
                echo(error.log.rstrip(), stderr=True)
            ctx.exit(2 if isinstance(error, UsageError | StoreError) else 1)
        except ModuleNotFoundError as error:
            if not (extra := _extra_of(error.name or "")):
                raise
            say(f"this needs {error.name}: pip install -e '.[{extra}]'")
            ctx.exit(2)
        except OSError as error:
            if not _is_of_files(error):
                raise
            say(_described(error))
            ctx.exit(2)
        except KeyboardInterrupt:
            say(f"interrupted{'; the same command resumes' if ctx.meta.get(_RESUMES) else ''}")
            ctx.exit(130)


def _check_outputs(params: Mapping[str, Any]) -> None:
    """Raise UsageError if what is written is an input, or belongs to an input directory."""
    outputs = [path for name in _OUTPUTS if isinstance(path := params.get(name), Path)]
    inputs = [
        (name, path)
        for name, value in params.items()
        for path in (value if isinstance(value, tuple | list) else [value])
        if name not in _OUTPUTS and isinstance(path, Path) and path.exists()
    ]
    for output in filter(Path.exists, outputs):
        for name, given in inputs:
            if given.samefile(output) and (name in _RUNS or output.is_file()):
                raise UsageError(f"{output} is an input as well; name another one to write")
            if output.name in _OWN and given.is_dir() and given.samefile(output.parent):
                raise UsageError(f"{output} is a part of {given}; name another file to write")


def _tell_of_torn(params: Mapping[str, Any]) -> None:
    """Say which files of records end in a line that is cut off: readers leave it out."""
    from forager.records import is_torn

    for name, value in params.items():
        for path in value if isinstance(value, tuple | list) else [value]:
            if name in (*_OUTPUTS, *_FOREIGN) or not isinstance(path, str | Path):
                continue
            if str(path).endswith(".jsonl") and Path(path).is_file() and is_torn(Path(path)):
                say(f"{path}: the last line is cut off and left out")


def _extra_of(module: str) -> str:
    """The extra of forager that installs a missing module; empty for a module of no extra."""
    from importlib.metadata import requires

    name = module.partition(".")[0].replace("_", "-").lower()
    for required in requires("forager-agent") or ():
        package, _, extra = required.partition("; extra == ")
        if re.split(r"[^\w.-]", package)[0].replace("_", "-").lower() == name and extra:
            return extra.strip("'\"")
    return ""


def _is_of_files(error: OSError) -> bool:
    """Whether a file, directory or disk is the cause, and not a connection or a pipe."""
    return error.errno in _FILE_ERRORS


def _described(error: OSError) -> str:
    """One line, such as "cannot use /mnt/x: Read-only file system"."""
    path = error.filename2 or error.filename
    file = os.fsdecode(path) if isinstance(path, str | bytes) else "a file"
    return f"cannot use {file}: {error.strerror}"


def _add_switch(parser: Any, switch: Option, name: str, value: bool) -> None:
    parser.add_option(switch, [name], switch.name, action="store_const", const=value)


def _write_sections(
    formatter: click.HelpFormatter, sections: Iterable[tuple[str, list[tuple[str, str]]]]
) -> None:
    for heading, lines in sections:
        if lines:
            with formatter.section(heading):
                formatter.write_dl(lines)


def option(*names: str, **attributes: Any) -> Callable[[Any], Any]:
    """`click.option` for an Option."""
    return click.option(*names, cls=Option, **attributes)
