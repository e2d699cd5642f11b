"""`forager serve`: a model behind an OpenAI-compatible address, by vLLM."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli.batch import terminable
from forager.cli.console import print_json, say
from forager.errors import ServeError

if TYPE_CHECKING:
    from forager.learning.serve import Server

_COUNT = click.IntRange(min=1)
_PATH = click.Path(path_type=Path)
_LOOK_SECONDS = 1.0


@click.command()
@click.argument("model", metavar="MODEL", type=_PATH)
@click.argument("arguments", metavar="[-- VLLM…]", nargs=-1)
@click.option("--name", default="", help="What it is asked for by; else its own name.")
@click.option("--replicas", type=_COUNT, default=1, show_default=True, help="Servers of it.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where they listen.")
@click.option("--port", type=int, help="Of the first, the others follow; else free ones.")
@click.option("--python", default="", help="A Python that has vLLM; else forager's own.")
@click.option("--context", type=_COUNT, help="Tokens of prompt and completion at most.")
@click.option("--dtype", default="", help="Of the weights in use; else what they are kept in.")
@click.option("--devices", type=_COUNT, default=1, show_default=True, help="GPUs of a replica.")
@click.option("--gpu-memory", type=float, help="Share of a GPU's memory that it takes.")
@click.option("--cpu-cache", type=_COUNT, default=1, show_default=True, help="GiB, on a CPU.")
@click.option("--cpu-cores", default="", help="On a CPU: cores of each replica, as 0-1|2-3.")
@click.option("--chat-template", default="", help="A file; else the model's own.")
@click.option("--tool-parser", default="", help="vLLM's parser of tool calls, such as hermes.")
@click.option("--start-seconds", type=float, default=900.0, show_default=True, help="To answer.")
@click.option("--log", type=_PATH, help="Directory of the logs; else serve-logs beside MODEL.")
@click.option(
    "--check",
    metavar="DATASET",
    type=_PATH,
    help="Compare log-probabilities with the trainer's on samples of it, print this, and end.",
)
@click.option("--samples", type=_COUNT, default=8, show_default=True, help="For --check.")
def serve(
    model: Path,
    arguments: tuple[str, ...],
    log: Path | None,
    check: Path | None,
    samples: int,
    **given: Any,
) -> None:
    """Serve MODEL, a directory or owner/name of the Hugging Face Hub, until Ctrl-C.

    The addresses are printed once all answer. Nothing of the servers outlives this command. What
    stands behind -- is given to vLLM as it is.
    """
    from forager.learning.hub import hub_name, model_directory
    from forager.learning.serve import Server, ServeSettings

    settings = ServeSettings(**given, arguments=list(arguments))
    if name := hub_name(model):
        settings = settings.model_copy(
            update={"served_model_name": settings.served_model_name or name}
        )
    directory = log or (Path() if name else model.parent).absolute() / "serve-logs"
    model = model_directory(model)
    say(f"starting {settings.replicas} of vLLM; logs in {directory}")
    with terminable(), Server(model, settings, directory) as server:
        if check:
            _check(server, check, samples)
            return
        for url in server.urls:
            click.echo(f"{url}\t{server.name}")
        while True:
            time.sleep(_LOOK_SECONDS)
            server.check()


def _check(server: "Server", dataset: Path, count: int) -> None:
    """Print how far server and trainer differ. Raises ServeError where that is too far."""
    from forager.learning.dataset import Dataset
    from forager.learning.serve.agreement import compare, expected

    data = Dataset(dataset)
    wanted: Sequence[list[int]] = [data[place].ids for place in range(min(count, len(data)))]
    trainer = expected(server.model, wanted, server.settings.dtype)
    found = [compare(url, server.name, wanted, trainer) for url in server.urls]
    print_json([one.model_dump() for one in found])
    if not all(one.holds for one in found):
        raise ServeError("trainer and server differ: other weights, or other code of the model")
