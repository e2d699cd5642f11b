"""What `forager run` and `forager evaluate` share: the options of attempts, and making them."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forager.agent import SERVERLESS
from forager.cli.batch import terminable
from forager.cli.console import print_table, say
from forager.cli.derived import Derived, setting
from forager.cli.models import USUAL_KEYS, USUAL_URLS, MakeModel, endpoints
from forager.cli.progress import Progress
from forager.cli.values import Numbers, SandboxName, TextFile
from forager.errors import ModelError, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forager.agent.tool import Toolbox
    from forager.environments.task import Task
    from forager.rollout.settings import Branch, Budget, RunSettings
    from forager.tracking.tracking import Tracking
    from forager.trajectories.store import Run

ATTEMPTS = Derived(
    "forager.rollout.settings:RunSettings",
    {
        "Model": [
            setting("models", "-m", "--model", metavar="NAME"),
            setting("urls", "--url", metavar="URL"),
            "api",
            setting("key_env", metavar="NAME"),
            "syntax",
            setting("system", type=TextFile()),
            "token_ids",
        ],
        "Another agent": [
            setting("agent", metavar="COMMAND"),
            setting("agent_files", metavar="DIR"),
        ],
        "Attempts": [
            "attempts",
            "stop_after",
            setting("budget", metavar="FILE"),
            setting("limits.turns", "--max-turns"),
            setting("limits.tokens", "--max-tokens"),
            setting("limits.seconds", "--time-limit", metavar="SECONDS"),
            setting("limits.command_seconds", "--command-timeout", metavar="SECONDS"),
        ],
        "Sampling": [
            setting("temperatures", "--temperature", type=Numbers()),
            "sampling.top_p",
            setting("sampling.max_tokens", "--completion-tokens"),
            "sampling.seed",
            "sampling.stop",
            setting("sampling.extra_body", metavar="JSON"),
        ],
        "Sandboxes and machines": [
            setting("sandbox", type=SandboxName()),
            "warm",
            setting("images", metavar="PLACE"),
            "executor",
            setting("address", metavar="HOST:PORT"),
        ],
    },
)
"""The options of the verbs that make attempts."""


def run_settings(
    params: dict[str, Any], branch: "Branch | None" = None, usual: dict[str, Any] | None = None
) -> "RunSettings":
    """The resolved settings of a run, `usual` where no option is given. Raises UsageError."""
    values = _over(usual or {}, ATTEMPTS.given(params))
    models = list(dict.fromkeys(values["models"]))
    temperatures, api = values.pop("temperatures", []), values.get("api", "chat")
    if len(temperatures) == 1:
        values.setdefault("sampling", {})["temperature"] = temperatures[0]
    else:
        values["temperatures"] = temperatures
    values |= {
        "models": models,
        "urls": endpoints(models, values.get("urls") or USUAL_URLS.get(api, [])),
        "key_env": values.get("key_env", USUAL_KEYS.get(api, "OPENAI_API_KEY")),
        "workers": params["workers"],
        "branch": branch,
        "agent_files": _directories(values.get("agent_files", [])),
    }
    settings: RunSettings = ATTEMPTS.build(values)
    _check_prices(settings.budget, models)
    _check_agent(settings)
    _check_plugins(settings)
    if settings.token_ids and settings.api != "chat":
        raise UsageError("only chat completions return token ids: leave out --api or --token-ids")
    return settings


def _directories(given: list[str]) -> list[str]:
    """The directories by their whole paths. Raises UsageError."""
    for name in given:
        if not Path(name).is_dir():
            raise UsageError(f"--agent-files {name}: there is no such directory")
    return [str(Path(name).absolute()) for name in given]


def _check_plugins(settings: "RunSettings") -> None:
    """Raise UsageError for a model or a sandbox that no package provides."""
    from forager.agent.custom import custom_model, is_custom
    from forager.sandboxes.kinds import sandbox_kind

    for name in filter(is_custom, settings.models):
        custom_model(name)
    sandbox_kind(settings.sandbox)


def _check_agent(settings: "RunSettings") -> None:
    """Raise UsageError for options that do not go with --agent."""
    if settings.agent_files and not settings.agent:
        raise UsageError("--agent-files needs --agent COMMAND")
    if settings.agent and not SERVERLESS.isdisjoint(settings.models):
        raise UsageError(
            f"`-m {settings.models[0]}` knows forager's tools only; with --agent name a model that "
            "a server offers"
        )


def _over(usual: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The values that are given, and the usual ones of the others, tables included."""
    return {
        **usual,
        **{
            name: _over(usual[name], value)
            if isinstance(value, dict) and isinstance(usual.get(name), dict)
            else value
            for name, value in given.items()
        },
    }


