"""`forager evaluate`: how many tasks a model resolves, and how many more than another."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.attempts import (
    ATTEMPTS,
    make_attempts,
    print_families,
    read_tasks,
    run_settings,
    tracked_run,
)
from forager.cli.console import echo, print_json, print_table, say
from forager.cli.imports import image_for_programs
from forager.cli.runs import cost_of
from forager.cli.verb import Verb, option
from forager.errors import UsageError

if TYPE_CHECKING:
    from forager.environments.task import Task
    from forager.evaluation.estimates import Estimate
    from forager.evaluation.passing import EvaluationResult
    from forager.learning.bootstrap.split import By
    from forager.rollout.settings import RunSettings
    from forager.tracking.tracking import Tracking


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Tasks to attempt, with the settings of the attempts and each k of pass@k."""

    name: str
    tasks: "list[Task]"
    settings: "RunSettings"
    ks: list[int]


@dataclass(frozen=True, slots=True)
class Measuring:
    """How the attempts of a benchmark are measured, and the run with which they are compared."""

    by: "By"
    against: Path | None
    accept_suspect: bool

    def others(self, tasks: "list[Task]") -> dict[str, float]:
        """The success rates of the other run by task. Raises UsageError if it shares no task."""
        if not self.against:
            return {}
        found = self.rates(self.against)
        if not any(task.instance_id in found for task in tasks):
            raise UsageError(
                f"{self.against} has no attempts at any of these tasks; give another --against"
            )
        return found

    def rates(self, run: Path) -> dict[str, float]:
        """The success rates of a run by task."""
        from forager.learning.bootstrap.manifest import success_by_task
        from forager.trajectories.store import Run

        return success_by_task(Run(run), accept_suspect=self.accept_suspect)


@click.command(cls=Verb, settings=ATTEMPTS)
@click.argument("what", metavar="SUITE|tasks.jsonl…", nargs=-1, required=True)
@options.output("RUN", "Directory of the run; of several suites, RUN/SUITE each.")
@options.workers
@options.limit
@option(
    "--data",
    metavar="[SUITE=]FILE|NAME",
    multiple=True,
    help="Rows of a suite: a file, or a data set of the Hub. Can be repeated.",
)
@option(
    "--image",
    metavar="REFERENCE",
    help="Image in which programs run, for suites that need one; forager's base by default.",
)
@option(
    "--against",
    metavar="RUN",
    type=options.PATH,
    help="Compare with the attempts of this run at the same tasks, task by task.",
)
@option(
    "--by",
    type=click.Choice(["function", "repository"]),
    default="function",
    shown_default="function",
    help="What makes tasks alike; the standard errors are clustered by it.",
)
@options.preflight
@options.trackers
@options.accept_suspect
@options.as_json
def evaluate(
    what: tuple[str, ...],
    output: Path,
    against: Path | None,
    by: "By",
    limit: int | None,
    data: tuple[str, ...],
    image: str | None,
    preflight: bool,
    trackers: tuple[str, ...],
    accept_suspect: bool,
    as_json: bool,
    **params: Any,
) -> None:
    """Measure a model's success rate, with a confidence interval.

    It attempts each task as `forager run` does and prints the share of resolved attempts with its
    95 % interval, pass@k, tokens and cost; with --against, also the gain over another run. SUITE is
    a benchmark that ships (cruxeval-o, cruxeval-i, humaneval, humaneval-x-cpp, mbpp, livecodebench,
    math-500, gsm8k, aime, complexity, complexity-space, next-observation, termination,
    swe-bench-verified) or a TOML file. The same command resumes an interrupted evaluation.

    \b
    Examples:
      forager evaluate tasks.jsonl -o runs/new -m qwen --url http://127.0.0.1:8000/v1 \\
          --against runs/old
      forager evaluate cruxeval-o gsm8k -o runs/qwen -m qwen --url http://127.0.0.1:8000/v1 \\
          --data cruxeval-o=cruxeval.jsonl --data gsm8k=test.jsonl
    """
    benchmarks = list(_benchmarks(what, data, image, limit, params))
    found = {}
    for benchmark in benchmarks:
        several = len(benchmarks) > 1
        place = output / benchmark.name if several else output
        other = against / benchmark.name if against and several else against
        if several and not as_json:
            echo(f"\n{benchmark.name}")
        with tracked_run(benchmark.settings, place, "evaluation", trackers) as tracking:
            found[benchmark.name] = _evaluate(
                benchmark,
                place,
                Measuring(by, other, accept_suspect),
                tracking,
                preflight=preflight,
                as_json=as_json,
            )
    if as_json:
        print_json(found if len(found) > 1 else next(iter(found.values())))


