"""The ledger counts each attempt once; draws follow from seed and outcomes; rewards."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from attempts import make_attempt
from click.testing import CliRunner

from forager.cli.main import main
from forager.environments.answer.mathematics import MathTask
from forager.environments.answer.prediction import OUTPUT, PredictionTask
from forager.environments.repository.task import RepositoryTask
from forager.environments.task import Task
from forager.errors import StoreError, UsageError
from forager.learning.rl import closing
from forager.learning.rl.counting import counted
from forager.learning.rl.curriculum import Curriculum, hinted
from forager.learning.rl.layout import RlLayout
from forager.learning.rl.ledger import (
    BatchedEntry,
    Book,
    ClosedEntry,
    DrawnEntry,
    DroppedEntry,
    Entry,
    GradedEntry,
    LostEntry,
    RlLedger,
    StartedEntry,
    TrainedEntry,
    entries,
)
from forager.learning.rl.report import write_reports
from forager.learning.rl.rewards import REWARDS, reward_named, reward_of
from forager.learning.rl.settings import CurriculumSettings, CurriculumStage, RlSettings
from forager.learning.train.settings import StepMetrics
from forager.records import write_records
from forager.trajectories.record import Outcome


def task(name: str) -> PredictionTask:
    """A question."""
    given = {"problem_statement": "f(1) == ??", "code": "", "input": "1", "output": "1"}
    return PredictionTask(instance_id=name, environment=OUTPUT, **given)


TASKS: list[Task] = [task(f"q{number}") for number in range(6)]


def curriculum(tasks: list[Task] = TASKS, stages: Any = (), **given: Any) -> Curriculum:
    """A curriculum of six questions."""
    return Curriculum(tasks, CurriculumSettings.model_validate(given), stages, seed=7)


def settings(**given: Any) -> RlSettings:
    """Settings of a run with groups of two."""
    whole = {"tasks": ["t"], "base": "b", "groups": 1, "group_size": 2} | given
    return RlSettings.model_validate(whole)


def grade(group: int, attempt: str, reward: float, *, tokens: int = 5, newest: int = 0) -> Entry:
    """A graded attempt."""
    return GradedEntry(
        group=group,
        attempt=attempt,
        reward=reward,
        resolved=reward > 0,
        tokens=tokens,
        oldest=newest,
        newest=newest,
    )


def one_step(group: int, name: str, step: int) -> list[Entry]:
    """All entries of a step that trains on one group of two."""
    first, second = f"{name}.0", f"{name}.1"
    return [
        DrawnEntry(group=group, task=name, attempts=[first, second]),
        StartedEntry(group=group, attempt=first),
        StartedEntry(group=group, attempt=second),
        LostEntry(group=group, attempt=second, reason="the endpoint does not answer"),
        grade(group, first, 1.0),
        StartedEntry(group=group, attempt=second),
        grade(group, second, -1.0),
        ClosedEntry(group=group, advantages={first: 1.0, second: -1.0}),
        BatchedEntry(step=step, groups=[group]),
        TrainedEntry(step=step, loss=0.5, batch="b", model="m"),
    ]


STORY = [*one_step(0, "q0", 1), *one_step(1, "q1", 2)]


def test_a_ledger_that_is_cut_anywhere_is_read_again(tmp_path: Path) -> None:
    """After a kill at any byte the state is that of the whole entries before it."""
    path = tmp_path / "ledger.jsonl"
    ledger = RlLedger(path, curriculum())
    ledger.append(*STORY)
    ledger.close()
    lines = path.read_bytes().splitlines(keepends=True)
    for whole in range(len(lines)):
        torn = lines[whole][: len(lines[whole]) // 2]
        path.write_bytes(b"".join(lines[:whole]) + torn)
        again = RlLedger(path, curriculum())
        again.append(*STORY[whole:])
        again.close()
        assert path.read_bytes() == b"".join(lines)
        assert again.book.step == 2 and not again.book.groups
        assert again.book.curriculum.times == ledger.book.curriculum.times
        assert replace(again.book, curriculum=ledger.book.curriculum) == ledger.book
    assert list(entries(path)) == STORY


@pytest.mark.parametrize("repeated", [0, 4, 7, 8, 9])
def test_nothing_is_counted_twice(repeated: int) -> None:
    """An entry that draws, grades, closes, batches or trains again contradicts the ledger."""
    book = Book(curriculum())
    for entry in STORY[:10]:
        book.apply(entry)
        if entry == STORY[repeated]:
            with pytest.raises(StoreError, match="contradicts itself"):
                book.apply(entry)


def test_a_step_of_groups_that_are_not_closed_is_refused() -> None:
    """Only closed groups are trained on."""
    book = Book(curriculum())
    for entry in STORY[:5]:
        book.apply(entry)
    with pytest.raises(StoreError):
        book.apply(BatchedEntry(step=1, groups=[0]))


def closed_group(*rewards: float, tokens: tuple[int, ...] = (5, 5, 5)) -> Any:
    """A group whose attempts have these rewards; None: still running."""
    book = Book(curriculum())
    names = [f"q0.{number}" for number in range(len(rewards))]
    book.apply(DrawnEntry(group=0, task="q0", attempts=names))
    for name, reward, length in zip(names, rewards, tokens, strict=False):
        book.apply(grade(0, name, reward, tokens=length))
    return book.groups[0]


def test_groups_close_with_advantages_or_are_dropped() -> None:
    """Equal rewards say nothing, and one attempt has nobody to compare with."""
    found = closing.closed(closed_group(1, -1, -1, tokens=(10, 30, 60)), settings())
    assert isinstance(found, ClosedEntry)
    assert list(found.advantages.values()) == pytest.approx([1.8, -0.2, -0.2])
    assert closing.closed(closed_group(1, 1, 1), settings()) == DroppedEntry(
        group=0, reason=closing.NO_VARIANCE
    )
    assert closing.closed(closed_group(1), settings()) == DroppedEntry(
        group=0, reason=closing.TOO_FEW
    )


def test_shuffled_rewards_are_those_of_the_group() -> None:
    """The control keeps each group's rewards, and exchanges them by the seed."""
    given = {"reward": {"shuffled": True}, "objective": {"baseline": "mean"}}
    found = [
        closing.closed(closed_group(1, -1, -1), settings(seed=seed, **given)) for seed in range(20)
    ]
    advantages = [list(entry.advantages.values()) for entry in found if entry.event == "closed"]
    assert {tuple(round(value, 3) for value in sorted(values)) for values in advantages} == {
        (-0.667, -0.667, 1.333)
    }
    assert len({values.index(max(values)) for values in advantages}) == 3


