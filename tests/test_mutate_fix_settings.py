"""What decides which bugs become tasks: bands, caps, targets, and the command line's words."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from forager.cli.main import main
from forager.cli.progress import Progress
from forager.environments.repository.mutation import Difficulty, Part
from forager.mutation.bands import Bands
from forager.mutation.candidates import Candidate
from forager.mutation.quota import Quota

BANDS: list[tuple[dict[str, Any], dict[str, Any], str]] = [  # bands, difficulty, what is missed
    ({}, {"failing": 900, "share": 0.5}, ""),
    ({}, {"share": 0.51}, "share"),
    ({"share": ""}, {"share": 1.0}, ""),
    ({}, {"at_import": True}, "at_import"),
    ({"at_import": "any"}, {"at_import": True}, ""),
    ({"at_import": True}, {}, "at_import"),
    ({"failing": "2..5"}, {"failing": 2}, ""),
    ({"failing": "2..5"}, {"failing": 5}, ""),
    ({"failing": "2..5"}, {"failing": 6}, "failing"),
    ({"failing": "2..5"}, {"failing": 1}, "failing"),
    ({"calls": "2.."}, {"calls": 40}, ""),
    ({"calls": "2.."}, {"calls": None}, "calls"),
    ({"files": "..1"}, {"files": 0}, ""),
    ({"patch_lines": "..3"}, {"patch_lines": 4}, "patch_lines"),
    ({"in_traceback": False}, {"in_traceback": True}, "in_traceback"),
    ({"in_traceback": False}, {"in_traceback": None}, "in_traceback"),
    ({"in_traceback": False}, {"in_traceback": False}, ""),
]


@pytest.mark.parametrize(("bands", "known", "missed"), BANDS)
def test_bands(bands: dict[str, Any], known: dict[str, Any], missed: str) -> None:
    """Bands include both ends; unknown values lie only in the empty band."""
    assert Bands(**bands).missed(Difficulty(**known)) == missed


@pytest.mark.parametrize("text", ["5", "..", "a..b", "5..2", "1...2", "-"])
def test_what_is_no_band(text: str) -> None:
    """An invalid band is an error that shows the right form."""
    with pytest.raises(ValidationError):
        Bands(failing=text)


def candidate(family: str, file: str, function: str, *parts: Part) -> Candidate:
    """A candidate with this family and place."""
    return Candidate(
        family=family, operator="o", file=file, function=function, line=1, diff="", parts=parts
    )


def test_quota() -> None:
    """Caps count tasks per function and file; parts of combinations count as single bugs."""
    quota = Quota({"f": 3, "combined": 1}, per_function=1, per_file=2)
    first = candidate("f", "a.py", "one")
    quota.take(first)
    assert not quota.has(first)
    assert quota.has(candidate("f", "b.py", "one"))
    quota.take(candidate("f", "a.py", "two"))
    assert not quota.has(candidate("f", "a.py", "three"))
    part = Part(family="f", operator="o", file="a.py", function="one", line=1)
    several = candidate("combined", "a.py", "one", part, part)
    assert quota.has(several)
    assert not quota.is_full({"f"})
    quota.take(candidate("f", "b.py", "one"))
    assert quota.is_full({"f"})
    assert not quota.is_full({"f", "combined"})
    assert not quota.has(candidate("f", "c.py", "one"))
    assert quota.has(candidate("g", "c.py", "one"))
    assert not Quota({}, None, None).is_full({"f"})


def mutate_fix(tmp_path: Path, *options: str) -> Result:
    """Run the verb with --dry-run and return its output."""
    words = ["tasks", "mutate-fix", "pypi:toolz", "-o", str(tmp_path / "t.jsonl"), "--dry-run"]
    return CliRunner().invoke(main, [*words, *options], env={"OPENAI_BASE_URL": ""})


def test_settings_of_a_file(tmp_path: Path) -> None:
    """Without named families, those with a weight or target are used."""
    file = tmp_path / "settings.toml"
    file.write_text(
        "per_file = 3\n[targets]\noperators = 5\ncombined = 2\n[difficulty]\ncalls = '2..'\n"
    )
    found = json.loads(mutate_fix(tmp_path, "--config", str(file)).stdout)
    assert found["mutators"] == ["operators", "combined"]
    assert found["weights"] == {"operators": 5, "combined": 2}
    assert found["difficulty"]["calls"] == "2.."
    assert found["difficulty"]["share"] == "..0.5"
    plain = json.loads(mutate_fix(tmp_path).stdout)
    assert len(plain["mutators"]) == 10
    assert plain["weights"] is None


MISTAKES = [  # a settings file, options, what is said
    ("per_file = 0", "", "per_file: Input should be greater than or equal to 1"),
    ("per_class = 2", "", "per_class: no such key; there are weights, targets"),
    ("[difficulty]\ncalls = '2'", "", "difficulty.calls: '2' is not a band: write"),
    ("[difficulty]\ndepth = '2..'", "", "difficulty.depth: no such key; there are failing, share"),
    ("[weights]\ncolours = 1", "", "no family 'colours'; there are statements"),
    ("weights = {functions = 1}", "--preset cwm", "both give weights; leave one of them out"),
    ("weights = ", "", "is not TOML"),
    ("", "--proof some", "--proof is files, full, none or sample:N"),
    ("", "--proof none --statement issue", "give --proof files or --proof full"),
    ("", "--mutators rewrite", "a model must write these: give -m NAME"),
    ("", "--statement model", "a model must write these: give -m NAME"),
    ("", "-m name", "the model has nothing to write"),
    ("", "--mutators combined", "combined bugs consist of others"),
    ("", "--mutators functions,loops --preset cwm", "loops would be left out: give a weight or"),
    ("weights = {loops = 1}\ntargets = {operators = 1}", "", "operators would be left out"),
    ("", "--mutators ,", "there are statements"),
]


@pytest.mark.parametrize(("text", "options", "message"), MISTAKES)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, options: str, message: str) -> None:
    """The error is one line with the wrong key and the remedy."""
    file = tmp_path / "settings.toml"
    file.write_text(text)
    result = mutate_fix(tmp_path, "--config", str(file), *options.split())
    assert result.exit_code == 2, result.stdout
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_model_needs_an_address(tmp_path: Path) -> None:
    """The error comes before any build or request."""
    words = ["tasks", "mutate-fix", "pypi:toolz", "-o", str(tmp_path / "t.jsonl")]
    options = ["-m", "name", "--mutators", "modify"]
    result = CliRunner().invoke(main, [*words, *options], env={"OPENAI_BASE_URL": ""})
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "the model 'name' needs an endpoint: give --url" in result.stderr


def test_pace_and_yield(capsys: pytest.CaptureFixture[str]) -> None:
    """The pace counts this process's work only; known tasks count as done."""
    with Progress("tasks", 100, tried="mutants") as progress:
        for known in range(40):
            progress.update(known + 1, mutants=0)
        time.sleep(0.1)
        progress.update(42, mutants=5)
    shown = capsys.readouterr().err.strip()
    start, _, rest = shown.partition("5 mutants · ")
    assert start == "tasks: 42/100 · "
    pace, _, share = rest.partition(" mutants/s · ")
    assert 20 < float(pace) < 51
    assert share == "yield 40 %"
