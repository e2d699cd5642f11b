"""What `forager run` and `forager evaluate` share: the options of attempts, and making them."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from forager.agent import SERVERLESS
from forager.cli import options
from forager.cli.batch import terminable
from forager.cli.console import print_table
from forager.cli.models import MakeModel, endpoints
from forager.cli.progress import Progress
from forager.errors import StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forager.environments.task import Task
    from forager.rollout.settings import Branch, Budget, RunSettings
    from forager.trajectories.store import Run

F = TypeVar("F", bound=Callable[..., Any])


def _finite(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    """JSON has no infinity: the settings, and each attempt, could not be read again."""
    if value is not None and not isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.")
    return value


OPTIONS = [
    options.output,
    click.option(
        "-m",
        "--model",
        "models",
        required=True,
        multiple=True,
        help="`repair` or `oracle` (it is given the reference patch), which need no server, or a "
        "model of the endpoint at --url; can be repeated.",
    ),
    options.url,
    options.key_env,
    click.option(
        "--attempts",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="At each task by each model.",
    ),
    click.option("--enough", type=click.IntRange(1), help="Successes after which a task is left."),
    options.workers,
    click.option(
        "--warm",
        type=click.IntRange(0),
        default=2,
        show_default=True,
        help="Sandboxes of an image that are started before they are wanted, at most.",
    ),
    click.option(
        "--budget",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="What the run may spend, and how fast: tokens, money by a table of prices, seconds, "
        "requests_per_minute, concurrent_requests (TOML).",
    ),
    click.option("--max-turns", type=click.IntRange(1), help="Model calls of an attempt."),
    click.option("--max-tokens", type=click.IntRange(1), help="Prompt and completion of a call."),
    click.option(
        "--time-limit",
        type=float,
        callback=_finite,
        help="Seconds of an attempt, without its grading.",
    ),
    click.option(
        "--command-timeout", type=float, callback=_finite, help="Seconds of one bash command."
    ),
    click.option(
        "--temperature",
        metavar="T[,T…]",
        help="Sampling temperature; of several the first attempt takes the first, and so on, and "
        "all that are left take the last.",
    ),
    click.option(
        "--top-p", type=click.FloatRange(0, 1), callback=_finite, help="Nucleus sampling."
    ),
    click.option("--completion-tokens", type=click.IntRange(1), help="Tokens of one answer."),
    click.option("--seed", type=int, help="Seed of the sampling; attempt i takes seed + i."),
    click.option("--stop", multiple=True, help="Text that ends an answer; can be repeated."),
    click.option("--extra-body", metavar="JSON", help="Object added to each request."),
    click.option(
        "--syntax",
        type=click.Choice(["functions", "text"]),
        default="functions",
        show_default=True,
        help="How the model writes calls.",
    ),
    click.option(
        "--system",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="System prompt; {instructions} in it becomes how calls are written. forager's own "
        "where not given.",
    ),
    click.option(
        "--sandbox",
        type=click.Choice(["docker", "bubblewrap"]),
        default="docker",
        show_default=True,
        help="Where commands run; bubblewrap needs no daemon.",
    ),
    click.option(
        "--executor",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Where attempts are made: in this process, or on the nodes of a Ray cluster, which "
        "all see RUN.",
    ),
    click.option(
        "--address", default="", help="Of the Ray cluster; the one of this machine where not given."
    ),
    click.option(
        "--images",
        metavar="PLACE",
        default="",
        help="Registry, or directory of archives (`docker save`), for images that a machine lacks.",
    ),
    click.option("--token-ids", is_flag=True, help="Keep token ids and log-probabilities (vLLM)."),
]


def attempt_options(verb: F) -> F:
    """Give a verb the options that say who makes attempts, and how."""
    for option in reversed(OPTIONS):
        verb = option(verb)
    return verb


def run_settings(given: dict[str, Any], branch: "Branch | None" = None) -> "RunSettings":
    """The resolved settings; what was not given keeps the record's default."""
    from forager.agent.loop import SYSTEM
    from forager.rollout.settings import Budget, RunSettings
    from forager.trajectories.record import AttemptLimits, Sampling

    models = list(dict.fromkeys(given["models"]))
    limits = {
        "turns": given["max_turns"],
        "tokens": given["max_tokens"],
        "seconds": given["time_limit"],
        "command_seconds": given["command_timeout"],
    }
    temperatures = _numbers(given["temperature"] or "")
    sampling = {
        "temperature": temperatures[0] if len(temperatures) == 1 else None,
        "top_p": given["top_p"],
        "max_tokens": given["completion_tokens"],
        "seed": given["seed"],
        "stop": list(given["stop"]) or None,
        "extra_body": _object(given["extra_body"] or "{}"),
    }
    budget = Budget.read(given["budget"]) if given["budget"] else Budget()
    _check_prices(budget, models, given["budget"])
    named = ["attempts", "enough", "workers", "warm", "executor", "address", "images"]
    named += ["syntax", "sandbox", "token_ids", "key_env"]
    return RunSettings(
        **{name: given[name] for name in named},
        models=models,
        system=_text(given["system"]) if given["system"] else SYSTEM,
        urls=endpoints(models, given["urls"]),
        branch=branch,
        budget=budget,
        temperatures=temperatures if len(temperatures) > 1 else [],
        limits=AttemptLimits(**{name: one for name, one in limits.items() if one is not None}),
        sampling=Sampling(**sampling),
    )


