"""Filters: what is dropped, what is changed, and that what is left is true."""

import json
import random
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from attempts import STEPS, make_attempt
from click.testing import CliRunner, Result
from filtering import changed, choice, filtered, ids, recorded, with_outcome, write_run

from forager.cli.main import main
from forager.errors import UsageError
from forager.learning.filters import DEFAULT, load_filters
from forager.learning.filters.kept import Filtering, filter_runs
from forager.learning.filters.near import actions, jaccard, shingles
from forager.learning.filters.pipeline import FilterChoice, FilterContext
from forager.trajectories.record import ModelCall, ToolCall, Trajectory, Usage
from forager.trajectories.reproduction import Reproduction
from forager.trajectories.show import text_of
from forager.trajectories.store import Run

A, B = make_attempt("a"), make_attempt("b", resolved=False)
LONG = make_attempt("c", steps=STEPS * 5)
FAILING = changed(
    make_attempt("d"),
    tool_calls=[ToolCall(**{**dict(call), "error": True}) for call in make_attempt("d").tool_calls],
)
IN_TESTS = with_outcome(make_attempt("e"), answer=A.outcome.answer.replace("pkg/", "tests/"))
IGNORED = with_outcome(make_attempt("f"), ignored_files=["conftest.py"])
LISTED = changed(make_attempt("g"), repo="django/django")


@pytest.mark.parametrize(
    ("filter", "dropped"),
    [
        (choice("resolved"), {"b"}),
        (choice("resolved", wanted=False), {"a", "c", "d", "e", "f", "g"}),
        (choice("length", turns=6), {"c"}),
        (choice("length", least_turns=7), {"a", "b", "d", "e", "f", "g"}),
        (choice("length", tokens=1049), {"a", "b", "c", "d", "e", "f", "g"}),
        (choice("length", tokens=1050), set()),
        (choice("errors"), {"d"}),
        (choice("errors", share=1.0), set()),
        (choice("errors", share=1.0, most=5), {"d"}),
        (choice("tests"), {"e", "f"}),
        (choice("contamination"), {"g"}),
    ],
)
def test_a_filter_drops_what_it_is_for(
    tmp_path: Path, filter: FilterChoice, dropped: set[str]
) -> None:
    """A filter drops exactly its attempts, and counts them."""
    all = [A, B, LONG, FAILING, IN_TESTS, IGNORED, LISTED]
    run = write_run(tmp_path / "run", all)
    done = filtered(run, tmp_path / "kept", filter, contaminated="django/django")
    left = [attempt.instance_id for attempt in Run(tmp_path / "kept").trajectories()]
    assert {attempt.instance_id for attempt in all} - set(left) == dropped
    (count,) = done.counts
    assert (count.given, count.dropped, count.changed) == (7, len(dropped), 0)
    assert count.kept == done.attempts == len(left)


def test_tokens_are_reckoned_where_no_server_counted(tmp_path: Path) -> None:
    """Without the server's count, four characters count as a token."""
    calls = [ModelCall(message=call.message, usage=Usage(), seconds=0) for call in A.model_calls]
    bare = changed(A, model_calls=calls)
    size = sum(len(text_of(message)) for message in bare.messages) // 4
    run = write_run(tmp_path / "run", [bare])
    assert filtered(run, tmp_path / "one", choice("length", tokens=size)).attempts == 1
    assert filtered(run, tmp_path / "two", choice("length", tokens=size - 1)).attempts == 0


def test_protected_paths_of_the_task_are_tests_too(tmp_path: Path) -> None:
    """A project's tests may lie anywhere, so a task's protected paths count as tests."""
    setup = {"protected": ["pkg/core.py"]}
    run = write_run(tmp_path / "run", [A], setup=setup)
    assert filtered(run, tmp_path / "kept", "tests").attempts == 0


def test_a_task_that_was_made_all_the_same_is_contaminated(tmp_path: Path) -> None:
    """A task's own contamination label counts, whatever its repository's name."""
    run = write_run(tmp_path / "run", [A], contaminated="its files are those of another")
    assert filtered(run, tmp_path / "kept", "contamination").attempts == 0


