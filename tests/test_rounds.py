"""The parts of a bootstrap: split, draw, estimates, settings."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from forager.environments.repository.mutation import Mutation, Part
from forager.environments.repository.task import RepositoryTask
from forager.errors import UsageError
from forager.evaluation.estimates import difference, estimate
from forager.learning.bootstrap.draw import draw
from forager.learning.bootstrap.loop import learned_from
from forager.learning.bootstrap.manifest import Promotion, Round
from forager.learning.bootstrap.settings import BootstrapSettings
from forager.learning.bootstrap.split import clusters, places_of, split
from forager.trajectories.summary import Summary


def task(
    number: int, *functions: str, repo: str = "kata", operator: str = "swap"
) -> RepositoryTask:
    """A task with bugs in these functions."""
    parts = [
        Part(family="operators", operator=operator, file="a.py", function=function, line=1)
        for function in functions
    ]
    mutation = Mutation(
        family="operators",
        operator=operator,
        file="a.py",
        function=functions[0],
        line=1,
        seed=0,
        parts=parts if len(parts) > 1 else [],
    )
    return RepositoryTask(
        instance_id=f"{repo}.{number}",
        repo=repo,
        base_commit="",
        problem_statement="",
        patch="",
        FAIL_TO_PASS=[],
        PASS_TO_PASS=[],
        mutation=mutation,
    )


def summary(instance_id: str, resolved: bool) -> Summary:
    """An attempt at a task."""
    return Summary(
        id=f"{instance_id}.0",
        instance_id=instance_id,
        attempt=0,
        model="m",
        family="operators",
        operator="swap",
        kind="mutate-fix",
        repo="kata",
        resolved=resolved,
        exit_reason="submitted",
        turns=3,
        reward=1 if resolved else -1,
        similarity=0.0,
        seconds=1.0,
        prompt_tokens=1,
        completion_tokens=1,
    )


TASKS = [task(number, f"f{number % 20}") for number in range(100)]


@pytest.mark.parametrize("seed", range(5))
def test_no_function_is_on_both_sides(seed: int) -> None:
    """No training task has a bug in a held-out function, even next to another bug."""
    tasks = [*TASKS, *(task(100 + n, f"f{n}", f"f{n + 7}") for n in range(10))]
    made = split(tasks, by="function", held_out=20, seed=seed)
    named = {task.instance_id: set(places_of(task)) for task in tasks}
    assert len(made.held_out) >= 20
    assert sorted(made.held_out + made.training + made.straddling) == sorted(named)
    apart = set().union(*(named[task] for task in made.held_out))
    assert not apart & set().union(*(named[task] for task in made.training))


def test_repositories_are_held_out_whole() -> None:
    """`by = repository` splits between repositories only."""
    tasks = [task(n, "f", repo=f"repo{n % 4}") for n in range(40)]
    made = split(tasks, by="repository", held_out=15, seed=1)
    assert len(made.held_out) == 20
    assert not {n.split(".")[0] for n in made.held_out} & {n.split(".")[0] for n in made.training}


def test_too_few_tasks_are_refused() -> None:
    """Holding out every task is refused."""
    with pytest.raises(UsageError, match="hold out fewer"):
        split(TASKS, by="function", held_out=100, seed=0)


def test_tasks_of_the_wanted_pass_rate_are_drawn_more_often() -> None:
    """Tasks within the range of pass rates are drawn more often; the seed decides the draw."""
    kinds = {"easy": 1.0, "fair": 0.5, "never": 0.0}
    tasks = [task(n, f"f{n}", operator=list(kinds)[n % 3]) for n in range(300)]
    coin = Random(0)
    attempts = [
        summary(task.instance_id, coin.random() < kinds[task.mutation.operator])
        for task in tasks[:120]
        if task.mutation
    ]
    drawn = draw(tasks, 90, attempts, band=(0.2, 0.8), seed=3)
    operators = {
        candidate.instance_id: candidate.mutation.operator
        for candidate in tasks
        if candidate.mutation
    }
    found = Counter(operators[candidate.instance_id] for candidate in drawn)
    assert found["fair"] > 2 * max(found["easy"], found["never"])
    assert found["easy"] and found["never"]
    assert drawn == draw(tasks, 90, attempts, band=(0.2, 0.8), seed=3)
    assert drawn != draw(tasks, 90, attempts, band=(0.2, 0.8), seed=4)


def test_what_the_data_shows_is_drawn_less_often() -> None:
    """A task that the data solves is drawn less often than one that it does not."""
    taught = {task.instance_id for task in TASKS[:50]}
    drawn = draw(TASKS, 40, [], taught=taught, band=(0.2, 0.8), seed=1)
    assert len(drawn) == 40
    assert sum(task.instance_id in taught for task in drawn) < 10


@pytest.mark.parametrize(
    ("data", "init", "expected"),
    [("all", "base", [2]), ("all", "last", [2]), ("round", "last", [0, 2]), ("round", "base", [])],
)
def test_what_taught_the_model_is_not_drawn_again(
    data: str, init: str, expected: list[int]
) -> None:
    """A model that goes on learned from each promoted round; one data set of all holds them all."""
    settings = BootstrapSettings.model_validate(
        {"tasks": ["t.jsonl"], "base": "model", "data": data, "init": init}
    )
    made: Any = Round.model_construct
    judged: Any = Promotion.model_construct
    rounds = [
        made(number=n, promotion=judged(accepted=accepted))
        for n, accepted in enumerate([True, False, True])
    ]
    assert learned_from(settings, rounds) == expected
    assert learned_from(settings, []) == []


def test_before_any_attempt_all_tasks_are_drawn_alike() -> None:
    """Without attempts all tasks have the same chance."""
    drawn = Counter(
        task.instance_id
        for seed in range(200)
        for task in draw(TASKS, 10, [], band=(0.4, 0.6), seed=seed)
    )
    assert len(drawn) == 100
    assert max(drawn.values()) < 45


def test_one_repository_alone_is_told_apart_by_its_functions() -> None:
    """Clusters are what was held out, or functions if that is a single repository."""
    here = [task(1, "f"), task(2, "f"), task(3, "g")]
    assert len(set(clusters(here, "repository").values())) == 2
    assert len(set(clusters([*here, task(4, "f", repo="other")], "repository").values())) == 2


@pytest.mark.parametrize("functions", [3, 6, 40])
def test_intervals_hold_what_they_should(functions: int) -> None:
    """About 95 % of the intervals contain the true share, even with few functions."""
    coin, held = Random(1), 0
    for _ in range(400):
        rates = [coin.random() for _ in range(functions)]
        values = {
            f"{f}.{n}": float(coin.random() < rate)
            for f, rate in enumerate(rates)
            for n in range(5)
        }
        found = estimate(values, {id: id.split(".")[0] for id in values})
        held += found.low <= 0.5 <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_what_tells_nothing_of_others_has_no_narrow_interval() -> None:
    """A single cluster, or few tasks without a success, give a wide interval, within 0 and 1."""
    values = {str(n): float(n < 40) for n in range(100)}
    found = estimate(values, dict.fromkeys(values, "one"))
    assert (found.low, found.high) == (0, 1)
    none = estimate(dict.fromkeys("abcde", 0.0), {id: id for id in "abcde"})
    assert none.mean == none.low == 0 and none.high > 0.4


def test_models_are_compared_task_by_task() -> None:
    """Models are compared task by task; tasks that only one attempted do not count."""
    current = {str(n): float(n % 2) for n in range(50)} | {"other": 1.0}
    candidate = {str(n): min(1.0, n % 2 + (n % 10 == 0)) for n in range(50)}
    found = difference(candidate, current, {str(n): str(n) for n in range(50)})
    assert found.tasks == 50
    assert found.mean == pytest.approx(0.1)
    assert found.low > 0
    assert difference({}, current, {}).mean == 0


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("base = 'b'", "tasks"),
        ("tasks = ['t']\nbase = 'b'\nround = 3", "round"),
        ("tasks = ['t']\nbase = 'b'\n[rollout]\nsandbux = 'docker'", "sandbux"),
        ("tasks = ['t']\nbase = 'b'\n[teach]\nmodels = ['m']", "teach.urls"),
        ("tasks = ['t']\nbase = 'b'\n[evaluate]\nurls = ['u']", "evaluate.urls: each round's own"),
        ("tasks = ['t']\nbase = 'b'\n[rollout]\nmodels = ['m']", "rollout.models"),
        ("tasks = ['t']\nbase = 'b'\n[serve]\nreload = 'in_place'", "serve.reload"),
        ("tasks = [", "TOML"),
    ],
)
def test_a_mistake_in_the_settings_is_named(tmp_path: Path, text: str, named: str) -> None:
    """The message names the wrong setting."""
    path = tmp_path / "bootstrap.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=named):
        BootstrapSettings.read(path)


def test_what_is_evaluated_differs_in_what_is_said(tmp_path: Path) -> None:
    """Tables of settings are merged down to single values."""
    path = tmp_path / "bootstrap.toml"
    path.write_text(
        "tasks = ['t']\nbase = 'b'\n"
        "[rollout]\nattempts = 4\nsampling = {temperature = 0.8, max_tokens = 99}\n"
        "[evaluate]\nlimits = {turns = 6}\n"
    )
    settings = BootstrapSettings.read(path)
    found = settings.run_settings("evaluate", "m", ["u"])
    assert (found.attempts, found.sampling.temperature, found.sampling.max_tokens) == (1, 0.0, 99)
    assert settings.run_settings("rollout", "m", ["u"]).sampling.temperature == 0.8
    assert settings.run_settings("teach", "repair", []).models == ["repair"]
