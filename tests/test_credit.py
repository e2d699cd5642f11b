"""`forager credit`: values by counterfactual replay, and advantages in data sets."""

import json
from pathlib import Path

import pytest
from attempts import Settings, make_attempt
from chat_templates import OURS, SPECIALS, make_tokenizer
from click.testing import CliRunner, Result
from test_rollout import SUBMIT, run, script

from forager.agent.tool import Call
from forager.cli.main import main
from forager.environments.repository.task import RepositoryTask
from forager.errors import UsageError
from forager.learning.dataset import Dataset, DatasetSettings
from forager.learning.dataset.write import export_dataset
from forager.records import read_records, write_records
from forager.rollout.credit import (
    CREDIT,
    AttemptCredit,
    ForkRate,
    continuations,
    credit_of,
    credits_of,
    forks,
)
from forager.trajectories.store import Run
from forager.trajectories.summary import Summary


def rates(*counts: tuple[int, int]) -> list[ForkRate]:
    """Successes of four at each turn."""
    return [ForkRate(turn=turn, resolved=resolved, attempts=4) for turn, resolved in counts]


@pytest.mark.parametrize(
    ("turns", "points", "expected"),
    [(0, 4, []), (1, 4, [1]), (3, 9, [1, 2, 3]), (9, 3, [1, 5, 9]), (10, 2, [1, 10]), (5, 1, [1])],
)
def test_forks_are_even(turns: int, points: int, expected: list[int]) -> None:
    """The first and the last turn are among them."""
    assert forks(turns, points) == expected


def test_values_lead_to_the_turn_that_lost_it() -> None:
    """Values are interpolated, sum up to the loss, and are 0 after the end."""
    found = credit_of("a.0", "a", 5, rates((1, 4), (3, 4), (5, 0)))
    assert found.values == [1.0, 1.0, 1.0, 0.5, 0.0, 0.0]
    assert found.advantages == [0.0, 0.0, -0.5, -0.5, 0.0]
    assert found.weights == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert (found.lost_from, found.lost_by) == (3, 4)
    hopeless = credit_of("a.0", "a", 3, rates((1, 0), (3, 0)))
    assert hopeless.weights == [0.0] * 3 and hopeless.lost_from is None
    last = credit_of("a.0", "a", 3, rates((1, 2), (3, 3)))
    assert (last.lost_from, last.lost_by) == (3, 3)


def test_continuations_of_another_attempt_are_refused() -> None:
    """Numbers are those of the plan; an attempt that continues something else is no evidence."""
    failed = [make_attempt("a", number, resolved=False) for number in range(2)]
    jobs = list(continuations("run", failed, 2, 2))
    assert [(job.id, job.parent.name, job.parent.turn) for job in jobs] == [
        (f"a.{number}", f"run/a.{number // 4}", [1, 1, 6, 6][number % 4]) for number in range(8)
    ]
    made = [
        Summary.of(make_attempt("a", job.number)).model_copy(update={"parent": job.parent.name})
        for job in jobs[:3]
    ]
    (credit,) = credits_of(failed, jobs, made)
    assert [(fork.turn, fork.attempts) for fork in credit.forks] == [(1, 2), (6, 1)]
    other = made[0].model_copy(update={"parent": "run/b.0"})
    with pytest.raises(UsageError, match="choose another -o"):
        list(credits_of(failed, jobs, [other]))


