"""`forager serve`: serve a model with vLLM."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.batch import terminable
from forager.cli.console import echo, print_json, say
from forager.cli.derived import Derived, setting
from forager.cli.verb import Verb, option
from forager.errors import ServeError

if TYPE_CHECKING:
    from forager.learning.serve import ModelServer, ServeSettings

SERVE = Derived(
    "forager.learning.serve.settings:ServeSettings",
    {
        "Servers": [
            setting("served_model_name", metavar="NAME"),
            "replicas",
            setting("host", metavar="HOST"),
            setting("port", metavar="PORT"),
            setting("python", metavar="FILE"),
            setting("start_timeout", metavar="SECONDS"),
        ],
        "Model": [
            "max_model_len",
            setting("dtype", metavar="TYPE"),
            setting("chat_template", metavar="FILE"),
            setting("tool_call_parser", metavar="NAME"),
        ],
        "Machine": [
            "tensor_parallel_size",
            "gpu_memory_utilization",
            setting("cpu_kvcache_space", metavar="GIB"),
            setting("cpu_cores", metavar="CORES"),
        ],
    },
)
_LOOK_SECONDS = 1.0


@click.command(cls=Verb, settings=SERVE)
@click.argument("model", metavar="MODEL", type=options.PATH)
@click.argument("arguments", metavar="[-- VLLM…]", nargs=-1)
@option(
    "--log",
    metavar="DIR",
    type=options.PATH,
    help="Directory of the logs; by default serve-logs next to MODEL.",
)
@option(
    "--check",
    metavar="DATASET",
    type=options.PATH,
    help="Compare log-probabilities with the trainer's on samples of DATASET, print them, and end.",
)
@option(
    "--samples",
    metavar="N",
    type=click.IntRange(1),
    default=8,
    shown_default="8",
    help="Number of samples for --check.",
)
def serve(
    model: Path,
    arguments: tuple[str, ...],
    log: Path | None,
    check: Path | None,
    samples: int,
    **params: Any,
) -> None:
    """Serve a model with vLLM at an OpenAI-compatible address.

    MODEL is a directory, or owner/name of the Hugging Face Hub. The verb prints the addresses when
    all servers answer, and stops the servers when it ends, such as by Ctrl-C. Arguments after --
    go to vLLM.

    \b
    Example:
      forager serve training/model --port 8000 -- --max-num-seqs 64
    """
    from forager.learning.hub import check_model, hub_name, model_directory
    from forager.learning.serve import ModelServer

    settings: ServeSettings = SERVE.build({**SERVE.given(params), "arguments": list(arguments)})
    if name := hub_name(model):
        settings = settings.model_copy(
            update={"served_model_name": settings.served_model_name or name}
        )
    directory = log or (Path() if name else model.parent).absolute() / "serve-logs"
    model = model_directory(model)
    check_model(model)
    say(f"starting {settings.replicas} vLLM servers; logs in {directory}")
    with terminable(), ModelServer(model, settings, directory) as server:
        if check:
            _check(server, check, samples)
            return
        for url in server.urls:
            echo(f"{url}\t{server.name}")
        while True:
            time.sleep(_LOOK_SECONDS)
            server.check()


def _check(server: "ModelServer", dataset: Path, count: int) -> None:
    """Print how far server and trainer differ. Raises ServeError if they differ too much.

    Prompts are compared too: they begin with <bos> on both sides, or on neither.
    """
    from forager.learning.dataset import Dataset
    from forager.learning.serve.agreement import check_prompts, compare, expected

    for url in server.urls:
        check_prompts(url, server.name, server.model)
    data = Dataset(dataset)
    wanted: Sequence[list[int]] = [data[place].input_ids for place in range(min(count, len(data)))]
    (trainer,) = expected([server.model], wanted, server.settings.dtype)
    found = [compare(url, server.name, wanted, trainer) for url in server.urls]
    print_json([comparison.model_dump() for comparison in found])
    if not all(comparison.holds(server.settings.dtype) for comparison in found):
        raise ServeError("server and trainer differ: restart the server with the trained weights")
