"""Shows a task: its statement, and what a person compares with an answer."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from forager.environments.environment import ExplainsTasks, KnowsReference
from forager.environments.task import REPOSITORY, Task
from forager.trajectories import draw

_TESTS = 20  # of a group that are listed unless all are asked for


def references(task: Task) -> Iterator[tuple[str, Text]]:
    """Yield title and text of what an answer is compared with: the bug, the reference answer."""
    from forager.environments.registry import environment_of  # some environments need the engine

    environment = environment_of(task)
    named: dict[str, str] = {}
    if isinstance(environment, ExplainsTasks):
        named = environment.explanation(task)
    elif isinstance(environment, KnowsReference):
        named = {"reference answer": environment.reference(task)}
    for title, text in named.items():
        if text.strip():
            yield title, answer_text(task.environment, text)


def answer_text(environment: str, answer: str) -> Text:
    """An answer in an environment; in a repository it is a patch."""
    return draw.diff(answer) if environment == REPOSITORY else Text(draw.safe(answer))


def answer_name(environment: str) -> str:
    """What answers in an environment are called."""
    return "patch" if environment == REPOSITORY else "answer"


def show_task(task: Task, *, full: bool = False) -> Iterator[RenderableType]:
    """Yield a task piece by piece, for a console to print; `full` disables folding."""
    yield draw.Block(Text("\n").join(_facts(task)), "")
    yield from draw.section(
        "problem statement", Text(draw.safe(task.problem_statement.strip())), full=full
    )
    for title, text in references(task):
        yield from draw.section(title, text, full=full)
    for name, tests in task.test_groups().items():
        shown = tests if full else tests[:_TESTS]
        more = f"\n… {len(tests) - len(shown):,} more, --full shows them" if shown != tests else ""
        text = Text(draw.safe("\n".join(shown)) + more)
        yield from draw.section(f"{name}, {len(tests):,} tests", text, full=full)


def _facts(task: Task) -> Iterator[Text]:
    labels = task.labels
    rows = [
        ("task", task.instance_id),
        ("kind", f"{task.kind}, environment {task.environment}"),
        ("project", labels.repository or task.repo),
        ("family", "/".join(filter(None, (labels.family, labels.operator)))),
        ("place", labels.location),
        ("difficulty", ", ".join(f"{name} {value:g}" for name, value in labels.difficulty.items())),
        ("image", task.image),
        ("source", task.source),
        ("licence", task.licence),
        ("warning", f"contaminated: {task.contaminated}" if task.contaminated else ""),
    ]
    for name, value in rows:
        if value:
            yield Text.assemble((f"{name:<11}", "dim"), draw.safe(value))
