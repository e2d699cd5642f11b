"""`forager base`: a small untrained model, or a pretrained one with a smaller vocabulary."""

import os
from pathlib import Path
from typing import Any

import click

from forager.cli import options
from forager.cli.console import print_json
from forager.cli.derived import Derived
from forager.cli.verb import Verb, option
from forager.errors import UsageError

BASE = Derived(
    "forager.learning.base:BaseSettings",
    {
        "Model from nothing": [
            "vocabulary",
            "layers",
            "width",
            "heads",
            "context",
            "copying",
            "trace_tokens",
            "seed",
        ],
    },
)


@click.command(cls=Verb, settings=BASE)
@click.argument(
    "texts", metavar="TEXT…", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
@options.output("BASE", "Directory of the model.")
@option(
    "--from",
    "model",
    metavar="MODEL",
    type=options.PATH,
    help="Cut the vocabulary of this model instead: a directory, owner/name of the Hub, or a file "
    "in GGUF.",
)
def base(texts: tuple[Path, ...], output: Path, model: Path | None, **params: Any) -> None:
    """Make a tokenizer from texts, and an untrained transformer that fits it.

    TEXT is a file, a directory of files, or a run, whose messages are used. The result is a Hugging
    Face directory with a chat template, for `forager train` and `forager serve`. The same texts and
    settings give the same model.

    With --from the model is a pretrained one, of whose vocabulary the tokens stay that the texts
    use. It tokenizes the texts as before, and can still encode any other text.

    \b
    Examples:
      forager base runs/repair -o base --layers 4 --width 256
      forager base runs/repair -o base --from google/gemma-3-270m
    """
    from forager.learning.cutting import cut_base
    from forager.learning.tiny import make_base
    from forager.learning.train.rank import accelerator

    given = BASE.given(params)
    settings = BASE.build(given)
    os.environ.update(accelerator())  # transformers imports DeepSpeed, which warns on stdout
    os.environ["TQDM_DISABLE"] = "1"  # bars of packages
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if model is None:
        made = make_base(texts, output, settings)
    elif given:
        raise UsageError(f"--from MODEL decides the sizes: leave out {', '.join(sorted(given))}")
    else:
        made = cut_base(model, texts, output)
    shown = {"vocabulary", "parameters", "before", "after", "digest"}
    print_json(made.model_dump(mode="json", include=shown, exclude_none=True))
