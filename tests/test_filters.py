"""Filters: what is dropped, what is changed, and that what is left is true."""

import json
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from attempts import STEPS, Settings, make_attempt, make_task
from click.testing import CliRunner, Result

from forager.agent.syntax import SYNTAXES
from forager.agent.tool import Call
from forager.cli.main import main
from forager.environments.sandbox import CommandResult
from forager.errors import UsageError
from forager.learning.filters import DEFAULT, FILTERS, load_filters
from forager.learning.filters.changes import (
    Change,
    Pieces,
    Unproven,
    change_of,
    composed,
    identity,
    makes,
)
from forager.learning.filters.hindsight import runs_tests
from forager.learning.filters.kept import Filtering, filter_runs
from forager.learning.filters.near import actions, jaccard, shingles
from forager.learning.filters.pipeline import FilterChoice, Surroundings
from forager.learning.filters.sed import command, trial
from forager.trajectories.record import ModelCall, Outcome, ToolCall, Trajectory, Usage
from forager.trajectories.reproduction import Reproduction
from forager.trajectories.show import text_of
from forager.trajectories.steps import steps
from forager.trajectories.store import Run
from tools import TOOLBOX

RECORDED = Path(__file__).parent / "data" / "replay" / "run"  # real attempts of `repair`


def recorded(tmp_path: Path) -> Path:
    """A copy of the real attempts: an index is made beside them."""
    return Path(shutil.copytree(RECORDED, tmp_path / "recorded", dirs_exist_ok=True))


def write_run(path: Path, attempts: list[Trajectory], **task: Any) -> Path:
    """A run of these attempts."""
    names = dict.fromkeys(one.instance_id for one in attempts)
    with Run.write(path, Settings(), [make_task(name, **task) for name in names]) as writer:
        for one in attempts:
            writer.append(one)
    return path


def filtered(
    runs: Path | list[Path], kept: Path, *filters: str | FilterChoice, contaminated: str = "-"
) -> Filtering:
    """What filters leave of runs."""
    chosen = [FilterChoice(name=one) if isinstance(one, str) else one for one in filters]
    surroundings = Surroundings(
        toolbox=TOOLBOX, contaminated=lambda name: "listed" * (name == contaminated)
    )
    sources = runs if isinstance(runs, list) else [runs]
    return filter_runs(sources, kept, chosen, FILTERS, surroundings)


def choice(name: str, **settings: Any) -> FilterChoice:
    """A filter with settings."""
    return FilterChoice(name=name, settings=settings)


def ids(run: Path) -> list[str]:
    """The ids of the attempts in a run."""
    return [one.id for one in Run(run).trajectories()]


def changed(attempt: Trajectory, **update: Any) -> Trajectory:
    """An attempt with other fields."""
    return attempt.model_copy(update=update)


def with_outcome(attempt: Trajectory, **update: Any) -> Trajectory:
    """An attempt with another outcome."""
    return changed(attempt, outcome=Outcome(**{**dict(attempt.outcome), **update}))


A, B = make_attempt("a"), make_attempt("b", resolved=False)
LONG = make_attempt("c", steps=STEPS * 5)
FAILING = changed(
    make_attempt("d"),
    tool_calls=[ToolCall(**{**dict(one), "error": True}) for one in make_attempt("d").tool_calls],
)
IN_TESTS = with_outcome(make_attempt("e"), patch=A.outcome.patch.replace("pkg/", "tests/"))
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
    """And counts it."""
    all = [A, B, LONG, FAILING, IN_TESTS, IGNORED, LISTED]
    run = write_run(tmp_path / "run", all)
    done = filtered(run, tmp_path / "kept", filter, contaminated="django/django")
    left = [one.instance_id for one in Run(tmp_path / "kept").trajectories()]
    assert {one.instance_id for one in all} - set(left) == dropped
    (count,) = done.counts
    assert (count.given, count.dropped, count.changed) == (7, len(dropped), 0)
    assert count.kept == done.attempts == len(left)


