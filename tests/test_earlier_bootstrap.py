"""Settings and bootstraps of an earlier version are read and continued (see `earlier`)."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from earlier import ARCHIVE, unpack

from forager.cli.main import main
from forager.learning.bootstrap.manifest import Round
from forager.learning.bootstrap.settings import BootstrapSettings
from forager.learning.saved import load
from forager.learning.train.settings import TrainSettings

KATA = Path(__file__).parents[1] / "examples" / "kata"
EARLIER = ARCHIVE.parent / "kata"


def test_earlier_settings_mean_the_same() -> None:
    """Every renamed setting is still read by its earlier name; trials have another form now."""
    bootstraps = [BootstrapSettings.read(path / "bootstrap.toml") for path in (KATA, EARLIER)]
    assert "row_tokens" in (EARLIER / "bootstrap.toml").read_text()
    now, before = (settings.model_copy(update={"filters": []}) for settings in bootstraps)
    assert now == before
    trainings = [TrainSettings.read(path / "pretraining.toml") for path in (KATA, EARLIER)]
    assert trainings[0] == trainings[1]


@pytest.fixture
def earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter the bootstrap's directory, because its paths are relative."""
    monkeypatch.chdir(unpack(tmp_path))
    return Path("rounds")


def test_an_earlier_bootstrap_is_complete(earlier: Path) -> None:
    """The same settings under new names continue it without repeating work."""
    saved = json.loads((earlier / "settings.json").read_text())
    assert saved["rehearse"] == ["rehearsal"]
    settings = Path("bootstrap.toml")
    text = settings.read_text().replace("rehearse", "mix_in").replace("[gate]", "[promotion]")
    settings.write_text(text)
    before = _times(earlier)
    _continue(earlier)
    assert _times(earlier) == before
    assert json.loads((earlier / "settings.json").read_text())["mix_in"] == ["rehearsal"]


def test_the_stages_of_an_earlier_round_are_not_repeated(earlier: Path) -> None:
    """Finished attempts, filtering, data set, training and evaluation are recognised."""
    path = earlier / "round-0" / "manifest.json"
    known = load(path, Round)
    path.unlink()
    before = _times(earlier)
    _continue(earlier)
    assert {file: time for file, time in _times(earlier).items() if file != path} == before
    made = load(path, Round)
    assert known and known.candidate and made and made.candidate
    weights = {"candidate": None, "current": None}  # the archive has no weights: another digest
    assert made.model_copy(update=weights) == known.model_copy(update=weights)
    high = {"high": min(1.0, known.candidate.success.high)}  # intervals of shares end at 1 since
    assert made.candidate.success == known.candidate.success.model_copy(update=high)
    assert made.candidate.run == known.candidate.run


def _continue(bootstrap: Path) -> None:
    done = CliRunner().invoke(main, ["bootstrap", "bootstrap.toml", "-o", str(bootstrap)])
    assert done.exit_code == 0, done.output
    assert "round-0" in done.stdout


def _times(bootstrap: Path) -> dict[Path, int]:
    """Return when each file of the rounds and of the base's evaluation was written.

    Trackers, which are newer, get finished trainings now.
    """
    paths = [*bootstrap.glob("round-*/**/*"), *bootstrap.glob("base/**/*")]
    newer = {"tensorboard", "tracking"}
    return {
        path: path.stat().st_mtime_ns
        for path in paths
        if path.is_file() and "index" not in path.name and "lock" not in path.name
        if not newer & {*path.parts}
    }