def test_advantages_are_those_of_the_turns(tmp_path: Path) -> None:
    """Each trained token of a turn has the turn's advantage; attempts without credit stay out."""
    attempts = [make_attempt(name, resolved=False, syntax="text") for name in ("a", "b")]
    with Run.write(tmp_path / "run", Settings(), []) as writer:
        for attempt in attempts:
            writer.append(attempt)
    turns = attempts[0].turns
    credit = AttemptCredit(
        id="a.0",
        instance_id="a",
        turns=turns,
        forks=[],
        values=[],
        advantages=[float(number + 1) for number in range(turns)],
        weights=[],
    )
    (tmp_path / "credit").mkdir()
    write_records(tmp_path / "credit" / CREDIT, [credit])
    tokenizer = make_tokenizer(tmp_path / "tokenizer", OURS, SPECIALS["ours"])
    settings = DatasetSettings(credit=tmp_path / "credit")
    done = export_dataset([tmp_path / "run"], tmp_path / "data", tokenizer, settings)
    assert (done.samples, done.left_out) == (1, {"without credit": 1})
    (sample,) = Dataset(tmp_path / "data")
    assert sample.advantages is not None
    pairs = list(zip(sample.loss_mask, sample.advantages, strict=True))
    assert all((worth != 0) == bool(loss) for loss, worth in pairs)
    worths = [worth for loss, worth in pairs if loss]
    assert worths == sorted(worths) and set(worths) == {float(n + 1) for n in range(turns)}
    with pytest.raises(UsageError, match="policy"):
        world = DatasetSettings(kind="world", credit=tmp_path / "credit")
        export_dataset([tmp_path / "run"], tmp_path / "other", tokenizer, world)


def forager(*arguments: str | Path) -> Result:
    """Run the command in this process; no environment variable names an endpoint."""
    runner = CliRunner(env={"OPENAI_BASE_URL": None})
    return runner.invoke(main, [str(argument) for argument in arguments])


@pytest.mark.engine
def test_a_failed_attempt_is_continued(kata_task: RepositoryTask, tmp_path: Path) -> None:
    """The oracle succeeds until the attempt has deleted the file; the same command resumes.

    Each continuation begins with the system prompt of the attempt.
    """
    calls = [Call("bash", {"command": command}) for command in ("true", "rm kata/core.py")]
    run(tmp_path / "run", kata_task, script("functions", *calls, SUBMIT), system="Fix it.")
    out = tmp_path / "credit"
    command: list[str | Path] = [
        "credit",
        tmp_path / "run",
        "-o",
        out,
        "-m",
        "oracle",
        "--samples",
        "1",
    ]
    done = forager(*command, "-w", "1")
    assert done.exit_code == 0, done.output
    (credit,) = read_records(out / CREDIT, AttemptCredit)
    assert [(fork.turn, fork.resolved) for fork in credit.forks] == [(1, 1), (2, 1), (3, 0)]
    assert (credit.lost_from, credit.lost_by) == (2, 2)
    parents = {(attempt.parent, attempt.parent_turn) for attempt in Run(out).trajectories()}
    assert parents == {(f"run/{kata_task.instance_id}.0", turn) for turn in (1, 2, 3)}
    begun = {attempt.messages[0]["content"] for attempt in Run(out).trajectories()}
    assert begun == {"Fix it."}
    again = forager(*command, "--json")
    assert json.loads(again.stdout)[0]["values"] == credit.values
    assert len(list(Run(out).trajectories())) == 3
    other = forager(*command, "--points", "2")
    assert other.exit_code == 2 and "branch" in other.stderr


@pytest.mark.engine
def test_a_continuation_is_made_as_its_attempt_was(
    kata_task: RepositoryTask, tmp_path: Path
) -> None:
    """In a run with several temperatures each attempt keeps its own."""
    replies = script("functions", Call("bash", {"command": "true"}), SUBMIT)
    run(tmp_path / "run", kata_task, replies, attempts=2, temperatures=[0, 0.7])
    out, options = tmp_path / "credit", ("--samples", "1", "--points", "1")
    done = forager("credit", tmp_path / "run", "-o", out, "-m", "oracle", *options)
    assert done.exit_code == 0, done.output
    made = {attempt.parent[-2:]: attempt.sampling for attempt in Run(out).trajectories()}
    assert {parent: used.temperature for parent, used in made.items()} == {".0": 0, ".1": 0.7}


def test_a_run_without_failures_is_said(tmp_path: Path) -> None:
    """There is nothing to fork."""
    with Run.write(tmp_path / "run", Settings(), []) as writer:
        writer.append(make_attempt())
    done = forager("credit", tmp_path / "run", "-o", tmp_path / "out")
    assert done.exit_code == 2 and "no failed attempt" in done.stderr
