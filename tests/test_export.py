"""Each export is loaded by the library that it is for, where PyPI has one that installs."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from attempts import PATCH, STEPS, Settings, make_attempt
from click.testing import CliRunner, Result

from forager.atomic import new_directory
from forager.cli.main import main
from forager.errors import StoreError
from forager.records import read_records
from forager.trajectories.export import FORMATS, file_name
from forager.trajectories.record import ModelCall, ToolCall, Trajectory
from forager.trajectories.store import Run


def with_ids(attempt: Trajectory) -> Trajectory:
    """Return the attempt with a server's token ids and with reasoning."""
    history: list[int] = []
    calls = []
    for call in attempt.model_calls:
        prompt, completion = [*history, 1, 2], [3, 4]
        ids = {"prompt_token_ids": prompt, "completion_token_ids": completion}
        calls.append(ModelCall(**{**dict(call), **ids, "logprobs": [-0.25, -0.5]}))
        history = prompt + completion
    messages = [dict(message) for message in attempt.messages]
    messages[2]["reasoning_content"] = "Hm."
    messages[2]["reasoning_details"] = [{"text": "Hm."}]
    return Trajectory(**{**dict(attempt), "model_calls": calls, "messages": messages})


BROKEN = [*STEPS, ("Twice.", "", {}, "Your call could not be read.")]
ATTEMPTS = [
    with_ids(make_attempt("a/b")),
    make_attempt("a/b", 1, syntax="text", resolved=False),
    make_attempt("c", family=None, exit_reason="turn_limit", steps=BROKEN),
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Write a run with three attempts."""
    with Run.write(tmp_path / "run", Settings(), []) as writer:
        for attempt in ATTEMPTS:
            writer.append(attempt)
    return tmp_path / "run"


def export(*arguments: str | Path) -> Result:
    """Run `forager export` in this process."""
    return CliRunner().invoke(main, ["export", *map(str, arguments)])


def exported(run: Path, format: str, *options: str) -> Path:
    """Export the run; return the path."""
    target = run.parent / "out" / format
    result = export(run, "-o", target, "--format", format, *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{target}\t")
    return target


def test_jsonl_is_read_by_forager_itself(run: Path) -> None:
    """Attempts equal the stored ones."""
    assert list(read_records(exported(run, "jsonl"), Trajectory)) == ATTEMPTS


def test_parquet_is_read_by_pyarrow(run: Path) -> None:
    """Messages and calls are nested columns; nothing is lost."""
    from pyarrow.parquet import read_table

    rows = read_table(exported(run, "parquet")).to_pylist()
    assert [row["id"] for row in rows] == ["a/b.0", "a/b.1", "c.0"]
    assert [row["resolved"] for row in rows] == [True, False, True]
    first = rows[0]
    assert (first["patch"], first["family"], first["turns"]) == (PATCH, "operators", 6)
    assert json.loads(first["tests"]) == ATTEMPTS[0].outcome.tests
    assert (first["log"], json.loads(first["left_out"])) == ("", [])
    assert json.loads(first["labels"])["location"] == "pkg/core.py:2"
    (call,) = first["messages"][2]["tool_calls"]
    assert call == ATTEMPTS[0].messages[2]["tool_calls"][0]
    assert first["messages"][2]["reasoning_content"] == "Hm."
    assert json.loads(first["messages"][2]["other"]) == {"reasoning_details": [{"text": "Hm."}]}
    assert set(first["model_calls"][0]) >= set(ModelCall.model_fields) - {"usage"}
    assert set(first["tool_calls"][0]) == set(ToolCall.model_fields)
    assert first["model_calls"][1]["prompt_shared"] == 4
    assert first["model_calls"][1]["prompt_token_ids"] == [1, 2]
    assert first["model_calls"][1]["logprobs"] == [-0.25, -0.5]
    assert json.loads(first["tool_calls"][0]["arguments"]) == STEPS[0][2]


def test_hf_is_loaded_by_datasets(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set has one split, with messages that chat templates accept."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    target = exported(run, "hf")
    import datasets

    loaded = datasets.load_dataset(str(target), cache_dir=str(run.parent / "cache"))
    assert list(loaded) == ["train"]
    assert loaded["train"]["id"][:] == ["a/b.0", "a/b.1", "c.0"]
    roles = [message["role"] for message in loaded["train"][0]["messages"]]
    assert roles == [message["role"] for message in ATTEMPTS[0].messages]
    card = (target / "README.md").read_text()
    assert "\n3 graded attempts" in card


def test_sharegpt_keeps_the_rules_of_llama_factory(run: Path) -> None:
    """Sides alternate, the model is last, calls are JSON (SharegptDatasetConverter).

    LLaMA-Factory itself is too heavy for a test; its `datasets` reads the file.
    """
    target = exported(run, "sharegpt")
    import datasets

    info = json.loads((target / "dataset_info.json").read_text())["forager"]
    path = str(target / info["file_name"])
    rows = datasets.load_dataset("json", data_files=path, cache_dir=str(run.parent / "cache"))
    assert info["formatting"] == "sharegpt"
    for row in rows["train"]:
        turns = row[info["columns"]["messages"]]
        assert len(turns) % 2 == 0
        assert {turn["from"] for turn in turns[::2]} <= {"human", "observation"}
        assert {turn["from"] for turn in turns[1::2]} <= {"gpt", "function_call"}
        assert row[info["columns"]["system"]].startswith("You repair code.")
        for turn in turns:
            if turn["from"] == "function_call":
                text = turn["value"].split("<tool_call>")[-1].split("</tool_call>")[0]
                assert set(json.loads(text)) == {"name", "arguments"}
    first, second, _ = rows["train"]
    assert first["conversations"][1]["value"].startswith("<think>\nHm.\n</think>\n\nLet me run")
    names = [tool["function"]["name"] for tool in json.loads(first["tools"])]
    assert names == ["bash", "edit", "create", "submit"]
    assert second["tools"] == ""
    assert second["conversations"][1]["from"] == "gpt"


def test_atif_keeps_harbors_schema(run: Path) -> None:
    """Files keep the schema and the rules beyond it: ordered step ids, known call ids.

    `harbor` itself needs Python 3.12; its own validator accepts these files.
    """
    import jsonschema

    schema = json.loads(Path(__file__).with_name("atif-v1.8.schema.json").read_text())
    target = exported(run, "atif")
    assert {path.name for path in target.iterdir()} == {
        "a%2Fb.0.json",
        "a%2Fb.1.json",
        "c.0.json",
    }
    documents = [json.loads(path.read_text()) for path in sorted(target.iterdir())]
    for document in documents:
        jsonschema.validate(document, schema)
        assert [step["step_id"] for step in document["steps"]] == [
            *range(1, len(document["steps"]) + 1)
        ]
        for step in document["steps"]:
            ids = {call["tool_call_id"] for call in step.get("tool_calls", [])}
            results = step.get("observation", {"results": []})["results"]
            assert {
                result["source_call_id"] for result in results if "source_call_id" in result
            } <= ids
    first, second, _ = documents
    assert first["extra"]["outcome"]["answer"] == PATCH
    assert first["extra"]["outcome"]["reward"] == 1
    assert first["extra"]["labels"]["location"] == "pkg/core.py:2"
    system, user, act = first["steps"][:3]
    assert (system["source"], user["source"], act["source"]) == ("system", "user", "agent")
    assert act["reasoning_content"] == "Hm."
    assert act["tool_calls"][0]["arguments"] == STEPS[0][2]
    assert act["observation"]["results"][0]["content"] == STEPS[0][3]
    assert act["observation"]["results"][0]["extra"]["exit_code"] == 0
    assert first["steps"][3]["metrics"]["prompt_token_ids"] == [1, 2, 3, 4, 1, 2]
    assert second["steps"][2]["tool_calls"][0]["function_name"] == "bash"


def test_swe_agent_files_are_as_its_own(run: Path) -> None:
    """Files have AgentRunResult's fields, and all that quick-stats and merge-preds read.

    `sweagent` on PyPI does not install; its sources read these files.
    """
    target = exported(run, "swe-agent")
    paths = sorted(path.relative_to(target).as_posix() for path in target.rglob("*.traj"))
    assert paths == ["0/a%2Fb/a%2Fb.traj", "0/c/c.traj", "1/a%2Fb/a%2Fb.traj"]
    document: dict[str, Any] = json.loads((target / paths[0]).read_text())
    fields = "action observation response state thought execution_time query extra_info"
    assert all(set(turn) == set(fields.split()) for turn in document["trajectory"])
    assert document["trajectory"][0]["action"] == "cd /testbed && pytest -q | tail -3"
    assert document["trajectory"][2]["action"].startswith('edit {"path": "pkg/core.py"')
    assert document["info"]["submission"] == PATCH
    assert document["info"]["model_stats"]["api_calls"] == 6
    assert [item["role"] for item in document["history"]][:3] == ["system", "user", "assistant"]
    prediction = json.loads((target / "0/a%2Fb/a%2Fb.pred").read_text())
    assert (prediction["instance_id"], prediction["model_patch"]) == ("a/b", PATCH)


def test_swe_bench_itself_reads_the_predictions(run: Path) -> None:
    """SWE-bench loads each file, with all attempts of one number."""
    target = exported(run, "swe-bench")
    assert sorted(path.name for path in target.iterdir()) == ["0.jsonl", "1.jsonl"]
    if find_spec("swebench") is None:
        pytest.skip("swebench is not installed")
    code = (
        "import json, sys; from swebench.harness.utils import get_predictions_from_file as get;"
        "print(json.dumps([get(file, 'none', 'test') for file in sys.argv[1:]]))"
    )
    read = subprocess.run(
        [sys.executable, "-c", code, target / "0.jsonl", target / "1.jsonl"],
        capture_output=True,
        text=True,
        check=True,
    )
    for number, predictions in enumerate(json.loads(read.stdout)):
        names = [["a/b", "c"], ["a/b"]][number]
        assert [prediction["instance_id"] for prediction in predictions] == names
        stored = [attempt for attempt in ATTEMPTS if attempt.attempt == number]
        told = [
            (prediction["model_name_or_path"], prediction["model_patch"])
            for prediction in predictions
        ]
        assert told == [(attempt.model, attempt.outcome.answer) for attempt in stored]


def test_a_prediction_is_written_once(run: Path, tmp_path: Path) -> None:
    """SWE-bench would silently use the last of several, so the export refuses them."""
    other = Path(shutil.copytree(run, tmp_path / "other"))
    result = export(run, other, "-o", tmp_path / "twice", "--format", "swe-bench")
    assert result.exit_code == 2
    assert "a/b has two attempts 0; export the runs one by one" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "twice").exists()


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ("--resolved", ["a/b.0", "c.0"]),
        ("--unresolved", ["a/b.1"]),
        ("--limit 2", ["a/b.0", "a/b.1"]),
        ("--limit 1 --resolved", ["a/b.0"]),
        ("--sample 9", ["a/b.0", "a/b.1", "c.0"]),
        ("--sample 1 --seed 1 --unresolved", ["a/b.1"]),
    ],
)
def test_attempts_are_chosen(run: Path, options: str, ids: list[str]) -> None:
    """Chosen attempts keep their stored order."""
    path = exported(run, "jsonl", *options.split())
    assert [attempt.id for attempt in read_records(path, Trajectory)] == ids


def test_several_runs_and_files_are_exported_together(run: Path, tmp_path: Path) -> None:
    """A limit counts several runs and files together."""
    file = exported(run, "jsonl")
    target = tmp_path / "all.jsonl"
    assert export(run, file, "-o", target, "--format", "jsonl", "--limit", "4").exit_code == 0
    assert [attempt.id for attempt in read_records(target, Trajectory)] == [
        "a/b.0", "a/b.1", "c.0", "a/b.0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--format", "xml"], "Invalid value for '--format'"),
        (["run", "--format", "jsonl", "--limit", "1", "--sample", "1"], "give one of them"),
        (["run/c.0", "--format", "jsonl"], "run/c.0 is not a run"),
        (["empty", "--format", "jsonl"], "there are no such attempts"),
        (["run", "other", "--format", "atif"], "two attempts would be the file"),
        (["nowhere", "--format", "jsonl"], "is not a run, an attempt of a run, or a file"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    run: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    """A mistake gives one line, exit code 2 and no file."""
    Run.write(run.parent / "empty", Settings(), []).close()
    shutil.copytree(run, run.parent / "other")
    monkeypatch.chdir(run.parent)
    result = export(*arguments, "-o", "out")
    assert result.exit_code == 2
    assert message in result.stderr.splitlines()[-1]
    assert {path.name for path in run.parent.iterdir()} == {"run", "other", "empty"}


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"jsonl", "parquet"}))
def test_a_directory_is_not_written_into(run: Path, tmp_path: Path, format: str) -> None:
    """An existing directory and its files stay."""
    target = tmp_path / "thesis"
    target.mkdir()
    (target / "main.tex").touch()
    result = export(run, "-o", target, "--format", format)
    assert (result.exit_code, list(target.iterdir())) == (2, [target / "main.tex"])
    assert "thesis exists" in result.stderr


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_a_disk_that_takes_nothing_is_one_line(run: Path, tmp_path: Path, format: str) -> None:
    """A place that cannot be created gives one line, for files and directories."""
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "out"
    done = export(run, "-o", target, "--format", format)
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)
    assert done.stderr.splitlines()[-1].startswith(f"forager: cannot write {target}: ")


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path) -> None:
    """The directory appears whole or not at all."""
    with (
        pytest.raises(StoreError, match="out: No space left on device"),
        new_directory(tmp_path / "out") as part,
    ):
        (part / "one").write_text("1")
        Path("/dev/full").write_text("2")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_said(run: Path, tmp_path: Path) -> None:
    """Without pyarrow, hidden here from Python, the error says what to install."""
    code = "import sys; sys.modules['pyarrow'] = None; import forager.cli.main as m; m.main()"
    command: list[str | Path] = [
        sys.executable,
        "-c",
        code,
        "export",
        run,
        "-o",
        tmp_path / "x",
        "--format",
        "hf",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "forager: this format needs pyarrow: pip install -e '.[export]'"
    )


def test_usage_of_an_export_is_bounded(tmp_path: Path) -> None:
    """An export holds one attempt in memory at a time."""
    import tracemalloc

    long = [("", "bash", {"command": "seq"}, "x" * 1_000_000)]
    with Run.write(tmp_path / "run", Settings(), []) as writer:
        for number in range(20):
            writer.append(make_attempt(attempt=number, steps=long))
    for format in ("atif", "sharegpt"):
        tracemalloc.start()
        exported(tmp_path / "run", format)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 15_000_000


@pytest.mark.parametrize("id", ["a/b", "..", "a b", "ünï", "a\x00b", "%"])
def test_ids_are_file_names(id: str) -> None:
    """Different ids get different file names, all inside the directory."""
    name = file_name(id)
    assert Path("/x", name).parent == Path("/x")
    assert Path("/x", name).name == name
