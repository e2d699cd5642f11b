"""`forager base`: a model from nothing."""

import os
from pathlib import Path
from typing import Any

import click

from forager.cli import options
from forager.cli.console import print_json


@click.command()
@click.argument(
    "texts", metavar="TEXT…", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
@options.output
@click.option("--vocabulary", type=int, help="Tokens, at most; 2048 where not given.")
@click.option("--layers", type=int, help="4 where not given.")
@click.option("--width", type=int, help="Of the hidden states; 256 where not given.")
@click.option("--heads", type=int, help="Of the attention; each 64 wide where not given.")
@click.option("--context", type=int, help="Tokens of the longest sequence; 2048 where not given.")
@click.option(
    "--copying/--no-copying",
    default=None,
    help="Whether heads are set so that the model begins with the ability to copy; they are where "
    "not said otherwise.",
)
@click.option("--seed", type=int, help="Seed of the weights; 0 where not given.")
def base(texts: tuple[Path, ...], output: Path, **given: Any) -> None:
    """Make a tokenizer of texts, and an untrained transformer that fits it.

    TEXT is a file, a directory of files, or a run, of which the messages are taken. The result is
    a Hugging Face directory with a chat template, which `forager train` and `forager serve` take.
    """
    from pydantic import ValidationError

    from forager.errors import UsageError
    from forager.learning.tiny import BaseSettings, make_base
    from forager.learning.train.start import accelerator

    os.environ.update(accelerator())  # transformers imports DeepSpeed, which else warns on stdout

    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        settings = BaseSettings(**chosen)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"--{first['loc'][0]}: " if first["loc"] else ""
        raise UsageError(f"{where}{first['msg'].removeprefix('Value error, ')}") from error
    made = make_base(texts, output, settings)
    print_json(made.model_dump(mode="json", include={"vocabulary", "parameters", "digest"}))