def test_attempts_whose_newest_tokens_are_too_old_are_dropped() -> None:
    """At step 3 with a staleness of 1, tokens of version 1 are too old, and 2 is not."""
    book = Book(curriculum())
    book.step = 3
    book.apply(DrawnEntry(group=0, task="q0", attempts=["q0.0", "q0.1"]))
    book.apply(grade(0, "q0.0", 1.0, newest=1))
    book.apply(grade(0, "q0.1", -1.0, newest=2))
    book.apply(ClosedEntry(group=0, advantages={"q0.0": 1.0, "q0.1": -1.0}))
    (entry,) = closing.stale(book, 1)
    assert (entry.attempt, entry.reason) == ("q0.0", closing.STALE)
    book.apply(entry)
    assert [graded.attempt for graded in book.groups[0].graded] == ["q0.1"]


def draws(of: Curriculum, count: int, step: int = 1, start: int = 0) -> list[str]:
    """The tasks of some draws."""
    found = []
    for number in range(start, start + count):
        found.append(of.draw(number, step))
        of.drawn(found[-1])
    return found


def test_tasks_take_turns_in_an_order_by_seed() -> None:
    """OpenRLHF #1322, NeMo-RL #3599: no task is skipped or repeated, after a resume either."""
    whole = draws(curriculum(), 18)
    assert [Counter(whole[start : start + 6]) for start in (0, 6, 12)] == [
        Counter(f"q{number}" for number in range(6))
    ] * 3
    assert whole[:6] != whole[6:12]
    resumed = curriculum()
    for name in whole[:8]:
        resumed.drawn(name)
    assert draws(resumed, 10, start=8) == whole[8:]


def test_solved_tasks_leave_and_unsolved_ones_rest() -> None:
    """Above 95 % over a full window a task leaves; at 0 % it comes back after some draws."""
    of = curriculum(window=4, retry_after=5)
    of.learn("q0", [True] * 4, 0)
    of.learn("q1", [True] * 3, 0)  # the window is not full
    of.learn("q2", [False] * 4, 0)
    found = draws(of, 20)
    assert "q0" not in found
    assert found.index("q2") == 5
    assert of.rate("q1") == 1.0
    for name in ("q1", "q2", "q3", "q4", "q5"):
        of.learn(name, [True] * 4, 20)
    with pytest.raises(UsageError, match="no task is left to draw"):
        of.draw(20, 1)


