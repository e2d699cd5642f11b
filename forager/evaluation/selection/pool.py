"""Reads attempts of runs as submissions, and apart from them which ones are resolved."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import AliasChoices, BaseModel, Field

from forager.environments.environment import ComparesAnswers
from forager.environments.registry import environment_of
from forager.environments.task import Task
from forager.errors import UsageError
from forager.evaluation.findings.gather import RunSource
from forager.records import Record, parse_record


class PooledAttempt(Record):
    """An attempt as a selection sees it: what it hands in, and what that took.

    `canonical` is what equal answers have in common. `tokens` are those that the model wrote.
    """

    run: str
    id: str
    instance_id: str
    number: int = Field(description="Place among all attempts at the task, from 0.")
    answer: str
    canonical: str
    tokens: int

    @property
    def name(self) -> tuple[str, str]:
        """What identifies the attempt among several runs."""
        return self.run, self.id


class _AnswerOnly(BaseModel):
    answer: str = Field("", validation_alias=AliasChoices("answer", "patch"))


class _Attempt(BaseModel):
    outcome: _AnswerOnly


@dataclass(slots=True)
class Pool:
    """The submissions by task. `resolved` is for measuring, never for choosing."""

    tasks: dict[str, Task] = field(default_factory=dict)
    submissions: dict[str, list[PooledAttempt]] = field(default_factory=dict)
    resolved: dict[tuple[str, str], bool] = field(default_factory=dict)


def pool(sources: Iterable[tuple[RunSource, Mapping[str, Task]]]) -> Pool:
    """Read the attempts of all sources; each comes with its tasks. Raises UsageError.

    Attempts at a task are in the order of the sources and then of their numbers, however they were
    stored.
    """
    found: defaultdict[str, list[PooledAttempt]] = defaultdict(list)
    order: dict[str, None] = {}
    pooled = Pool()
    for source, tasks in sources:
        order.update(dict.fromkeys(tasks))
        for summary, line in source.index.entries(source.index.places(sort="attempt")):
            name = summary.instance_id
            if name not in tasks:
                raise UsageError(
                    f"{source.name} has no tasks.jsonl with {name}; give the run that made it"
                )
            if pooled.tasks.setdefault(name, tasks[name]) != tasks[name]:
                raise UsageError(f"{source.name} has another task {name} than the run before it")
            answer = parse_record(_Attempt, line).outcome.answer
            made = PooledAttempt(
                run=source.name,
                id=summary.id,
                instance_id=name,
                number=len(found[name]),
                answer=answer,
                canonical=_canonical(tasks[name], answer),
                tokens=summary.completion_tokens,
            )
            found[name].append(made)
            pooled.resolved[made.name] = summary.resolved
    pooled.submissions = {name: found[name] for name in order if name in found}
    pooled.tasks = {name: pooled.tasks[name] for name in pooled.submissions}
    return pooled


def _canonical(task: Task, answer: str) -> str:
    environment = environment_of(task)
    if isinstance(environment, ComparesAnswers):
        return environment.canonical(answer)
    return answer.strip()
