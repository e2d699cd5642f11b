import json
from pathlib import Path

import pytest
from attempts import Settings, make_attempt, make_task
from click.testing import CliRunner
from pydantic import ValidationError

from forager.cli.main import main
from forager.environments.environment import Grade
from forager.trajectories.choice import Choice
from forager.trajectories.store import Run

REASON = "core.py:61 assigns unittest.TestCase.assertEqual"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a resolved attempt, two suspect ones and a failed one."""
    path = tmp_path / "run"
    with Run.write(path, Settings(), [make_task("a"), make_task("b")]) as writer:
        writer.append(make_attempt("a", 0))
        writer.append(make_attempt("a", 1, suspect=[REASON, "core.py:9 reads frames"]))
        writer.append(make_attempt("b", 0, suspect=[REASON]))
        writer.append(make_attempt("b", 1, resolved=False))
    return path


def forager(*arguments: str | Path) -> str:
    """Run the command in this process; return what it prints."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def resolved(run: Path, *options: str) -> dict[str, tuple[bool, float]]:
    """Each attempt's verdict and reward, as summaries and whole attempts agree on them."""
    with Run(run).index(accept_suspect="--accept-suspect" in options) as index:
        chosen = {short.id: (short.resolved, short.reward) for short in index.summaries()}
        whole = {
            attempt.id: (attempt.outcome.resolved, attempt.outcome.reward)
            for attempt in index.trajectories()
        }
        places = index.places(Choice(resolved=True))
        successes = [short.id for short in index.summaries(places)]
    assert successes == [id for id, (success, _) in whole.items() if success]
    assert chosen == whole
    return chosen


def test_a_grade_is_never_both_resolved_and_suspect() -> None:
    """An environment cannot call an attempt resolved and give reasons against it."""
    with pytest.raises(ValidationError, match="is not resolved"):
        Grade(resolved=True, reward=1, suspect=[REASON])


def test_a_suspect_attempt_counts_as_failed_until_it_is_accepted(run: Path) -> None:
    """A person accepts one attempt, `--accept-suspect` all; both give the reward of a success."""
    assert resolved(run) == {"a.0": (True, 1), "a.1": (False, -1), "b.0": (False, -1),
                             "b.1": (False, -1)}  # fmt: skip
    assert "counts as resolved" in forager("replay", run / "b.0", "--accept")
    assert resolved(run) == {"a.0": (True, 1), "a.1": (False, -1), "b.0": (True, 1),
                             "b.1": (False, -1)}  # fmt: skip
    everything = resolved(run, "--accept-suspect")
    assert [id for id, (yes, _) in everything.items() if yes] == ["a.0", "a.1", "b.0"]


def test_only_suspect_attempts_are_accepted(run: Path) -> None:
    """A failed attempt stays failed whatever its tags say, and cannot be accepted."""
    result = CliRunner().invoke(main, ["replay", str(run / "b.1"), "--accept"])
    assert result.exit_code == 2
    assert "--accept needs a suspect attempt" in result.output


def test_suspects_are_visible_in_every_report(run: Path, tmp_path: Path) -> None:
    """List, report, its Markdown and replay name the attempts and their reasons."""
    listed = forager("list", run)
    assert [line.split()[1] for line in listed.splitlines()[1:]] == [
        *("yes", "suspect", "suspect", "no")
    ]
    assert [line.split()[0] for line in forager("list", run, "--suspect").splitlines()[1:]] == [
        "a.1",
        "b.0",
    ]
    forager("replay", run / "b.0", "--accept")
    told = forager("report", run)
    assert "suspect: 2, of which 1 accepted" in told
    assert REASON in told
    counted = json.loads(forager("report", run, "--json"))
    assert (counted["total"]["suspect"], counted["total"]["resolved"]) == (2, 2)
    assert counted["suspects"][1] == {"id": "b.0", "accepted": True, "reasons": REASON}
    forager("report", run, "-o", tmp_path / "report.md")
    assert "## Suspect attempts" in (tmp_path / "report.md").read_text()
    shown = forager("replay", run / "a.1", "--print")
    assert "suspect, ended by" in shown
    assert "core.py:9 reads frames" in shown


def test_filters_and_exports_take_what_is_accepted(run: Path, tmp_path: Path) -> None:
    """An accepted attempt is kept as resolved, with its reasons; another acceptance is refused."""
    keep = ("filter", run, "--filter", "resolved", "-o")
    forager(*keep, tmp_path / "none")
    assert set(resolved(tmp_path / "none")) == {"a.0"}
    forager(*keep, tmp_path / "all", "--accept-suspect")
    assert set(resolved(tmp_path / "all")) == {"a.0", "a.1", "b.0"}
    kept = Run(tmp_path / "all").find("b.0").outcome
    assert (kept.resolved, kept.suspect) == (True, [REASON])
    result = CliRunner().invoke(main, [str(word) for word in (*keep, tmp_path / "all")])
    assert result.exit_code == 2
    for options, ids in (((), ["a.0"]), (("--accept-suspect",), ["a.0", "a.1", "b.0"])):
        out = tmp_path / f"{len(options)}.jsonl"
        forager("export", run, "-o", out, "--format", "jsonl", "--resolved", *options)
        records = [json.loads(line) for line in out.read_text().splitlines()]
        assert [record["id"] for record in records] == ids
        assert all(record["outcome"]["resolved"] for record in records)