def several(tasks: int, attempts: int) -> list[Trajectory]:
    """Return attempts at several tasks; the first n attempts at task n are resolved."""
    return [
        make_attempt(f"t{task}", number, resolved=number < task)
        for task in range(tasks)
        for number in range(attempts)
    ]


def test_a_task_gives_no_more_than_its_share(tmp_path: Path) -> None:
    """The seed draws a task's share from what earlier filters kept."""
    run = write_run(tmp_path / "run", several(5, 4))
    done = filtered(run, tmp_path / "kept", "resolved", choice("per-task", most=2))
    tasks = Counter(id.rpartition(".")[0] for id in ids(tmp_path / "kept"))
    assert tasks == {"t1": 1, "t2": 2, "t3": 2, "t4": 2}
    assert [(count.given, count.dropped) for count in done.counts] == [(20, 10), (10, 3)]
    drawn = set()
    for seed in range(8):
        kept = tmp_path / f"seed{seed}"
        filtered(run, kept, choice("per-task", most=1, seed=seed))
        drawn.add(tuple(ids(kept)))
    assert len(drawn) > 4


@pytest.mark.parametrize(
    ("settings", "tasks"),
    [
        ({"attempts": 4}, {"t0", "t1", "t2", "t3"}),
        ({"attempts": 4, "low": 0.2, "high": 0.5}, {"t1", "t2"}),
        ({"attempts": 5, "high": 0.1}, {"t0", "t1", "t2", "t3", "t4"}),
    ],
)
def test_the_pass_rate_is_of_all_attempts(
    tmp_path: Path, settings: dict[str, Any], tasks: set[str]
) -> None:
    """The rate counts attempts that earlier filters dropped, and needs enough of them."""
    made = [attempt.model_copy(update={"model": "m"}) for attempt in several(5, 4)]
    run = write_run(tmp_path / "run", made)
    filtered(
        run, tmp_path / "kept", choice("resolved", wanted=True), choice("pass-rate", **settings)
    )
    left = {id.rpartition(".")[0] for id in ids(tmp_path / "kept")}
    assert left == tasks - {"t0"}  # which has no success


def test_what_a_teacher_resolves_is_not_too_easy_for_a_model(tmp_path: Path) -> None:
    """Many successes of `repair` do not make a task too easy."""
    run = write_run(tmp_path / "run", several(5, 4))
    filtered(run, tmp_path / "kept", choice("pass-rate", attempts=4, high=0.1))
    assert len(ids(tmp_path / "kept")) == 20


def test_the_same_prompt_counts_as_one(tmp_path: Path) -> None:
    """Equal prompts of different tasks count once."""
    other = [dict(message) for message in A.messages]
    other[1]["content"] = "Something else fails."
    run = write_run(
        tmp_path / "run",
        [make_attempt("a"), make_attempt("b"), changed(make_attempt("c"), messages=other)],
    )
    assert filtered(run, tmp_path / "kept", "prompts").attempts == 2
    assert "c.0" in ids(tmp_path / "kept")


def test_what_reproduces_is_kept(tmp_path: Path) -> None:
    """The filter reads results of `replay --execute`; without them it refuses."""
    run = write_run(tmp_path / "run", [make_attempt(name) for name in "abcd"])
    with pytest.raises(UsageError, match="forager replay RUN --execute"):
        filtered(run, tmp_path / "none", "reproduces")
    results = [
        Reproduction(id="a.0", reproduces=True),
        Reproduction(id="b.0", reproduces=False, same_end=False),
        Reproduction(id="c.0", reproduces=False),
    ]
    lines = "".join(f"{result.model_dump_json()}\n" for result in results)
    (run / "reproduced.jsonl").write_text(lines)
    filtered(run, tmp_path / "kept", "reproduces")
    assert ids(tmp_path / "kept") == ["a.0"]
    filtered(run, tmp_path / "ends", choice("reproduces", same_end=True))
    assert ids(tmp_path / "ends") == ["a.0", "c.0"]


WORDS = "read write count find sort join split strip lower upper first last".split()  # noqa: SIM905