def test_tokens_are_reckoned_where_no_server_counted(tmp_path: Path) -> None:
    """Four characters a token."""
    calls = [ModelCall(message=one.message, usage=Usage(), seconds=0) for one in A.model_calls]
    bare = changed(A, model_calls=calls)
    size = sum(len(text_of(message)) for message in bare.messages) // 4
    run = write_run(tmp_path / "run", [bare])
    assert filtered(run, tmp_path / "one", choice("length", tokens=size)).attempts == 1
    assert filtered(run, tmp_path / "two", choice("length", tokens=size - 1)).attempts == 0


def test_protected_paths_of_the_task_are_tests_too(tmp_path: Path) -> None:
    """A project's tests may lie anywhere."""
    setup = {"protected": ["pkg/core.py"]}
    run = write_run(tmp_path / "run", [A], setup=setup)
    assert filtered(run, tmp_path / "kept", "tests").attempts == 0


def test_a_task_that_was_made_all_the_same_is_contaminated(tmp_path: Path) -> None:
    """Whatever its repository is called."""
    run = write_run(tmp_path / "run", [A], contaminated="its files are those of another")
    assert filtered(run, tmp_path / "kept", "contamination").attempts == 0


def several(tasks: int, attempts: int) -> list[Trajectory]:
    """Attempts at several tasks; of task n the first n are resolved."""
    return [
        make_attempt(f"t{task}", number, resolved=number < task)
        for task in range(tasks)
        for number in range(attempts)
    ]


def test_a_task_gives_no_more_than_its_share(tmp_path: Path) -> None:
    """Drawn by the seed; only what earlier filters left counts."""
    run = write_run(tmp_path / "run", several(5, 4))
    done = filtered(run, tmp_path / "kept", "resolved", choice("per-task", most=2))
    tasks = Counter(one.rpartition(".")[0] for one in ids(tmp_path / "kept"))
    assert tasks == {"t1": 1, "t2": 2, "t3": 2, "t4": 2}
    assert [(one.given, one.dropped) for one in done.counts] == [(20, 10), (10, 3)]
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
    """Also of those that filters before it dropped; of few attempts none is believed."""
    run = write_run(tmp_path / "run", several(5, 4))
    filtered(
        run, tmp_path / "kept", choice("resolved", wanted=True), choice("pass-rate", **settings)
    )
    left = {one.rpartition(".")[0] for one in ids(tmp_path / "kept")}
    assert left == tasks - {"t0"}  # which has no success


def test_the_same_prompt_counts_as_one(tmp_path: Path) -> None:
    """Whatever tasks it is of."""
    other = [dict(message) for message in A.messages]
    other[1]["content"] = "Something else fails."
    run = write_run(
        tmp_path / "run",
        [make_attempt("a"), make_attempt("b"), changed(make_attempt("c"), messages=other)],
    )
    assert filtered(run, tmp_path / "kept", "prompts").attempts == 2
    assert "c.0" in ids(tmp_path / "kept")


def test_what_reproduces_is_kept(tmp_path: Path) -> None:
    """As `replay --execute` has found; without that the filter cannot say anything."""
    run = write_run(tmp_path / "run", [make_attempt(name) for name in "abcd"])
    with pytest.raises(UsageError, match="forager replay RUN --execute"):
        filtered(run, tmp_path / "none", "reproduces")
    results = [
        Reproduction(id="a.0", reproduces=True),
        Reproduction(id="b.0", reproduces=False, same_end=False),
        Reproduction(id="c.0", reproduces=False),
    ]
    lines = "".join(f"{one.model_dump_json()}\n" for one in results)
    (run / "reproduced.jsonl").write_text(lines)
    filtered(run, tmp_path / "kept", "reproduces")
    assert ids(tmp_path / "kept") == ["a.0"]
    filtered(run, tmp_path / "ends", choice("reproduces", same_end=True))
    assert ids(tmp_path / "ends") == ["a.0", "c.0"]


WORDS = "read write count find sort join split strip lower upper first last".split()  # noqa: SIM905


