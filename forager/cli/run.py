"""`forager run`: attempts at tasks."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.console import print_json, print_table
from forager.cli.progress import Progress
from forager.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from forager.agent.model import Model
    from forager.agent.tool import Toolbox
    from forager.environments.task import Task
    from forager.rollout.settings import RunSettings

REPAIR = "repair"


@click.command()
@click.argument("tasks", metavar="tasks.jsonl", type=click.Path(path_type=Path))
@options.output
@click.option(
    "-m",
    "--model",
    required=True,
    help="`repair` (needs no server), or a model of the endpoint at --url.",
)
@click.option("--url", help="OpenAI-compatible endpoint; $OPENAI_BASE_URL where not given.")
@click.option(
    "--key-env",
    default="OPENAI_API_KEY",
    show_default=True,
    help="Environment variable that holds the endpoint's key.",
)
@click.option("--attempts", type=click.IntRange(1), default=1, show_default=True, help="A task.")
@options.workers
@click.option("--max-turns", type=click.IntRange(1), help="Model calls of an attempt.")
@click.option("--max-tokens", type=click.IntRange(1), help="Prompt and completion of a call.")
@click.option("--time-limit", type=float, help="Seconds of an attempt, without its grading.")
@click.option("--command-timeout", type=float, help="Seconds of one bash command.")
@click.option("--temperature", type=float, help="Sampling temperature.")
@click.option("--top-p", type=click.FloatRange(0, 1), help="Nucleus sampling.")
@click.option("--completion-tokens", type=click.IntRange(1), help="Tokens of one answer.")
@click.option("--seed", type=int, help="Seed of the sampling; attempt i takes seed + i.")
@click.option("--stop", multiple=True, help="Text that ends an answer; can be repeated.")
@click.option("--extra-body", metavar="JSON", help="Object added to each request.")
@click.option(
    "--syntax",
    type=click.Choice(["functions", "text"]),
    default="functions",
    show_default=True,
    help="How the model writes calls.",
)
@click.option(
    "--sandbox",
    type=click.Choice(["docker", "bubblewrap"]),
    default="docker",
    show_default=True,
    help="Where commands run; bubblewrap needs no daemon.",
)
@click.option("--token-ids", is_flag=True, help="Keep token ids and log-probabilities (vLLM).")
@options.limit
@options.dry_run
def run(tasks: Path, output: Path, limit: int | None, dry_run: bool, **given: Any) -> None:
    """Attempt each task, grade each attempt in a fresh container, keep all of it in RUN.

    Run again, it makes the attempts that are missing.
    """
    from itertools import islice

    from forager.environments.task import Task
    from forager.records import read_records

    settings = _settings(given)
    chosen = list(islice(read_records(tasks, Task), limit))
    if not chosen:
        raise UsageError(f"{tasks} holds no tasks")
    if dry_run:
        _print_plan(settings, chosen, output)
    else:
        _run(settings, chosen, output)


def _settings(given: dict[str, Any]) -> "RunSettings":
    """The resolved settings; what was not given keeps the record's default."""
    from forager.rollout.settings import RunSettings
    from forager.trajectories.record import AttemptLimits, Sampling

    url = given["url"] or os.environ.get("OPENAI_BASE_URL") or ""
    if given["model"] != REPAIR and not url:
        raise UsageError(
            f"where is the model {given['model']!r}? Give --url http://HOST:PORT/v1 or set "
            "OPENAI_BASE_URL; `-m repair` needs no server"
        )
    limits = {
        "turns": given["max_turns"],
        "tokens": given["max_tokens"],
        "seconds": given["time_limit"],
        "command_seconds": given["command_timeout"],
    }
    sampling = {
        "temperature": given["temperature"],
        "top_p": given["top_p"],
        "max_tokens": given["completion_tokens"],
        "seed": given["seed"],
        "stop": list(given["stop"]) or None,
        "extra_body": _object(given["extra_body"] or "{}"),
    }
    named = ("model", "attempts", "workers", "syntax", "sandbox", "token_ids", "key_env")
    return RunSettings(
        **{name: given[name] for name in named},
        url="" if given["model"] == REPAIR else url,
        limits=AttemptLimits(**{name: one for name, one in limits.items() if one is not None}),
        sampling=Sampling(**sampling),
    )


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--extra-body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError('--extra-body is not a JSON object, such as {"top_k": 20}')
    return value


def _print_plan(settings: "RunSettings", tasks: "list[Task]", output: Path) -> None:
    from forager.trajectories.store import Run

    known = output / "settings.json"
    names = {task.instance_id for task in tasks}
    wanted = {f"{name}.{number}" for name in names for number in range(settings.attempts)}
    finished = Run(output).finished() & wanted if known.exists() else set()
    print_json(
        {
            "settings": settings.model_dump(mode="json"),
            "tasks": len(tasks),
            "attempts": len(wanted),
            "finished": len(finished),
        }
    )


def _run(settings: "RunSettings", tasks: "list[Task]", output: Path) -> None:
    from forager.rollout.batch import run_batch
    from forager.rollout.settings import MAY_CHANGE
    from forager.trajectories.report import family_table, report
    from forager.trajectories.store import Run
    from tools import load_toolbox

    toolbox = load_toolbox()
    with Run.write(output, settings, tasks, may_change=MAY_CHANGE) as store:
        finished = store.finished()
        total = len(tasks) * settings.attempts
        with Progress("attempts", total, start=len(finished)) as progress:
            run_batch(
                store,
                tasks,
                settings,
                model=_models(settings, toolbox),
                toolbox=toolbox,
                on_progress=progress.update,
            )
        print_table(family_table(report(store.summaries())))


def _models(settings: "RunSettings", toolbox: "Toolbox") -> "Callable[[int], Model]":
    """What makes the model of an attempt, given the attempt's number."""
    from forager.agent.syntax import SYNTAXES

    if settings.model == REPAIR:
        from forager.agent.repair import RepairModel
        from mutators import REVERSIBLE

        return lambda _: RepairModel(SYNTAXES[settings.syntax], toolbox, REVERSIBLE)

    from forager.agent.chat import ChatModel
    from forager.agent.endpoint import ChatEndpoint

    endpoint = ChatEndpoint(settings.url, os.environ.get(settings.key_env, ""))

    def make(attempt: int) -> "Model":
        seed = settings.sampling.seed
        sampling = settings.sampling.model_copy(
            update={"seed": None if seed is None else seed + attempt}
        )
        return ChatModel(settings.model, endpoint, sampling, settings.token_ids)

    return make