def test_tasks_that_nobody_solves_get_a_hint() -> None:
    """CWM: at 0 % the statement names the tests that decide; nothing else of the task changes."""
    of, plain = curriculum(hints=True), curriculum()
    for asked in (of, plain):
        asked.learn("q0", [False] * 4, 0)
        asked.learn("q1", [True, False], 0)
    assert [name for name in ("q0", "q1", "q2") if of.asks_for_hint(name)] == ["q0"]
    assert not plain.asks_for_hint("q0")
    broken = RepositoryTask.model_validate(
        {
            "instance_id": "pkg-1",
            "problem_statement": "It fails.",
            "repo": "pkg",
            "patch": "",
            "FAIL_TO_PASS": ["tests/test_core.py::test_one"],
            "PASS_TO_PASS": ["tests/test_core.py::test_two"],
        }
    )
    shown = hinted(broken)
    assert shown.problem_statement.endswith("tests pass:\n- tests/test_core.py::test_one")
    assert shown == broken.model_copy(update={"problem_statement": shown.problem_statement})
    assert hinted(TASKS[0]) is TASKS[0]


def test_stages_weigh_environments() -> None:
    """From its first step on, a stage's weights decide; other environments are not drawn."""
    sums: list[Task] = [
        MathTask(instance_id=f"m{number}", problem_statement="1 + 1", solution="2")
        for number in range(6)
    ]
    stages = [
        CurriculumStage(from_step=1, weights={OUTPUT: 1}),
        CurriculumStage(from_step=10, weights={OUTPUT: 1, "math": 3}),
    ]
    of = curriculum([*TASKS, *sums], stages)
    assert {name[0] for name in draws(of, 30, step=9)} == {"q"}
    counts = Counter(name[0] for name in draws(of, 400, step=10, start=30))
    assert 0.65 < counts["m"] / 400 < 0.85
    with pytest.raises(UsageError, match="no task of the environment 'math'"):
        curriculum(TASKS, stages)


def attempt(**outcome: Any) -> Any:
    """An attempt with this outcome."""
    made = make_attempt("q0", 0)
    return made.model_copy(update={"outcome": Outcome(exit_reason="answered", **outcome)})


@pytest.mark.parametrize(
    ("name", "solved", "near", "wrong"),
    [
        ("outcome", 1, -1, -1),
        ("similarity", 1, 0, -1),
        ("evaluation-similarity", 0, -0.5, -1),
        ("cases", 1, 0.5, -0.5),
    ],
)
def test_rewards(name: str, solved: float, near: float, wrong: float) -> None:
    """CWM's rewards and the share of cases; a suspect attempt gets that of a failure."""
    function = reward_named(name)
    tests = {"a": "passed", "b": "passed", "c": "passed", "d": "failed"}
    cases = [
        (attempt(resolved=True, similarity=0.1, tests=tests), solved),
        (attempt(similarity=0.5, tests=tests), near),
        (attempt(similarity=0.49, tests=tests | {"a": "failed", "b": "error"}), wrong),
        (attempt(suspect=["core.py:61 assigns"], tests={"a": "passed"}, similarity=1.0), -1),
    ]
    for made, wanted in cases:
        assert reward_of(function, TASKS[0], made) == wanted


