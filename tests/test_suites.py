"""Evaluations of suites: what ships, a scripted server, a kill, comparisons, one's own suites."""

import gzip
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from test_chat import Script, completion, serving

from forager.cli.main import main
from forager.errors import UsageError
from forager.evaluation.passing import evaluated
from forager.trajectories.store import Run
from forager.trajectories.summary import Summary
from tasks.suite import load_suite, shipped, suite_tasks

FORAGER = Path(sys.executable).with_name("forager")
DATA = Path("/work/shared/data")
ROWS = [
    {"id": f"sample_{n}", "code": "def f(n):\n    return [n] * 2", "input": str(n),
     "output": f"[{n}, {n}]"}
    for n in range(4)
]  # fmt: skip
THREES = completion({"content": "[ANSWER]\nassert f(3) == [3, 3]\n[/ANSWER]"})


@pytest.fixture
def server() -> Iterator[Script]:
    """A server that always answers as if it were asked about 3."""
    with serving() as script:
        script.answers = [THREES]
        yield script


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A file of four rows, of which the server resolves one."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def evaluate(server: Script, *words: str | Path) -> Result:
    """Run `forager evaluate` with the model `m`."""
    given = ["evaluate", *map(str, words), "-m", "m", "--url", server.url, "-w", "2"]
    return CliRunner(env={"OPENAI_BASE_URL": None}).invoke(main, given)


def found(server: Script, *words: str | Path) -> Any:
    """What `forager evaluate --json` prints."""
    result = evaluate(server, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("name", shipped())
def test_a_suite_that_ships_says_where_its_rows_come_from(name: str) -> None:
    """It has its file's name, a source and a licence, and help lists it."""
    suite = load_suite(name)
    assert suite.name == name
    assert suite.source
    assert suite.licence
    assert max(suite.metric) <= suite.attempts
    shown = CliRunner().invoke(main, ["evaluate", "--help"]).stdout
    assert name in "".join(shown.split())  # lines may break at its hyphens


@pytest.mark.skipif(not DATA.exists(), reason="the data are not on this machine")
@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("cruxeval-o", "cruxeval.jsonl", 800),
        ("cruxeval-i", "cruxeval.jsonl", 800),
        ("humaneval", "humaneval.jsonl.gz", 164),
        ("humaneval-x-cpp", "humaneval-x-cpp.jsonl.gz", 164),
        ("math-500", "math500.jsonl", 500),
        ("gsm8k", "gsm8k-test.jsonl", 1319),
    ],
)
def test_suites_take_all_rows_of_their_data(name: str, file: str, count: int) -> None:
    """None is refused; each has the suite among its labels and stays out of training."""
    refused: Counter[str] = Counter()
    tasks = suite_tasks(load_suite(name), str(DATA / file), "image", refused)
    assert (len({task.instance_id for task in tasks}), refused) == (count, {})
    assert {task.labels.more["suite"] for task in tasks} == {name}


def test_an_evaluation_is_a_run_with_estimates_tokens_and_cost(
    server: Script, rows: Path, tmp_path: Path
) -> None:
    """pass@k counts attempts, the suite's sampling goes out, options win, other verbs read it."""
    budget = tmp_path / "budget.toml"
    budget.write_text("prices.m = {prompt = 1_000_000, completion = 500_000}\n")
    words = ("cruxeval-o", "-o", tmp_path / "run", "--data", rows, "--budget", budget)
    value = found(server, *words, "--attempts", "5", "--top-p", "0.5")
    assert (value["success"]["mean"], value["pass@5"]["mean"]) == (0.25, 0.25)
    assert value["success"]["low"] < 0.25 < value["success"]["high"]
    assert (value["attempts"], value["prompt_tokens"], value["completion_tokens"]) == (20, 140, 40)
    assert value["money"] == 20 * (7 + 1)
    asked = server.seen[0]
    assert (asked["temperature"], asked["top_p"]) == (0.2, 0.5)
    text = evaluate(server, *words, "--attempts", "5", "--top-p", "0.5").stdout
    assert "20 attempts, 140 prompt and 40 completion tokens, cost 160.00" in text
    assert len(server.seen) == 20
    for verb in ("list", "report"):
        assert CliRunner().invoke(main, [verb, str(tmp_path / "run")]).exit_code == 0
    page = tmp_path / "report.html"
    written = CliRunner().invoke(main, ["report", str(tmp_path / "run"), "-o", str(page)])
    assert written.exit_code == 0
    assert "By suite" in page.read_text()