def wanderer(name: str, seed: int) -> Trajectory:
    """An attempt whose actions are drawn, and often nearly those of another seed."""
    drawn = random.Random(seed // 3)
    commands = [" ".join(drawn.choices(WORDS, k=12)) for _ in range(4)]
    commands += [" ".join(random.Random(seed).choices(WORDS, k=6))]
    return make_attempt(name, steps=[("", "bash", {"command": one}, "") for one in commands])


def test_no_two_that_are_kept_are_near_duplicates(tmp_path: Path) -> None:
    """By the shingles themselves, all pairs; and what was dropped is like one that was kept."""
    all = [wanderer(f"w{seed}", seed) for seed in range(30)]
    run = write_run(tmp_path / "run", all)
    filtered(run, tmp_path / "kept", "near-duplicates")
    left = set(ids(tmp_path / "kept"))
    sets = {one.id: shingles(actions(one), 5) for one in all}
    assert all[0].id in left
    assert 10 <= len(left) < 30
    for one, other in combinations(left, 2):
        assert jaccard(sets[one], sets[other]) < 0.5
    for one in sets.keys() - left:
        assert any(jaccard(sets[one], sets[other]) >= 0.5 for other in left)


def test_repositories_have_no_near_duplicates_in_others(tmp_path: Path) -> None:
    """Each is by itself, as in CWM."""
    run = write_run(tmp_path / "run", [make_attempt("a"), changed(make_attempt("b"), repo="x/y")])
    assert filtered(run, tmp_path / "kept", "near-duplicates").attempts == 2


# Where it is kept


def test_what_is_kept_is_a_run(tmp_path: Path) -> None:
    """`list`, `report`, `replay` and `export` read it; its settings say how it was made."""
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
    """The same request leaves it as it is; new attempts or other settings are another one."""
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
            [run], tmp_path / "kept", [choice("broken")], {"broken": broken}, Surroundings()
        )
    assert [one.name for one in tmp_path.iterdir()] == ["run"]


def test_attempts_of_one_id_in_two_runs_are_two(tmp_path: Path) -> None:
    """The later one's id gets the number of its run; tasks are there once."""
    one = write_run(tmp_path / "one", [A, make_attempt("x")])
    two = write_run(tmp_path / "two", [A, make_attempt("y")])
    filtered([one, two], tmp_path / "kept", choice("per-task", most=2))
    assert ids(tmp_path / "kept") == ["a.0", "x.0", "a.0~2", "y.0"]
    assert [task.instance_id for task in Run(tmp_path / "kept").tasks()] == ["a", "x", "y"]


def test_filters_stand_in_their_order(tmp_path: Path) -> None:
    """A cap before the successes are chosen leaves fewer of them; changes are seen later on."""
    run = write_run(tmp_path / "run", several(5, 4))
    after = filtered(run, tmp_path / "after", "resolved", choice("per-task", most=1))
    before = [
        filtered(run, tmp_path / f"{seed}", choice("per-task", most=1, seed=seed), "resolved")
        for seed in range(5)
    ]
    assert after.attempts == 4
    assert min(one.attempts for one in before) < 4
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
    """The command in this process."""
    return CliRunner().invoke(main, [str(one) for one in arguments])


def test_the_usual_filters_and_a_table_of_drops(tmp_path: Path) -> None:
    """Any can be left out, and that is recorded."""
    run = write_run(tmp_path / "run", [A, B, IN_TESTS])
    done = forager("filter", run, "-o", tmp_path / "kept", "--without", "tests")
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines[1:-1]] == [name for name in DEFAULT if name != "tests"]
    assert lines[1][-4:] == ["3", "1", "0", "2"]
    assert done.stdout.endswith("kept\t1 attempts\n")  # `a` and `e` did the same
    settings = json.loads((tmp_path / "kept" / "settings.json").read_text())
    assert "tests" not in [one["name"] for one in settings["filters"]]