def test_rewards_that_are_no_numbers_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward that is not finite is one line; None leaves the group."""
    monkeypatch.setitem(REWARDS, "odd", lambda *_: float("nan"))
    with pytest.raises(UsageError, match="rewards are finite numbers"):
        reward_of(reward_named("odd"), TASKS[0], attempt())
    assert reward_of(lambda *_: None, TASKS[0], attempt()) is None
    with pytest.raises(UsageError, match="no reward 'even' is installed; there are outcome"):
        reward_named("even")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rollout": {"sampling": {"temperature": 0.7}}}, "temperature 1 without top_p"),
        ({"rollout": {"sampling": {"top_p": 0.9}}}, "temperature 1 without top_p"),
        ({"rollout": {"models": ["m"]}}, "models: the run decides this"),
        ({"rollout": {"walkers": 3}}, "walkers"),
        ({"stages": [{"from_step": 2, "weights": {"a": 1}}]}, "from_step begins with 1"),
        ({"stages": [{"weights": {"repository": 0}}]}, "needs a weight above 0"),
        ({"serve": {"reload": "in_place"}}, "serve.reload: the run sets this"),
        ({"urls": ["http://here/v1"]}, 'need sampler = "vllm"'),
    ],
)
def test_settings_that_cannot_be_are_said(given: dict[str, Any], says: str) -> None:
    """One line names the key."""
    with pytest.raises(ValueError, match=says):
        settings(**given)


def test_a_dry_run_finds_mistakes(tmp_path: Path) -> None:
    """It prints all settings, and refuses what would end the run later."""
    write_records(tmp_path / "tasks.jsonl", TASKS)
    write_records(tmp_path / "held-out.jsonl", TASKS[:1])
    config = tmp_path / "config.toml"
    text = f'tasks = ["{tmp_path}/tasks.jsonl"]\nbase = "owner/name"\n'
    config.write_text(text)
    command = ["rl", str(config), "-o", str(tmp_path / "run"), "--dry-run"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert '"constant": 131072.0' in done.output and '"command_seconds": 120.0' in done.output
    config.write_text(f'{text}[evaluate]\ntasks = ["{tmp_path}/held-out.jsonl"]\n')
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "q0 is both in `tasks` and in `evaluate.tasks`" in done.output
    config.write_text(text.replace("owner/name", "../name"))
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2 and "../name is not a Hugging Face model" in done.output
    assert not (tmp_path / "run").exists()


def test_the_report_says_what_each_step_learned_from(tmp_path: Path) -> None:
    """Rewards of all graded attempts, lag, ratios and drops by step, as tables and curves."""
    layout = RlLayout(tmp_path)
    ledger = RlLedger(layout.ledger, curriculum())
    ledger.append(*STORY[:10])
    names = [f"q2.{number}" for number in range(2)]
    ledger.append(DrawnEntry(group=1, task="q2", attempts=names))
    ledger.append(*(grade(1, name, 1.0) for name in names))
    ledger.append(DroppedEntry(group=1, reason=closing.NO_VARIANCE))
    ledger.append(*[entry.model_copy(update={"group": 2}) for entry in one_step(1, "q1", 2)[:8]])
    ledger.append(BatchedEntry(step=2, groups=[2]))
    ledger.append(TrainedEntry(step=2, loss=0.25, batch="b", model="m"))
    ledger.close()
    steps = [
        StepMetrics(
            step=step,
            loss=1 / step,
            learning_rate=1e-4,
            gradient=1.5,
            tokens=20,
            trained=10,
            seconds=0.5,
            clipped=0.25,
            ratio_deviation=1e-6,
            ratio_largest=1e-5,
        )
        for step in (1, 2)
    ]
    write_records(layout.training / "metrics.jsonl", steps)
    assert write_reports(settings(), layout) == ""
    report = (tmp_path / "report.md").read_text()
    assert "| 1 | 2 | 0 | 50.0 % | 5 | 0 | 1 | 1.5 | 25.0 % | 1e-06 | 0.5 |" in report
    assert "| 2 | 4 | 0.5 | 75.0 % | 5 | 1 | 0.5 | 1.5 | 25.0 % | 1e-06 | 0.5 |" in report
    assert "| group: no variance | 1 |" in report
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 5 and "Mean reward of graded attempts" in page


def test_the_lag_is_that_of_trained_attempts(tmp_path: Path) -> None:
    """An attempt that is dropped as stale adds no lag, in the report or while the run goes on."""
    layout = RlLayout(tmp_path)
    ledger = RlLedger(layout.ledger, curriculum())
    ledger.append(*STORY[:10])
    names = [f"q1.{number}" for number in range(3)]
    ledger.append(DrawnEntry(group=1, task="q1", attempts=names))
    ledger.append(*(grade(1, name, 1.0, newest=1) for name in names[:2]))
    ledger.append(grade(1, names[2], -1.0, newest=0))
    ledger.append(ClosedEntry(group=1, advantages=dict.fromkeys(names, 0.5)))
    ledger.append(DroppedEntry(group=1, attempt=names[2], reason=closing.STALE))
    ledger.append(BatchedEntry(step=2, groups=[1]))
    ledger.append(TrainedEntry(step=2, loss=0.25, batch="b", model="m"))
    ledger.close()
    assert counted(layout)[0][-1].lag == ledger.book.lag == 0