def _check_prices(budget: "Budget", models: list[str], path: Path) -> None:
    lacking = [model for model in models if model not in SERVERLESS and model not in budget.prices]
    if budget.money is not None and lacking:
        raise UsageError(
            f"{path} bounds the money and has no price of {lacking[0]!r}; add [prices.{lacking[0]}]"
            " with prompt and completion, of a million tokens"
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def _numbers(text: str) -> list[float]:
    try:
        numbers = [float(one) for one in text.split(",")] if text else []
    except ValueError:
        numbers = [nan]
    if not all(map(isfinite, numbers)):
        raise UsageError(f"--temperature {text!r} is not a number, nor some between commas")
    return numbers


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--extra-body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError('--extra-body is not a JSON object, such as {"top_k": 20}')
    return value


def read_tasks(path: Path, limit: int | None) -> "list[Task]":
    """The tasks of a file, each once. Raises UsageError where there are none."""
    from itertools import islice

    from forager.environments.task import Task
    from forager.records import read_records
    from forager.rollout.plan import distinct

    chosen = list(islice(distinct(read_records(path, Task)), limit))
    if not chosen:
        raise UsageError(f"{path} holds no tasks")
    return chosen


def make_attempts(
    settings: "RunSettings",
    tasks: "Sequence[Task]",
    output: Path,
    *,
    what: str = "attempts",
    at_end: "Callable[[Run], None]" = lambda _: None,
) -> None:
    """Make the attempts that a run lacks, with progress on stderr; `at_end` sees what there is."""
    from forager.rollout.batch import run_batch
    from forager.rollout.plan import distinct
    from forager.rollout.settings import MAY_CHANGE
    from forager.trajectories.store import Run
    from tools import load_toolbox

    tasks, toolbox = list(distinct(tasks)), load_toolbox()
    model = MakeModel(settings, toolbox, os.environ.get(settings.key_env, ""))
    with terminable(), Run.write(output, settings, tasks, may_change=MAY_CHANGE) as store:
        with store.index() as index:
            finished = len(index)
        total = len(tasks) * len(settings.numbers)
        try:
            with Progress(what, total, start=finished) as progress:
                run_batch(
                    store,
                    tasks,
                    settings,
                    model=model,
                    toolbox=toolbox,
                    on_progress=progress.update,
                )
        finally:
            with suppress(StoreError):  # of a full disk, which is what has ended the run
                at_end(store)


def print_families(run: "Run") -> None:
    """Print what a run came to, by family."""
    from forager.evaluation.report import family_table, report

    print_table(family_table(report(run.summaries())))
