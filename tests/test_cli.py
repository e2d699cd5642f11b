import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from attempts import Settings, make_attempt, make_task
from click.testing import CliRunner, Result

from forager.cli.main import main
from forager.cli.verb import Forager
from forager.errors import BuildError, EngineError, SourceError
from forager.records import write_records
from forager.trajectories.record import Trajectory
from forager.trajectories.store import Run

FORAGER = Path(sys.executable).with_name("forager")
ROOT = Path(__file__).parent.parent


def forager(*arguments: str | Path) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def shell(*arguments: str | Path, **options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    return subprocess.run(
        [FORAGER, *arguments], capture_output=True, text=True, env={**os.environ, **options}
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with four attempts."""
    path = tmp_path / "run"
    with Run.write(path, Settings(), [make_task("a"), make_task("b")]) as writer:
        writer.append(make_attempt("a", 0, seconds=30))
        writer.append(make_attempt("a", 1, seconds=10, resolved=False, exit_reason="turn_limit"))
        writer.append(make_attempt("b", 0, seconds=20, family="arguments"))
        writer.append(make_attempt("b", 1, seconds=40, family="arguments", resolved=False))
    return path


def verbs(group: click.Group, path: str = "forager") -> Iterator[tuple[str, click.Command]]:
    """Every verb with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from verbs(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def options(command: click.Command) -> list[click.Option]:
    """The options of a verb."""
    return [param for param in command.params if isinstance(param, click.Option)]


def spellings(option: click.Parameter) -> list[str]:
    """The ways to write an option."""
    return [*option.opts, *option.secondary_opts]


def find_verb(words: list[str]) -> tuple[click.Command, list[str]]:
    """The verb that a command line names, and what follows it."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return command, words


def before_dashes(words: list[str]) -> list[str]:
    """The words before `--`; what follows is another program's."""
    return words[: words.index("--")] if "--" in words else words


def documented() -> Iterator[tuple[str, int, str]]:
    """File, line and text of each command in the code blocks of README and docs."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        inside, command, start = False, "", 0
        for number, text in enumerate(path.read_text().splitlines(), 1):
            if text.lstrip().startswith("```"):
                inside = not inside
            elif inside and (command or re.match(r"\s*(\$ )?forager ", text)):
                start = start if command else number
                command += text.strip().removeprefix("$ ").removesuffix("\\") + " "
                if not text.endswith("\\") and not in_quotes(command):
                    yield path.name, start, command.strip()
                    command = ""


def in_quotes(command: str) -> bool:
    """Whether the next line belongs to the same word."""
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return True
    return False


def test_help_imports_nothing_heavy() -> None:
    """Help answers at once; that of a verb may import its settings records."""
    for arguments, heavy in (
        (["--help"], "docker openai libcst rich pydantic textual torch pyarrow"),
        (["run", "--help"], "docker openai libcst rich textual torch pyarrow"),
        (["train", "--help"], "docker openai libcst textual torch pyarrow transformers"),
        (["serve", "--help"], "docker openai libcst textual torch pyarrow transformers vllm"),
    ):
        code = (
            f"import sys; from forager.cli.main import main; main({arguments}, "
            f"standalone_mode=False); print(sorted(set({heavy.split()}) & set(sys.modules)))"
        )
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.endswith("\n[]\n"), arguments


@pytest.mark.parametrize(("words", "command"), list(verbs(main)))
def test_every_verb_has_help(words: str, command: click.Command) -> None:
    """Verbs and options have whole sentences, and an example or a paragraph."""
    result = forager(*words.split()[1:], "--help")
    assert result.exit_code == 0
    assert command.help
    first = command.get_short_help_str(limit=1000)
    assert first.endswith(".")
    assert len(first) <= 80
    for option in options(command):
        assert (option.help or "").endswith("."), option.opts
    for page in re.findall(r"docs/[\w-]+\.md", result.stdout):
        assert (ROOT / page).is_file(), page


def test_an_option_means_the_same_everywhere() -> None:
    """A short form belongs to one option, and the options of all verbs take the same kind of value.

    `-o`, `-w` and `-m` have one long form; `--seed` and `--limit` take a number, `--json` and
    `--dry-run` none.
    """
    letters: dict[str, set[str]] = {}
    flags: dict[str, set[bool]] = {}
    for _, command in verbs(main):
        for option in options(command):
            long = max(option.opts, key=len)
            flags.setdefault(long, set()).add(bool(option.is_flag))
            for letter in (name for name in option.opts if len(name) == 2):
                letters.setdefault(letter, set()).add(long)
    known = {"-o": {"--output"}, "-w": {"--workers"}, "-m": {"--model"}, "-k": {"-k"}}
    assert letters == known
    assert [name for name, kinds in flags.items() if len(kinds) > 1] == []
    assert (flags["--seed"], flags["--limit"]) == ({False}, {False})
    assert (flags["--json"], flags["--dry-run"]) == ({True}, {True})


def test_an_option_with_a_short_form_always_has_it() -> None:
    """Whoever knows `-w` from one verb can type it in every verb that has --workers."""
    for words, command in verbs(main):
        for option in options(command):
            for long, letter in (("--output", "-o"), ("--workers", "-w"), ("--model", "-m")):
                assert (long in option.opts) == (letter in option.opts), words


UNWANTED = re.compile(
    r"\b(whence|reckon\w*|lest|beside|is told|are told|to be had|nobody's business|so many|"
    r"ranks.of.data|seconds.to.meet|row.tokens|enough|rehearse|"
    r"(that|which) (is|are) no(ne)?)\b",
    re.IGNORECASE,
)
"""Words of the left column of our rules for writing."""


@pytest.mark.parametrize(("words", "command"), list(verbs(main)))
def test_help_is_written_in_the_words_of_the_field(words: str, command: click.Command) -> None:
    """Help uses none of the private words of earlier versions."""
    shown = forager(*words.split()[1:], "--help").stdout
    assert not UNWANTED.search(" ".join(shown.split()))


def test_help_shows_the_defaults_of_the_settings() -> None:
    """The records declare them; numbers have separators."""
    shown = " ".join(forager("run", "--help").stdout.split())
    assert "Maximum number of model calls per attempt. [default: 128; x>=1]" in shown
    assert "[default: 131,072; x>=1]" in shown
    assert "--sandbox [docker|bubblewrap]" in shown


def test_verbs_are_grouped_by_what_a_person_does() -> None:
    """Each verb stands in one group of the overview."""
    grouped = {heading: " ".join(names) for heading, names in main.headings.items()}
    assert grouped == {
        "Set up": "doctor schema",
        "Make images, tasks and traces": "image tasks trace",
        "Run attempts": "run watch evaluate select audit",
        "Look at attempts and traces": "list replay debug report tokens",
        "Learn from attempts": "filter credit export train serve bootstrap rl base",
    }
    shown = forager("--help").stdout
    assert [shown.index(f"\n{heading}:\n") for heading in grouped] == sorted(
        shown.index(f"\n{heading}:\n") for heading in grouped
    )


@pytest.mark.parametrize(
    ("path", "line", "command"),
    [pytest.param(*case, id=f"{case[0]}:{case[1]}") for case in documented()],
)
def test_commands_of_the_documentation_can_be_typed(path: str, line: int, command: str) -> None:
    """Every `forager …` line of README and docs names a verb and options that help shows."""
    words = shlex.split(command, comments=True)
    verb, rest = find_verb(words[1:])
    assert not isinstance(verb, click.Group) or not rest, f"{path}:{line}: no verb {rest[:1]}"
    context = click.Context(verb)
    known = {name for option in verb.get_params(context) for name in spellings(option)}
    plain = (word for word in before_dashes(rest) if " " not in word)  # not --agent 'COMMAND'
    named = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(plain)))
    assert named <= known, f"{path}:{line}: no {named - known}"
    if not any(word in command for word in "[|…"):  # all but a synopsis
        verb.make_parser(context).parse_args(list(rest))


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (SourceError("no such path: x"), 2, ["forager: no such path: x"]),
        (EngineError("no engine"), 1, ["forager: no engine"]),
        (BuildError("it fails", "line 1\nline 2\n"), 1, ["forager: it fails", "line 1", "line 2"]),
        (KeyboardInterrupt(), 130, ["forager: interrupted"]),
    ],
)
def test_an_error_is_a_line_and_an_exit_code(
    error: BaseException, code: int, lines: list[str]
) -> None:
    """An error is one line on stderr, without a traceback."""

    @click.command()
    def fail() -> None:
        raise error

    group = Forager("forager", commands={"fail": fail})
    result = CliRunner().invoke(group, ["fail"])
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.splitlines() == lines


def test_mistyped_options_are_one_line(run: Path) -> None:
    """The line for a mistyped option points to the help."""
    for arguments, message in (
        (["list", run, "--nope"], "No such option '--nope' (see `forager list --help`)"),
        (["xyz"], "No such command 'xyz' (see `forager --help`)"),
        (["list"], "Missing argument 'RUN' (see `forager list --help`)"),
    ):
        done = shell(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"forager: {message}\n"


def test_interrupted(run: Path) -> None:
    """Ctrl-C ends a verb with one line and exit code 130."""
    fifo = run / "pipe.jsonl"
    os.mkfifo(fifo)
    command: list[str | Path] = [
        "env",
        "--default-signal=INT",
        FORAGER,
        "report",
        fifo,
    ]  # where tests run under `&`
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        with fifo.open("w"):  # opens when the other end does
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
        assert process.stderr is not None
        assert process.stderr.read() == "forager: interrupted\n"


def test_a_closed_pipe_is_no_error(run: Path) -> None:
    """A reader that stops early, as in `forager list … | head`, causes no error."""
    command = f"{FORAGER} replay {run} --print --full | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout == "attempt  a.0\n"


def test_list_json_is_one_array(run: Path) -> None:
    """The array has one object per attempt."""
    listed = json.loads(forager("list", run, "--json").stdout)
    assert [attempt["id"] for attempt in listed] == ["a.0", "a.1", "b.0", "b.1"]
    assert listed[1] == {
        "id": "a.1",
        "instance_id": "a",
        "attempt": 1,
        "model": "repair",
        "family": "operators",
        "operator": "negative_index",
        "kind": "mutate-fix",
        "repo": "someone/pkg",
        "resolved": False,
        "exit_reason": "turn_limit",
        "turns": 6,
        "reward": -1,
        "similarity": 0.0,
        "seconds": 10.0,
        "prompt_tokens": 6000,
        "completion_tokens": 300,
        "ended_at": "2026-11-23T10:00:10+00:00",
        "parent": "",
        "suspect": "",
        "cause_kind": "",
        "tokens": 6300,
    }


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ("--resolved", ["a.0", "b.0"]),
        ("--unresolved", ["a.1", "b.1"]),
        ("--sort seconds", ["a.1", "b.0", "a.0", "b.1"]),
        ("--sort -seconds --limit 2", ["b.1", "a.0"]),
        ("--sort family --resolved", ["b.0", "a.0"]),
    ],
)
def test_list_chooses_and_sorts(run: Path, options: str, ids: list[str]) -> None:
    """The table and the JSON have the same attempts in the requested order."""
    listed = json.loads(forager("list", run, "--json", *options.split()).stdout)
    assert [attempt["id"] for attempt in listed] == ids
    rows = forager("list", run, *options.split()).stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ids


def test_list_names_the_fields(run: Path) -> None:
    """An unknown field gives an error that lists the known ones."""
    result = forager("list", run, "--sort", "size")
    assert result.exit_code == 2
    assert "no field 'size' to sort by; there are id, instance_id" in result.stderr


def test_an_empty_run_lists_nothing(tmp_path: Path) -> None:
    """An empty run is no error."""
    Run.write(tmp_path / "run", Settings(), []).close()
    assert forager("list", tmp_path / "run", "--json").stdout == "[]\n"
    assert forager("report", tmp_path / "run").exit_code == 0
    assert "holds no attempts yet" in forager("replay", tmp_path / "run").stderr


def test_in_a_pipe_nothing_is_cut(tmp_path: Path) -> None:
    """Long ids stay whole, for the program that reads them."""
    name = "someone__pkg-" + "0123456789" * 12
    with Run.write(tmp_path / "run", Settings(), []) as writer:
        writer.append(make_attempt(name))
    assert f"{name}.0 " in shell("list", tmp_path / "run").stdout


def test_replay_takes_a_run_an_id_or_a_file(run: Path, tmp_path: Path) -> None:
    """An id may be abbreviated; an ambiguous one prints a list."""
    assert "attempt  b.1\n" in forager("replay", run / "b.1").stdout
    listed = forager("replay", run).stdout
    assert listed.endswith(f"Show one with: forager replay {run}/a.0\n")
    assert forager("replay", run, "--print").stdout.count("outcome ─") == 4
    file = tmp_path / "one.jsonl"
    write_records(file, [make_attempt("alone")])
    assert "attempt  alone.0\n" in forager("replay", file).stdout
    assert "attempt  alone.0\n" in forager("replay", file / "al").stdout


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("run/c", "no attempt is called 'c'"),
        ("run/a", "several attempts begin with 'a'"),
        ("nowhere", "is not a run, an attempt of a run, or a file of attempts"),
        ("", "is not a run directory"),
        ("run/settings.json", "is not an attempt"),
    ],
)
def test_replay_says_what_it_does_not_find(
    run: Path, tmp_path: Path, path: str, message: str
) -> None:
    """An unknown attempt gives one line of error."""
    result = forager("replay", tmp_path / path)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_replay_in_a_poor_terminal(run: Path) -> None:
    """Characters that the terminal lacks become question marks."""
    done = shell("replay", run / "a.0", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "? Some tests fail: [bold]not markup[/bold] [/foo]" in done.stdout


def test_report_takes_runs_together(run: Path) -> None:
    """A report of two runs counts both, as a table and as JSON; a run that is named twice, once."""
    other = Path(shutil.copytree(run, run.parent / "other"))
    text = forager("report", run, other).stdout
    assert "operators" in text
    assert "turn_limit" in text
    counted = json.loads(forager("report", run, other, run, "--json").stdout)
    assert counted["total"]["attempts"] == 8
    assert [family["name"] for family in counted["families"]] == ["arguments", "operators"]


def test_tokens_shows_where_history_is_rewritten(tmp_path: Path) -> None:
    """`tokens` prints counts and first places; its exit code reports rewrites."""
    made = make_attempt()
    calls = [
        call.model_copy(update={"prompt_token_ids": prompt, "completion_token_ids": [3]})
        for call, prompt in zip(made.model_calls, ([1, 2], [1, 2, 3, 4], [1, 5]), strict=False)
    ]
    with Run.write(tmp_path / "run", Settings(), []) as writer:
        writer.append(Trajectory(**{**dict(make_attempt("good")), "model_calls": calls[:2]}))
        assert forager("tokens", tmp_path / "run").exit_code == 0
        writer.append(Trajectory(**{**dict(make_attempt("bad")), "model_calls": calls}))
    result = forager("tokens", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[2].split() == ["calls", "5", "5", "1"]
    assert result.stdout.splitlines()[-1].split() == [*("bad.0", "1", "3", "1", "older", "history")]
    counted = json.loads(forager("tokens", tmp_path / "run", "--json").stdout)
    assert (counted["sequences"], counted["first"][0]["id"]) == (3, "bad.0")
    assert forager("tokens", tmp_path / "run", "--limit", "1").exit_code == 0


def test_tokens_of_a_run_without_ids(run: Path) -> None:
    """Without token ids, `tokens` says how to record them."""
    result = forager("tokens", run)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "--token-ids" in result.stderr


def test_damage_is_told_once_and_the_rest_is_listed(run: Path) -> None:
    """A damaged shard gives one message on stderr."""
    (shard,) = Run(run).shards()
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 0xFF
    shard.write_bytes(data)
    result = forager("list", run)
    assert len(result.stdout.splitlines()) == 4
    assert re.fullmatch(r"forager: skipped [\d,]+ damaged bytes of .*\n", result.stderr)


def test_a_recipe_belongs_to_one_source(tmp_path: Path) -> None:
    """A recipe with two sources is refused before any build."""
    result = forager("image", "build", "a", "b", "--recipe", tmp_path / "recipe.toml")
    assert result.exit_code == 2
    assert "a recipe belongs to one source" in result.stderr


def test_an_unknown_image_is_said() -> None:
    """The error names the verb that lists images."""
    result = forager("image", "show", "nothing-such")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "`forager image list`" in result.stderr


@pytest.mark.engine
def test_images_are_built_listed_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing source gives a message and the exit code, but does not stop the other."""
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))
    project = tmp_path / "tiny"
    (project / "tests").mkdir(parents=True)
    (project / "tiny.py").write_text("def one():\n    return 1\n")
    (project / "pyproject.toml").write_text('[project]\nname = "tiny"\nversion = "1.0"\n')
    (project / "tests" / "test_tiny.py").write_text(
        "from tiny import one\n\n\ndef test_one():\n    assert one() == 1\n"
    )
    records, recipe = tmp_path / "images.jsonl", tmp_path / "recipe.toml"
    result = forager("image", "build", project, tmp_path / "none", "-o", records, "-w", "1")
    assert result.exit_code == 2  # no such path: the user's mistake
    assert "1 of 2 failed, see above" in result.stderr
    (line,) = result.stdout.splitlines()
    reference, passing = line.split("\t")
    assert passing == "1 tests pass"
    assert json.loads(records.read_text())["reference"] == reference

    again = forager("image", "build", project, "--write-recipe", recipe)
    assert (again.exit_code, again.stdout) == (0, result.stdout)
    assert "was built before" in again.stderr
    assert "tests" in recipe.read_text()
    (listed,) = json.loads(forager("image", "list", "--json").stdout)
    assert listed["reference"] == reference
    assert reference in forager("image", "list").stdout
    shown = forager("image", "show", reference).stdout
    assert "tests     1 pass, 0 flaky, 0 fail, 0 skipped" in shown
    assert json.loads(forager("image", "show", reference, "--json").stdout) == listed