def test_filters_of_a_file_and_of_the_command_line_are_the_same(tmp_path: Path) -> None:
    """Settings by name, or the first without it."""
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
        (["--without", "length"], "not among the filters anyway"),
        (["--filter", "tests", "--config", "x.toml"], "give one of them"),
        (["--config", "nowhere.toml"], "cannot read nowhere.toml"),
        (["--config", __file__], "is no list of filters"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, options: list[str], message: str) -> None:
    """That says what there is, and nothing is written."""
    run = write_run(tmp_path / "run", [A])
    done = forager("filter", run, "-o", tmp_path / "kept", *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 + done.stderr.startswith("attempts")
    assert not (tmp_path / "kept").exists()


def test_others_add_filters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through entry points, under names that are free."""
    package = tmp_path / "mine-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Name: mine\nVersion: 1\n")
    entry = package / "entry_points.txt"
    entry.write_text("[forager.filters]\nbrief = my_filters:brief\n")
    (tmp_path / "my_filters.py").write_text(
        "def brief(survey, most: int = 6):\n"
        "    return lambda attempt: attempt if attempt.turns <= most else None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    run = write_run(tmp_path / "run", [A, LONG])
    done = forager("filter", run, "-o", tmp_path / "kept", "--filter", "brief=10")
    assert done.exit_code == 0, done.output
    assert ids(tmp_path / "kept") == ["a.0"]
    entry.write_text("[forager.filters]\nresolved = my_filters:brief\n")
    with pytest.raises(UsageError, match="taken"):
        load_filters()


# What edits come to


class OneFile:
    """A sandbox of one file, for the real tools."""

    def __init__(self, text: str) -> None:
        self.content = text.encode()

    def run(self, command: str, *, timeout: float = 1, output_limit: int = 1) -> CommandResult:
        raise AssertionError(command, timeout, output_limit)

    def read(self, path: str) -> bytes:
        del path
        return self.content

    def write(self, path: str, content: bytes) -> None:
        del path
        self.content = content

    def close(self) -> None:
        pass


def drawn_edits(drawn: random.Random, lines: int) -> Iterator[tuple[str, ToolCall, str, str]]:
    """Yield edits that the tool made in a file: the file before, call, answer, file after."""
    file = OneFile("".join(f"{drawn.choice('abcdef')}{drawn.randrange(4)}\n" for _ in range(lines)))
    done: list[dict[str, str]] = []
    while True:
        before = file.content.decode()
        if done and drawn.random() < 0.4:  # taken back, perhaps
            last = done.pop()
            arguments = {**last, "search": last["replace"], "replace": last["search"]}
        else:
            now = before.splitlines(keepends=True)
            first = drawn.randrange(len(now) + 1)
            old = "".join(now[first : first + drawn.randint(1, 5)])
            new = "".join(f"{drawn.choice('abcxyz')}\n" for _ in range(drawn.randrange(4)))
            arguments = {"path": "f", "search": old, "replace": new}
        if not arguments["search"] or arguments["search"] == arguments["replace"]:
            continue
        seen = TOOLBOX["edit"].execute(file, arguments, 1.0)
        if not seen.error:
            done.append(arguments)
            call = ToolCall(message=0, tool="edit", arguments=arguments)
            yield before, call, f"{seen.text.rstrip()}\n[9 turns left]", file.content.decode()


def applied(pieces: Pieces, text: str) -> str:
    """The file after what has become of it."""
    lines = text.splitlines()
    for piece in reversed(pieces):
        assert tuple(lines[piece.start : piece.start + len(piece.before)]) == piece.before
        lines[piece.start : piece.start + len(piece.before)] = piece.after
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("lines", [6, 15, 30, 200])
def test_edits_are_put_together_as_the_tool_makes_them(lines: int) -> None:
    """Drawn edits by the real tool: what they come to is the file that there is then; nothing
    comes to nothing but what gives the same file.
    """
    proven = nothing = 0
    for seed in range(60):
        changes: list[Change] = []
        pieces: Pieces = ()
        original = None
        for number, (before, call, answer, after) in enumerate(
            drawn_edits(random.Random(seed), lines)
        ):
            original = original if original is not None else before
            try:
                change = change_of(call, answer)
            except Unproven:
                break
            assert change
            changes.append(change)
            pieces = composed(pieces, change)
            assert applied(pieces, original) == after
            assert identity(changes) == (not pieces)
            if not pieces:
                nothing += 1
                assert after == original
            proven += 1
            if number == 8:
                break
    assert proven > 60
    assert nothing > 5


def test_an_edit_of_what_is_not_there_is_not_proven() -> None:
    """Something else has changed the file between."""
    pieces = composed((), Change("f", 3, ("a", "b"), ("c",)))
    with pytest.raises(Unproven):
        composed(pieces, Change("f", 3, ("x",), ("y",)))


@pytest.mark.parametrize(
    ("patch", "verdict"),
    [
        (A.outcome.patch, True),
        (A.outcome.patch.replace("+    return items[-1]", "+    return items[-2]"), False),
        (A.outcome.patch + "\\ No newline at end of file\n", False),
        (A.outcome.patch.replace("@@ -1,3 +1,3 @@", "@@ -2,3 +2,3 @@"), False),
        ("", False),
    ],
)
def test_edits_make_a_patch_or_not(patch: str, verdict: bool) -> None:
    """The same lines at the same place."""
    edit = A.tool_calls[2]
    change = change_of(
        edit,
        "Edited pkg/core.py: 2 lines now.\n"
        "     1\tdef last(items):\n     2\t    return items[-1]\n",
    )
    assert change
    assert (
        makes(patch.replace("-1,3 +1,3", "-1,2 +1,2").replace("-2,3 +2,3", "-2,2 +2,2"), [change])
        is verdict
    )


@pytest.mark.parametrize(
    ("command", "verdict"),
    [
        ("python -m pytest -q tests/test_x.py", True),
        (
            "timeout 20 /opt/venv/bin/python -m pytest -x --tb=short -p no:cacheprovider t 2>&1",
            True,
        ),
        ("cd /testbed && pytest -q 2>&1 | tail -5", True),
        ("pytest -k 'a and b'", True),
        ("pytest > out.txt", False),
        ("pytest; rm -rf src", False),
        ("pytest --junitxml=x.xml", False),
        ("pytest `touch x`", False),
        ("pytest\nsed -i s/a/b/ x.py", False),
        ("python fix.py", False),
        ("cat x.py", False),
        ("pytest 'unclosed", False),
    ],
)
def test_runs_of_tests_are_known(command: str, verdict: bool) -> None:
    """And nothing else is taken for one."""
    assert runs_tests(command) is verdict


# Hindsight and shorten, of real attempts


def transformed(
    tmp_path: Path, *filters: str | FilterChoice
) -> Iterator[tuple[Trajectory, Trajectory]]:
    """The recorded attempts and what filters made of them, those that are changed."""
    source = recorded(tmp_path)
    filtered(source, tmp_path / "kept", *filters)
    before = {one.id: one for one in Run(source).trajectories()}
    for after in Run(tmp_path / "kept").trajectories():
        if after != before[after.id]:
            yield before[after.id], after


def files_after(attempt: Trajectory) -> Pieces:
    """What the edits of an attempt in one file come to."""
    pieces: Pieces = ()
    for step in steps(attempt):
        if step.call and (
            change := change_of(
                step.call, text_of(step.observations[0]) if step.observations else ""
            )
        ):
            pieces = composed(pieces, change)
    return pieces


def check_consistency(before: Trajectory, after: Trajectory, name: str) -> None:
    """What every changed attempt must be."""
    assert after.transforms == [*before.transforms, name]
    assert Trajectory.model_validate_json(after.model_dump_json()) == after
    assert all(call.prompt_token_ids is None for call in after.model_calls)
    left = [
        text_of(message).rpartition("\n")[2]
        for step in steps(after)
        for message in step.observations
    ]
    turns = before.limits.turns
    assert left == [f"[{turns - n} turns and 131072 tokens left]" for n in range(1, len(left) + 1)]
    assert [step.call is not None for step in steps(after)] == [True] * after.turns
    assert after.outcome == before.outcome


def test_hindsight_leaves_out_what_was_undone(tmp_path: Path) -> None:
    """All else stays as it was, and the files come to the same."""
    pairs = list(transformed(tmp_path, "hindsight"))
    assert len(pairs) >= 5
    for before, after in pairs:
        check_consistency(before, after, "hindsight")
        assert files_after(after) == files_after(before)
        kept = iter(step.message for step in steps(before))
        assert all(
            any(message == one for one in kept) for message in (s.message for s in steps(after))
        )


def test_a_short_demonstration_is_an_edit_a_test_and_submit(tmp_path: Path) -> None:
    """Of successes of `repair`, whatever they tried on the way; others are as they were."""
    pairs = list(transformed(tmp_path, "shorten"))
    assert len(pairs) >= 5
    for before, after in pairs:
        check_consistency(before, after, "shorten")
        assert before.outcome.resolved
        assert [call.tool for call in after.tool_calls] == ["edit", "bash", "submit"]
        assert files_after(after) == files_after(before)
        assert " passed" in text_of(after.messages[-2])
    both = filtered(
        recorded(tmp_path), tmp_path / "both", "resolved", "hindsight", choice("shorten", only=True)
    )
    assert both.attempts == both.counts[2].changed
    assert next(Run(tmp_path / "both").trajectories()).transforms in (
        ["hindsight", "shorten"], ["shorten"],
    )  # fmt: skip


FILE = "".join(f"line {number}\n" for number in range(1, 41))


def played(script: list[tuple[str, dict[str, str]]], syntax: str = "functions") -> Trajectory:
    """An attempt of these calls, answered by the real tools; tests pass when line 20 is right.

    Every call costs 100 tokens of the prompt and 10 of the answer.
    """
    import difflib

    file, taken = OneFile(FILE), make_attempt(syntax=syntax, steps=[])
    messages, calls, model_calls = list(taken.messages[:2]), [], []
    for number, (tool, arguments) in enumerate(script):
        usage = Usage(prompt_tokens=100 * (number + 1), completion_tokens=10)
        ids = {"prompt_token_ids": [1] * usage.prompt_tokens, "completion_token_ids": [2] * 10}
        model_calls.append(ModelCall(message=len(messages), usage=usage, seconds=0.1, **ids))
        answer = SYNTAXES[syntax].write(f"Thought {number}.", Call(tool, arguments), TOOLBOX)
        messages.append(answer)
        call = ToolCall(message=len(messages), tool=tool, arguments=arguments, exit_code=0)
        text = "no output"
        if tool == "edit":
            seen = TOOLBOX["edit"].execute(file, arguments, 1.0)
            call, text = call.model_copy(update={"error": seen.error}), seen.text
        elif tool == "bash":
            right = b"right\n" in file.content
            call = call.model_copy(update={"exit_code": 0 if right else 1})
            text = "3 passed in 0.1s" if right else "1 failed in 0.1s"
        calls.append(call)
        if tool != "submit":
            left = f"{128 - number - 1} turns and {131072 - 100 * (number + 1) - 10} tokens left"
            messages += SYNTAXES[syntax].answers(answer, f"{text.rstrip()}\n[{left}]")
    diff = difflib.unified_diff(
        FILE.splitlines(True), file.content.decode().splitlines(True), "a/f.py", "b/f.py"
    )
    outcome = {**dict(taken.outcome), "patch": "diff --git a/f.py b/f.py\n" + "".join(diff)}
    made = {"messages": messages, "tool_calls": calls, "model_calls": model_calls}
    return Trajectory(**{**dict(taken), **made, "outcome": Outcome(**outcome)})


def edit(old: str, new: str) -> tuple[str, dict[str, str]]:
    """A call of `edit`."""
    return "edit", {"path": "/testbed/f.py", "search": old, "replace": new}


TEST = ("bash", {"command": "python -m pytest -q"})
LOOK = ("bash", {"command": "cat f.py"})
SUBMIT: tuple[str, dict[str, str]] = ("submit", {})
WRONG, RIGHT = edit("line 20\n", "wrong\n"), edit("line 20\n", "right\n")
BACK = edit("line 19\nwrong\n", "line 19\nline 20\n")  # undone by other lines than were searched


def tools_of(attempt: Trajectory) -> list[str]:
    """The calls of an attempt."""
    return [call.tool for call in attempt.tool_calls]


@pytest.mark.parametrize("syntax", ["functions", "text"])
@pytest.mark.parametrize(
    ("script", "name", "left"),
    [
        ([LOOK, WRONG, TEST, BACK, RIGHT, TEST, SUBMIT], "hindsight", "bash edit bash submit"),
        ([WRONG, LOOK, BACK, RIGHT, TEST, SUBMIT], "hindsight", None),  # something was read between
        ([WRONG, TEST, RIGHT, BACK, SUBMIT], "hindsight", "edit submit"),  # RIGHT was refused
        ([RIGHT, TEST, SUBMIT], "hindsight", None),
        ([LOOK, WRONG, TEST, BACK, RIGHT, LOOK, TEST, SUBMIT], "shorten", "edit bash submit"),
        ([WRONG, TEST, edit("wrong\n", "right\n"), TEST, SUBMIT], "shorten", "edit bash submit"),
        ([edit("line 3\n", ""), RIGHT, TEST, SUBMIT], "shorten", None),
        ([LOOK, edit("line 3\n", ""), RIGHT, TEST, SUBMIT], "shorten", "edit edit bash submit"),
        ([RIGHT, SUBMIT], "shorten", None),
        ([LOOK, WRONG, TEST, BACK, SUBMIT], "shorten", None),  # nothing is left that helps
    ],
)
def test_what_is_cut_out(
    tmp_path: Path,
    script: list[tuple[str, dict[str, str]]],
    name: str,
    left: str | None,
    syntax: str,
) -> None:
    """And what is left is told as it would have been: played again it is the same."""
    attempt = played(script, syntax)
    run = write_run(tmp_path / "run", [attempt], patch="")
    done = filtered(run, tmp_path / "kept", name)
    (after,) = Run(tmp_path / "kept").trajectories()
    if left is None:
        assert after == attempt
        assert done.counts[0].changed == 0
        return
    if left == "edit submit":  # BACK makes RIGHT's refusal and all else undone
        assert tools_of(after) == ["submit"]
        return
    assert tools_of(after) == left.split()
    again = played([(call.tool, call.arguments) for call in after.tool_calls], syntax)
    thoughts = [
        text_of(one).partition("\n")[0] for one in after.messages if one["role"] == "assistant"
    ]
    assert all(one.startswith("Thought ") for one in thoughts)
    told = [
        text_of(one).rpartition("\n")[0] for one in after.messages[2:] if one["role"] != "assistant"
    ]
    assert told == [
        text_of(one).rpartition("\n")[0] for one in again.messages[2:] if one["role"] != "assistant"
    ]
    assert after.outcome.patch == again.outcome.patch
    for number, (call, step) in enumerate(zip(after.model_calls, steps(after), strict=True), 1):
        assert call.completion_token_ids is None
        if step.observations:
            rest = 131072 - call.usage.prompt_tokens - 10
            assert text_of(step.observations[0]).endswith(
                f"[{128 - number} turns and {rest} tokens left]"
            )
    assert [call.usage.prompt_tokens for call in after.model_calls] == [
        100 * number for number in range(1, after.turns + 1)
    ]


def test_an_edit_by_other_means_is_not_shortened_away(tmp_path: Path) -> None:
    """Where the patch is not of the edits alone nothing is proven; `only` drops it then."""
    attempt = played([LOOK, RIGHT, TEST, SUBMIT])
    patch = attempt.outcome.patch.replace("+right", "+right\n+and more").replace("23,7", "23,8")
    other = with_outcome(attempt, patch=patch.replace("+17,7", "+17,8"))
    run = write_run(tmp_path / "run", [other], patch="")
    assert filtered(run, tmp_path / "kept", "shorten").counts[0].changed == 0
    assert filtered(run, tmp_path / "only", choice("shorten", only=True)).attempts == 0


def test_what_tests_leave_about_does_not_count_where_the_edits_are_the_tasks_own(
    tmp_path: Path,
) -> None:
    """The reference patch is known to pass."""
    attempt = played([LOOK, RIGHT, TEST, SUBMIT])
    about = (
        "diff --git a/x.log b/x.log\nnew file mode 100644\n"
        "--- /dev/null\n+++ b/x.log\n@@ -0,0 +1 @@\n+x\n"
    )
    left = with_outcome(attempt, patch=attempt.outcome.patch + about)
    run = write_run(tmp_path / "run", [left], patch=attempt.outcome.patch)
    filtered(run, tmp_path / "kept", "shorten")
    (after,) = Run(tmp_path / "kept").trajectories()
    assert tools_of(after) == ["edit", "bash", "submit"]


def test_a_cut_attempt_remembers_whose_turns_its_first_are(tmp_path: Path) -> None:
    """The parent's turns that are left, and the tokens of its own calls."""
    attempt = changed(
        played([LOOK, WRONG, TEST, BACK, RIGHT, TEST, SUBMIT]), parent="x/y", parent_turn=6
    )
    run = write_run(tmp_path / "run", [attempt])
    filtered(run, tmp_path / "kept", "hindsight")
    (after,) = Run(tmp_path / "kept").trajectories()
    assert after.parent_turn == 3  # LOOK and RIGHT are the parent's
    own = after.model_calls[2:]
    assert after.usage == sum((one.usage for one in own), Usage())


_PIECES = [
    *"abc",
    "x1",
    " ",
    "  ",
    "/",
    "\\",
    "&",
    "*",
    "[",
    "]",
    ".",
    "^",
    "$",
    "+",
    "é",
    '"',
    ";",
    "|",
]


@pytest.mark.parametrize("seed", range(30))
def test_sed_does_what_the_edit_did(seed: int, tmp_path: Path) -> None:
    """The command is run for real: whatever is in a line, it makes the new one of the old."""
    coin = random.Random(seed)
    lines = ["".join(coin.choices(_PIECES, k=coin.randrange(1, 9))) for _ in range(6)]
    new = list(lines)
    for at in coin.sample(range(2, 5), 2):
        words = list(lines[at])
        words[coin.randrange(len(words))] = coin.choice(_PIECES)
        new[at] = "".join(words)
    (tmp_path / "file").write_text("\n".join(lines) + "\n")
    change = Change("file", 2, tuple(lines[2:5]), tuple(new[2:5]))
    try:
        script = command(change, "file")
    except Unproven:
        assert new == lines or any(not line for line in lines)
        return
    subprocess.run(["bash", "-c", script], check=True, cwd=tmp_path)
    assert (tmp_path / "file").read_text() == "\n".join(new) + "\n"


def test_an_edit_and_its_tests_become_one_command(tmp_path: Path) -> None:
    """The first edit and the first run that passed: the answer is the run's as it was recorded."""
    kept = tmp_path / "kept"
    short = choice("shorten", only=True, first=True)
    filtered(recorded(tmp_path), tmp_path / "short", "resolved", short)
    filtered(recorded(tmp_path), kept, "resolved", short, choice("sed", tests=True))
    runs = {
        one.id: [each for each in steps(one) if each.call and each.call.tool == "bash"]
        for one in Run(tmp_path / "short").trajectories()
    }
    joined = 0
    for one in Run(kept).trajectories():
        *trials, last = steps(one)
        assert last.call and last.call.tool == "submit"
        for each in trials:
            made = each.call.arguments["command"] if each.call else ""
            if made.startswith("git checkout -q "):
                (run,) = runs[one.id]
                told = text_of(each.observations[0])
                assert told.rpartition("\n")[0] == text_of(run.observations[0]).rpartition("\n")[0]
                assert run.call and run.call.arguments["command"].endswith(made.split("--tb=no")[1])
                joined += 1
    assert joined


def test_a_trial_begins_with_the_file_as_it_was(tmp_path: Path) -> None:
    """One that failed is followed by the next: nothing of it is left; it exits as pytest."""
    for name, text in {
        "a.py": "x = 1\n",
        "test_a.py": "def test():\n    from a import x\n    assert x == 3\n",
    }.items():
        (tmp_path / name).write_text(text)
    done = "git init -q; git add -A; git -c user.name=a -c user.email=a@b commit -qm a"
    subprocess.run(["bash", "-c", done], check=True, cwd=tmp_path)
    codes = [
        subprocess.run(
            ["bash", "-c", trial(f"sed -i '1s/1/{new}/' a.py", "a.py", "test_a.py")],
            cwd=tmp_path,
            capture_output=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},  # as in a sandbox
        ).returncode
        for new in (2, 3)
    ]
    assert codes == [1, 0]
    assert (tmp_path / "a.py").read_text() == "x = 3\n"


def test_edits_become_commands(tmp_path: Path) -> None:
    """Of real attempts, shortened: a command, submit; no thought, no id, and it is told so."""
    kept = tmp_path / "kept"
    filtered(recorded(tmp_path), kept, "resolved", choice("shorten", only=True, tests=False), "sed")
    found = list(Run(kept).trajectories())
    assert found
    for one in found:
        assert one.transforms == ["shorten", "sed"]
        *edits, last = [step.call for step in steps(one) if step.call]
        assert last.tool == "submit"
        assert all(call.arguments["command"].startswith("sed -i '") for call in edits)
        told = [text_of(step.observations[0]) for step in steps(one) if step.observations]
        assert all(text.startswith("[exit code 0]\n[") for text in told)