def wanderer(name: str, seed: int) -> Trajectory:
    """Return an attempt with random actions, often close to those of another seed."""
    drawn = random.Random(seed // 3)
    commands = [" ".join(drawn.choices(WORDS, k=12)) for _ in range(4)]
    commands += [" ".join(random.Random(seed).choices(WORDS, k=6))]
    return make_attempt(
        name, steps=[("", "bash", {"command": command}, "") for command in commands]
    )


def test_no_two_that_are_kept_are_near_duplicates(tmp_path: Path) -> None:
    """No kept pair shares many shingles, and each dropped attempt resembles a kept one."""
    all = [wanderer(f"w{seed}", seed) for seed in range(30)]
    run = write_run(tmp_path / "run", all)
    filtered(run, tmp_path / "kept", "near-duplicates")
    left = set(ids(tmp_path / "kept"))
    sets = {attempt.id: shingles(actions(attempt), 5) for attempt in all}
    assert all[0].id in left
    assert 10 <= len(left) < 30
    for id, other in combinations(left, 2):
        assert jaccard(sets[id], sets[other]) < 0.5
    for id in sets.keys() - left:
        assert any(jaccard(sets[id], sets[other]) >= 0.5 for other in left)


def test_repositories_have_no_near_duplicates_in_others(tmp_path: Path) -> None:
    """Duplicates count only within a repository, as in CWM."""
    run = write_run(tmp_path / "run", [make_attempt("a"), changed(make_attempt("b"), repo="x/y")])
    assert filtered(run, tmp_path / "kept", "near-duplicates").attempts == 2


# Where it is kept


def test_what_is_kept_is_a_run(tmp_path: Path) -> None:
    """list, report, replay and export read it, and its settings record the filters."""
    run = write_run(tmp_path / "run", [A, B])
    done = filtered(run, tmp_path / "kept", "resolved")
    kept = Run(tmp_path / "kept")
    assert list(kept.trajectories()) == [A]
    assert [task.instance_id for task in kept.tasks()] == ["a"]
    assert Filtering(**kept.settings()) == done
    assert done.sources[0].path == str(run)
    for verb in (["list"], ["report"], ["replay", "--print"]):
        result = CliRunner().invoke(main, [*verb, str(tmp_path / "kept")])
        assert result.exit_code == 0, result.output
        assert "a.0" in result.output or verb == ["report"]


def test_done_is_done_and_something_else_is_refused(tmp_path: Path) -> None:
    """Repeating a request changes nothing; new attempts or settings need a new directory."""
    run = write_run(tmp_path / "run", [A])
    done = filtered(run, tmp_path / "kept", choice("per-task", most=2))
    written = (tmp_path / "kept" / "settings.json").stat().st_mtime_ns
    assert filtered(run, tmp_path / "kept", choice("per-task", most="2")) == done
    assert (tmp_path / "kept" / "settings.json").stat().st_mtime_ns == written
    with pytest.raises(UsageError, match="name a new directory"):
        filtered(run, tmp_path / "kept", choice("per-task", most=3))
    write_run(run, [B])
    with pytest.raises(UsageError, match="name a new directory"):
        filtered(run, tmp_path / "kept", choice("per-task", most=2))
    with pytest.raises(UsageError):
        filtered(run, run, "resolved")


def test_nothing_is_left_of_what_fails(tmp_path: Path) -> None:
    """A directory appears whole or not at all."""

    def broken(survey: object) -> Callable[[Trajectory], Trajectory]:
        def judge(attempt: Trajectory) -> Trajectory:
            raise RuntimeError(attempt.id)

        return judge

    run = write_run(tmp_path / "run", [A])
    with pytest.raises(RuntimeError):
        filter_runs(
            [run], tmp_path / "kept", [choice("broken")], {"broken": broken}, FilterContext()
        )
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_attempts_of_one_id_in_two_runs_are_two(tmp_path: Path) -> None:
    """The later attempt's id gets its run's number; tasks appear once."""
    first = write_run(tmp_path / "one", [A, make_attempt("x")])
    second = write_run(tmp_path / "two", [A, make_attempt("y")])
    filtered([first, second], tmp_path / "kept", choice("per-task", most=2))
    assert ids(tmp_path / "kept") == ["a.0", "x.0", "a.0~2", "y.0"]
    assert [task.instance_id for task in Run(tmp_path / "kept").tasks()] == ["a", "x", "y"]


def test_filters_stand_in_their_order(tmp_path: Path) -> None:
    """Each filter sees what the ones before it kept and changed."""
    run = write_run(tmp_path / "run", several(5, 4))
    after = filtered(run, tmp_path / "after", "resolved", choice("per-task", most=1))
    before = [
        filtered(run, tmp_path / f"{seed}", choice("per-task", most=1, seed=seed), "resolved")
        for seed in range(5)
    ]
    assert after.attempts == 4
    assert min(task.attempts for task in before) < 4
    short = filtered(
        recorded(tmp_path),
        tmp_path / "short",
        "resolved",
        "shorten",
        choice("length", turns=3),
        "per-task",
    )
    assert short.attempts == short.counts[1].changed == short.counts[3].given


# The verb


def forager(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_usual_filters_and_a_table_of_drops(tmp_path: Path) -> None:
    """Any usual filter can be left out, and the settings record it."""
    run = write_run(tmp_path / "run", [A, B, IN_TESTS])
    done = forager("filter", run, "-o", tmp_path / "kept", "--without", "tests")
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines[1:-1]] == [name for name in DEFAULT if name != "tests"]
    assert lines[1][-4:] == ["3", "1", "0", "2"]
    assert done.stdout.endswith("kept\t1 attempts\n")  # `a` and `e` did the same
    settings = json.loads((tmp_path / "kept" / "settings.json").read_text())
    assert "tests" not in [choice["name"] for choice in settings["filters"]]


def test_filters_of_a_file_and_of_the_command_line_are_the_same(tmp_path: Path) -> None:
    """A file and options give the same filters; a first setting needs no name."""
    run = write_run(tmp_path / "run", several(5, 4))
    config = tmp_path / "filters.toml"
    config.write_text('[[filters]]\nname = "per-task"\nmost = 2\n[[filters]]\nname = "resolved"\n')
    kept = tmp_path / "kept"
    assert forager("filter", run, "-o", kept, "--config", config).exit_code == 0
    same = ["filter", run, "-o", kept, "--filter", "per-task=2", "--filter", "resolved", "--json"]
    done = forager(*same)
    assert json.loads(done.stdout) == json.loads((kept / "settings.json").read_text())
    named = ["--filter", "per-task=most:2,seed:0", "--filter", "resolved=true"]
    assert forager("filter", run, "-o", kept, *named).exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--filter", "nice"], "there is no filter 'nice'; there are resolved, "),
        (["--filter", "per-task=least:3"], "has no setting 'least'; it has most, seed"),
        (["--filter", "per-task=many"], "the filter per-task, most: "),
        (["--filter", "tests=3"], "it has none"),
        (["--filter", "pass-rate=low:0.9,high:0.1"], "no pass rate lies between"),
        (["--without", "length"], "--without length leaves nothing out"),
        (["--filter", "tests", "--config", "x.toml"], "give one of them"),
        (["--config", "nowhere.toml"], "cannot read nowhere.toml"),
        (["--config", __file__], "is not TOML"),
        (
            ["--config", str(Path(__file__).parents[1] / "pyproject.toml")],
            "is not a list of filters",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, options: list[str], message: str) -> None:
    """A mistake gives one line with the known names, and no files."""
    run = write_run(tmp_path / "run", [A])
    done = forager("filter", run, "-o", tmp_path / "kept", *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 + done.stderr.startswith("attempts")
    assert not (tmp_path / "kept").exists()


def test_others_add_filters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages add filters through entry points, under free names."""
    package = tmp_path / "mine-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Name: mine\nVersion: 1\n")
    entry = package / "entry_points.txt"
    entry.write_text("[forager.filters]\nbrief = brief_filters:brief\n")
    (tmp_path / "brief_filters.py").write_text(
        "def brief(survey, most: int = 6):\n"
        "    return lambda attempt: attempt if attempt.turns <= most else None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    run = write_run(tmp_path / "run", [A, LONG])
    done = forager("filter", run, "-o", tmp_path / "kept", "--filter", "brief=10")
    assert done.exit_code == 0, done.output
    assert ids(tmp_path / "kept") == ["a.0"]
    entry.write_text("[forager.filters]\nresolved = brief_filters:brief\n")
    with pytest.raises(UsageError, match="takes the name of another filter"):
        load_filters()
