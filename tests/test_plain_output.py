"""Text that other people wrote is printed as plain text: no escape sequence, no markup."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from attempts import make_attempt, make_task
from click.testing import CliRunner
from screens import keys, played

from forager.cli.main import main
from forager.cli.progress import Progress
from forager.environments.repository.task import RepositoryTask, TestSetup
from forager.images.image import Image
from forager.images.recipe import Recipe
from forager.images.source import Source
from forager.paths import data_directory
from forager.records import write_records
from forager.rollout.settings import RunSettings
from forager.text import json_text, safe, safe_json
from forager.trajectories.record import Trajectory
from forager.trajectories.store import Run

CLI = Path(__file__).parent.parent / "forager" / "cli"
# The clipboard, a link, a colour, a cleared screen, an 8-bit sequence, a title without end, a
# reversed direction, rich's markup, HTML and Markdown.
HOSTILE = (
    "\x1b]52;c;aGk=\x07\x1b]8;;http://evil\x1b\\\x1b[31m\x1b[2J\x9b31m\x9d0;title\u202e\u2066"
    "[red]red[/red][link=http://evil]x[/link][/] <script>x</script> | `x` \x7f\x08\r\x1b]0;title"
)
_KEPT = {"cause_kind", "role", "syntax", "started_at", "environment", "kind", "version", "model"}
_KEPT |= {"id", "type", "name", "tool", "tool_call_id", "search", "path", "parser"}
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def hostile(value: Any, key: str = "") -> Any:
    """Return a record's content with the hostile text in each of its texts."""
    if isinstance(value, str):
        return value if key in _KEPT else value + HOSTILE
    if isinstance(value, dict):
        return {name: hostile(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [hostile(item, key) for item in value]
    return value


def is_plain(text: str) -> bool:
    """Whether nothing but lines of visible characters is left when forager's colours are gone."""
    return all(line.isprintable() for line in re.split(r"[\n\t]", _COLOURS.sub("", text)))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Write a run of hostile attempts at a hostile task."""
    task = RepositoryTask.model_validate(hostile(make_task().model_dump()))
    attempts = []
    for number in range(2):
        made = hostile(make_attempt(attempt=number, resolved=number == 0).model_dump())
        made |= {"id": f"{task.instance_id}.{number}", "model": f"qwen{HOSTILE}"}
        attempts.append(Trajectory.model_validate(made))
    path = tmp_path / "run"
    with Run.write(path, RunSettings(models=["repair"]), [task]) as writer:
        for attempt in attempts:
            writer.append(attempt)
        writer.append_lost(f"a{HOSTILE}", ValueError(HOSTILE), HOSTILE)
    return path


def printed(*words: str | Path) -> str:
    """Return all that a verb prints."""
    done = CliRunner().invoke(main, list(map(str, words)), color=True)
    assert not done.exception or isinstance(done.exception, SystemExit), done.exception
    return str(done.output)


@pytest.mark.parametrize(
    "words",
    ["list RUN", "list RUN --json", "replay RUN", "replay RUN --print --full", "report RUN",
     "report RUN --json", "tokens RUN", "watch RUN", "evaluate RUN",
     "select RUN -o OUT --by majority",
     "filter RUN -o OUT", "export RUN -o OUT --format jsonl", "list RUN/none", "run RUN -o OUT",],
)  # fmt: skip
def test_no_verb_prints_what_a_terminal_obeys(words: str, run: Path, tmp_path: Path) -> None:
    """Whatever an attempt, a task or a lost attempt says is shown as visible text."""
    named = words.replace("RUN", str(run)).replace("OUT", str(tmp_path / "out")).split(" ")
    text = printed(*named)
    assert text.strip()
    assert is_plain(text), ascii(text)
    if "--json" in named:
        json.loads(text)


def test_images_are_shown_as_plain_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts, notes and recipes of projects are shown as visible text."""
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path))
    image = Image(
        reference=f"forager/x:1{HOSTILE}", digest="sha256:0", key="k", base="b", commit=HOSTILE,
        created_at="now", test_seconds=1, notes=[HOSTILE], passing=["a"],
        source=Source(given=HOSTILE, kind="path", name=f"local/x{HOSTILE}", digest=""),
        recipe=Recipe(), setup=TestSetup(),
    )  # fmt: skip
    directory = data_directory() / "images"
    directory.mkdir(parents=True)
    write_records(directory / "k.json", [image])
    for words in (["image", "list"], ["image", "list", "--json"], ["image", "show", "k"]):
        text = printed(*words)
        assert is_plain(text), ascii(text)


def test_errors_and_progress_are_plain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File names, keys and notes are text of others, too."""
    place = tmp_path / f"a{HOSTILE.replace('/', '')}"
    place.write_text(json.dumps({HOSTILE: 1}) + "\n")
    assert is_plain(printed("run", place, "-m", "repair", "-o", tmp_path / "out"))
    assert is_plain(printed("list", place))
    with Progress(HOSTILE) as progress:
        progress.note(HOSTILE)
    assert is_plain(capsys.readouterr().err)


@pytest.mark.parametrize("suffix", ["html", "md", "json"])
def test_report_files_hold_no_markup_of_others(suffix: str, run: Path, tmp_path: Path) -> None:
    """HTML and Markdown show hostile text as it is, and obey none of it."""
    path = tmp_path / f"report.{suffix}"
    assert is_plain(printed("report", run, "-o", path))
    text = path.read_text()
    assert is_plain(text), [ascii(line) for line in text.split("\n") if not is_plain(line)][:9]
    assert "<script>x" not in text.replace(r"\<", "") or suffix == "json"
    assert len(re.findall("<script>", text)) == (1 if suffix == "html" else text.count(r"<script>"))
    if suffix == "md":
        assert not re.search(r"(?<!\\)[`<\[]", text)


def test_screens_show_plain_text(run: Path) -> None:
    """Textual reads no markup, and no title sends a sequence."""
    for pressed in ([], ["enter"], ["enter", "n", "n", "r"], ["c"]):
        shown = played(run, keys(*pressed), size=(120, 40))
        assert is_plain(shown), ascii(shown)


def test_json_stays_json() -> None:
    """What JSON hides as escapes is read back as it was."""
    value = {"a": [HOSTILE, "ü\ud800"]}
    assert json.loads(json_text(value)) == value
    assert is_plain(json_text(value))
    assert safe_json('{"a": "\\u202e"}') == '{"a": "\\u202e"}'
    assert is_plain(safe(HOSTILE + "\ud800"))


def test_verbs_print_through_one_module() -> None:
    """A `print` or `click.echo` elsewhere would print text as it is."""
    for path in sorted(CLI.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and path.name != "console.py":
                assert ast.unparse(node.func) not in ("print", "click.echo", "click.secho"), path