def _benchmarks(
    what: tuple[str, ...],
    data: tuple[str, ...],
    image: str | None,
    limit: int | None,
    params: dict[str, Any],
) -> Iterator[Benchmark]:
    """What to evaluate. Raises UsageError before any attempt is made."""
    from collections import Counter

    from tasks.suite import BenchmarkSuite, load_suite, suite_tasks

    loaded: dict[str, BenchmarkSuite | None] = {}
    for name in what:
        is_file = not name.endswith(".toml") and Path(name).is_file()
        suite = None if is_file or name.endswith(".jsonl") else load_suite(name)
        loaded[suite.name if suite else name] = suite
    given = _data(data, [name for name, suite in loaded.items() if suite])
    for name, suite in loaded.items():
        settings = run_settings(params, usual=suite.settings() if suite else None)
        if len(settings.models) > 1:
            raise UsageError(
                "an evaluation takes one model; give one -m, and another -o for the next"
            )
        if not suite:
            tasks, ks = read_tasks(Path(name), limit), [1]
        else:
            refused: Counter[str] = Counter()
            place = image_for_programs(image) if suite.runs else ""
            tasks = suite_tasks(suite, given.get(name, ""), place, refused, limit)
            for reason, count in refused.most_common():
                say(f"{name}: {count:,} rows refused: {reason}")
            ks = [k for k in suite.metric if k <= settings.attempts]
        yield Benchmark(Path(name).stem, tasks, settings, ks)


def _data(data: tuple[str, ...], suites: list[str]) -> dict[str, str]:
    """The rows of each suite. Raises UsageError."""
    found = {}
    for text in data:
        name, equals, where = text.partition("=")
        if not equals or name not in suites:
            if len(suites) != 1:
                raise UsageError(
                    f"--data {text} names no suite of the command: write --data SUITE={text}"
                )
            name, where = suites[0], text
        found[name] = where
    return found


def _evaluate(
    benchmark: Benchmark,
    output: Path,
    measuring: Measuring,
    tracking: "Tracking",
    *,
    preflight: bool,
    as_json: bool,
) -> dict[str, Any]:
    """Make the attempts of a benchmark and print what they resolved."""
    from forager.cli.outputs import EvaluatedTasks
    from forager.evaluation.estimates import difference, estimate
    from forager.evaluation.passing import evaluated
    from forager.learning.bootstrap.split import clusters
    from forager.tracking.following import follow_result
    from forager.trajectories.store import Run

    accept_suspect, others = measuring.accept_suspect, measuring.others(benchmark.tasks)
    show = (lambda _: None) if as_json else partial(print_families, accept_suspect=accept_suspect)
    make_attempts(
        benchmark.settings,
        benchmark.tasks,
        output,
        preflight=preflight,
        tracking=tracking,
        at_end=show,
    )
    alike = clusters(benchmark.tasks, measuring.by)
    rates = {task: rate for task, rate in measuring.rates(output).items() if task in alike}
    summaries = Run(output).summaries(accept_suspect=accept_suspect)
    result = evaluated(summaries, alike, benchmark.ks, cost_of(output))
    found = {"success": estimate(rates, alike)}
    found |= {f"pass@{k}": value for k, value in result.pass_at.items() if k > 1}
    if measuring.against:
        found["gain"] = difference(rates, others, alike)
    follow_result(tracking, {name: value.mean for name, value in found.items()}, result.attempts)
    if not as_json:
        _print(found, result)
    values = {**found, **result.model_dump(exclude={"pass_at"})}
    return EvaluatedTasks.model_validate(values).model_dump()


def _print(found: "dict[str, Estimate]", result: "EvaluationResult") -> None:
    """Such as: success 41.0 % (95 %: 33.2 % to 48.8 %), 120 tasks; and what it took."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("", "mean", "95 %, from", "to", "tasks"):
        table.add_column(title, justify="left" if not title else "right")
    for name, value in found.items():
        shares = (value.mean, value.low, value.high)
        sign = "+" if name == "gain" else ""
        table.add_row(name, *(f"{share:{sign}.1%}" for share in shares), str(value.tasks))
    echo()
    print_table(table)
    money = "" if result.money is None else f", cost {result.money:,.2f}"
    echo(
        f"{result.attempts:,} attempts, {result.prompt_tokens:,} prompt and "
        f"{result.completion_tokens:,} completion tokens{money}"
    )