def test_a_killed_evaluation_goes_on(server: Script, rows: Path, tmp_path: Path) -> None:
    """What was made before SIGKILL is not made again; the tables are those of all attempts."""
    server.answers = [THREES.__class__(**{**vars(THREES), "delay": 0.1})]
    run = tmp_path / "run"
    command = [str(FORAGER), "evaluate", "cruxeval-o", "-o", str(run), "--data", str(rows), "-m",
               "m", "--url", server.url, "-w", "1", "--attempts", "5", "--json"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        while len(server.seen) < 6:
            assert first.poll() is None
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
    kept = sum(1 for _ in Run(run).summaries())
    assert 4 <= kept < 20
    before = len(server.seen)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(server.seen) - before == 20 - kept
    value = json.loads(done.stdout)
    assert (value["attempts"], value["success"]["mean"]) == (20, 0.25)


def test_two_evaluations_are_compared_task_by_task(
    server: Script, rows: Path, tmp_path: Path
) -> None:
    """Of several suites each has a run of its own, and is compared with its own."""
    own = tmp_path / "zeros.toml"
    own.write_text(f'name = "zeros"\nformat = "cruxeval-o"\ndata = "{rows.name}"\n'
                   'prompt = "Think.\\n{statement}"\n')  # fmt: skip
    words = (own, "cruxeval-o", "--data", f"cruxeval-o={rows}", "--attempts", "1")
    first = found(server, *words, "-o", tmp_path / "old")
    assert {name: value["success"]["mean"] for name, value in first.items()} == {
        "zeros": 0.25,
        "cruxeval-o": 0.25,
    }
    assert server.seen[0]["messages"][-1]["content"].startswith("Think.\nYou are given")
    server.answers = [completion({"content": "[ANSWER][0, 0][/ANSWER]"})]
    second = found(server, *words, "-o", tmp_path / "new", "--against", tmp_path / "old")
    assert second["zeros"]["gain"]["mean"] == 0.0  # one task more, one less
    assert second["zeros"]["gain"]["high"] > 0.5
    assert [task.labels.more["suite"] for task in Run(tmp_path / "old/zeros").tasks()] == [
        "zeros"
    ] * 4


def test_rows_may_be_compressed(rows: Path, tmp_path: Path) -> None:
    """A file that breaks off is one line."""
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(rows.read_bytes()))
    suite, refused = load_suite("cruxeval-i"), Counter[str]()
    assert len(suite_tasks(suite, str(packed), "", refused, 3)) == 3
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(UsageError, match=r"cannot read .*rows.jsonl.gz: Compressed file ended"):
        suite_tasks(suite, str(packed), "", refused)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cruxeval"], "cruxeval is neither a file nor a suite; there are aime, complexity"),
        (["gsm8k"], "the suite gsm8k has no data of its own: get its rows from github.com/"),
        (["gsm8k", "--data", "nowhere.jsonl"], "nowhere.jsonl is neither a file nor a data set"),
        (["gsm8k", "--data", "ROWS"], "gives no tasks for gsm8k: 4 rows: "),
        (["gsm8k", "aime", "--data", "ROWS"], "write --data SUITE="),
        (["OWN.toml"], "OWN.toml: prompt: it lacks {statement}"),
        (["none.jsonl"], "none.jsonl"),
    ],
)
def test_what_is_wrong_is_one_line(
    server: Script, rows: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    """Before any request is sent."""
    (tmp_path / "OWN.toml").write_text('name = "a"\nformat = "gsm8k"\nprompt = "x"\n')
    places = {"ROWS": rows, "OWN.toml": tmp_path / "OWN.toml"}
    result = evaluate(server, *(places.get(word, word) for word in words), "-o", tmp_path / "run")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert said in line
    assert not server.seen


def test_pass_at_k_takes_the_tasks_with_enough_attempts() -> None:
    """Two of four attempts resolve a task: pass@2 is 5/6; a task with one attempt has none."""

    def summary(task: str, number: int, resolved: bool) -> Summary:
        return Summary(
            id=f"{task}.{number}", instance_id=task, attempt=number, model="m", family="f",
            operator="", kind="", repo="", resolved=resolved, exit_reason="", turns=1, reward=0,
            similarity=0, seconds=1, prompt_tokens=10, completion_tokens=1,
        )  # fmt: skip

    made = [summary("a", number, number < 2) for number in range(4)]
    result = evaluated([*made, summary("b", 0, False)], {"a": "x", "b": "y"}, [1, 2])
    assert (result.pass_at[1].mean, result.pass_at[1].tasks) == (0.25, 2)
    assert (round(result.pass_at[2].mean, 6), result.pass_at[2].tasks) == (0.833333, 1)
    assert (result.attempts, result.prompt_tokens, result.money) == (5, 50, None)
