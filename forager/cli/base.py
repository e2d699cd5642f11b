"""`forager base`: a small untrained model."""

import os
from pathlib import Path
from typing import Any

import click

from forager.cli import options
from forager.cli.console import print_json
from forager.cli.derived import Derived
from forager.cli.verb import Verb

BASE = Derived(
    "forager.learning.tiny:BaseSettings",
    {
        "Model": ["vocabulary", "layers", "width", "heads", "context", "copying", "seed"],
    },
)


@click.command(cls=Verb, settings=BASE)
@click.argument(
    "texts", metavar="TEXT…", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
@options.output("BASE", "Directory of the model.")
def base(texts: tuple[Path, ...], output: Path, **params: Any) -> None:
    """Make a tokenizer from texts, and an untrained transformer that fits it.

    TEXT is a file, a directory of files, or a run, whose messages are used. The result is a Hugging
    Face directory with a chat template, for `forager train` and `forager serve`. The same texts and
    settings give the same model.

    \b
    Example:
      forager base runs/repair -o base --layers 4 --width 256
    """
    from forager.learning.tiny import make_base
    from forager.learning.train.rank import accelerator

    settings = BASE.build(BASE.given(params))
    os.environ.update(accelerator())  # transformers imports DeepSpeed, which warns on stdout
    made = make_base(texts, output, settings)
    print_json(made.model_dump(mode="json", include={"vocabulary", "parameters", "digest"}))