def _check_prices(budget: "Budget", models: list[str]) -> None:
    from forager.agent.custom import needs_server

    lacking = [model for model in models if needs_server(model) and model not in budget.prices]
    if budget.money is not None and lacking:
        raise UsageError(
            f"the budget bounds the money and has no price of {lacking[0]!r}; add "
            f"[prices.{lacking[0]}] with prompt and completion, per million tokens, to --budget"
        )


def read_tasks(path: Path, limit: int | None) -> "list[Task]":
    """The tasks of a file, each once. Raises UsageError if there are none."""
    from itertools import islice

    from forager.environments.task import Task, no_tasks
    from forager.records import read_records
    from forager.rollout.plan import distinct

    chosen = list(islice(distinct(read_records(path, Task)), limit))
    if not chosen:
        raise no_tasks(path)
    return chosen


def make_attempts(
    settings: "RunSettings",
    tasks: "Sequence[Task]",
    output: Path,
    *,
    what: str = "attempts",
    preflight: bool = False,
    tracking: "Tracking | None" = None,
    at_end: "Callable[[Run], None]" = lambda _: None,
) -> None:
    """Make the missing attempts of a run, with progress on stderr; `at_end` receives the run.

    With `preflight` the endpoints are checked first. `tracking` gets the attempts that it lacks.
    """
    from forager.rollout.batch import run_batch
    from forager.rollout.plan import distinct
    from forager.rollout.settings import MAY_CHANGE
    from forager.tracking.following import follow, follow_attempt
    from forager.tracking.tracking import Tracking
    from forager.trajectories.store import Run
    from tools import load_toolbox

    tracking = tracking or Tracking(output, what)
    tasks, toolbox = list(distinct(tasks)), load_toolbox()
    model = MakeModel(settings, toolbox)
    with terminable(), Run.write(output, settings, tasks, may_change=MAY_CHANGE) as store:
        with store.index() as index:
            finished = len(index)
        follow(tracking, store)
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
                    on_note=progress.note,
                    on_attempt=partial(follow_attempt, tracking, store),
                    before=partial(_check, tasks, settings, model, toolbox, progress.note)
                    if preflight
                    else lambda: None,
                )
        finally:
            with suppress(StoreError):  # such as a full disk, which already ended the run
                follow(tracking, store)  # attempts that ended after an interruption
                at_end(store)


def tracked_run(
    settings: "RunSettings", output: Path, kind: str, trackers: "Sequence[str]"
) -> "Tracking":
    """The trackers of a run, which say on stderr if one fails."""
    from forager.tracking.tracking import Tracking

    return Tracking(output, kind, trackers, settings.model_dump(mode="json"), say)


def _check(
    tasks: "Sequence[Task]",
    settings: "RunSettings",
    model: MakeModel,
    toolbox: "Toolbox",
    on_note: Callable[[str], None],
) -> None:
    """Check the endpoints; what another machine finds may differ from what the nodes find."""
    from forager.rollout.preflight import preflight

    try:
        preflight(tasks, settings, model, toolbox, on_note)
    except ModelError as error:
        if settings.executor == "local":
            raise
        on_note(f"from this machine: {error}")


def print_families(run: "Run", *, accept_suspect: bool = False) -> None:
    """Print the results of a run by family, and its suspect attempts."""
    from forager.evaluation.report import family_table, report, suspect_table

    counted = report(run.summaries(accept_suspect=accept_suspect))
    print_table(family_table(counted))
    if counted.suspects:
        print_table(suspect_table(counted))
