"""`forager tasks`: make tasks, and prove them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.attempts import read_tasks
from forager.cli.console import echo, print_json
from forager.cli.health import health
from forager.cli.image_tasks import image_tasks
from forager.cli.imports import import_tasks
from forager.cli.issue_fix import issue_fix
from forager.cli.mutate_fix import mutate_fix
from forager.cli.next_observation import next_observation
from forager.cli.progress import Progress
from forager.cli.task_views import list_tasks, show, stats
from forager.cli.termination import termination
from forager.cli.verb import Group, Verb
from forager.cli.write_tests import write_tests

if TYPE_CHECKING:
    from forager.environments.task import Task


@click.group(cls=Group)
def tasks() -> None:
    """Make tasks from projects and data sets, look at them, and prove them."""


@click.command(cls=Verb)
@click.argument("file", metavar="tasks.jsonl", type=options.PATH)
@options.workers
@options.limit
@options.as_json
def check(file: Path, limit: int | None, workers: int, as_json: bool) -> None:
    """Prove tasks again in fresh containers.

    With the bug, FAIL_TO_PASS must fail and PASS_TO_PASS must pass; with the reference patch all
    tests must pass. Of a task that is not a repository, the known answer must be right. The exit
    code is 1 if a task does not hold.

    \b
    Example:
      forager tasks check tasks.jsonl --limit 10
    """
    from concurrent.futures import ThreadPoolExecutor

    from forager.cli.outputs import CheckedTasks
    from forager.resumed import Lost, check_lost, made_or_lost
    from forager.threads import in_order

    def judge(task: "Task") -> str | Lost:
        return made_or_lost(lambda: _problem(task))

    chosen = read_tasks(file, limit)
    problems: dict[str, str] = {}
    lost: dict[str, str] = {}
    say_problem = (lambda _: None) if as_json else echo
    with Progress("tasks", len(chosen)) as progress, ThreadPoolExecutor(workers) as pool:
        judged = in_order(pool, judge, chosen, 2 * workers)
        for done, (task, problem) in enumerate(judged, 1):
            if isinstance(problem, Lost):
                lost[task.instance_id] = problem.why
            elif problem:
                problems[task.instance_id] = problem
                say_problem(f"{task.instance_id}: {problem}")
            progress.update(done, failed=len(problems))
    checked = len(chosen) - len(lost)
    hold = checked - len(problems)
    if as_json:
        print_json(CheckedTasks(tasks=checked, hold=hold, problems=problems).model_dump())
    else:
        echo(f"{hold} of {checked} tasks hold")
    check_lost("tasks", lost)
    if problems:
        raise click.exceptions.Exit(1)


def _problem(task: "Task") -> str:
    """What is wrong with a task, or ""."""
    from forager.environments.environment import KnowsReference
    from forager.environments.registry import environment_of
    from forager.environments.repository.task import RepositoryTask
    from forager.mutation.prove import check as prove_again
    from forager.sandboxes.docker_sandbox import docker_sandbox
    from forager.sandboxes.sandbox import Limits

    if isinstance(task, RepositoryTask):
        return prove_again(task)
    environment = environment_of(task)
    answer = environment.reference(task) if isinstance(environment, KnowsReference) else ""
    if not answer:
        return "no right answer is known"
    limits = environment.limits(task, Limits())
    grade = environment.grade(task, answer, limits, docker_sandbox)
    return "" if grade.resolved else f"its known answer is refused: {grade.cause}"


tasks.add_verbs(
    "Make",
    mutate_fix,
    issue_fix,
    image_tasks,
    import_tasks,
    write_tests,
    next_observation,
    termination,
)
tasks.add_verbs("Look", list_tasks, show, stats)
tasks.add_verbs("Prove", check, health)
