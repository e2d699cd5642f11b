"""The policy gradient in the training: what rows, packing, micro-batches and processes do to it."""

import json
import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from test_training import run_together
from tiny_models import make_base

from forager.atomic import new_directory
from forager.cli.main import main
from forager.learning.dataset import MANIFEST, DatasetManifest, DatasetSettings, Sample
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.dataset.write import SampleWriter
from forager.learning.saved import digest, load, save
from forager.learning.sources import Artifact
from forager.learning.train import TrainSettings
from forager.learning.train.feed import batch_path
from forager.learning.train.objective import PolicyGradient, PolicyObjective
from forager.learning.train.samples import Samples
from forager.learning.train.settings import StepMetrics, StreamSettings, TrainingRequest
from forager.records import read_records

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore")]
OBJECTIVE = PolicyObjective(constant=64)


def sample(number: int, *, advantage: float | None) -> Sample:
    """A sequence whose second half a policy sampled, at ratios on both sides of the clip."""
    source = random.Random(number)
    length = source.randint(10, 40)
    ids = [source.randrange(200) for _ in range(length)]
    mask = [int(place >= length // 2) for place in range(length)]
    logprobs = [-5.5 + source.uniform(-0.5, 0.5) if trained else 0.0 for trained in mask]
    gains = None if advantage is None else [advantage * trained for trained in mask]
    return Sample(f"s{number}", ids, mask, logprobs, gains, [0] * length, "tokens")


def write(path: Path, base: Path, samples: list[Sample]) -> Path:
    """Write samples as a data set."""
    tokenizer = Tokenizer(base)
    with new_directory(path) as part:
        with SampleWriter(part) as files:
            for row in samples:
                files.append(row)
        found: dict[str, Any] = {
            "kind": "policy",
            "tokenizer": tokenizer.digest,
            "chat_template": tokenizer.template_digest,
            "context": 512,
            "seed": 0,
            "settings": DatasetSettings(),
            "sources": [],
            **files.totals(),
        }
        save(part / MANIFEST, DatasetManifest.model_validate(found))
    return path


ADVANTAGES = [1.5, -0.5, 0.25, -1.0, 0.75, -0.25, 2.0, -2.0]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model."""
    return make_base(tmp_path_factory.mktemp("policy") / "base")


@pytest.fixture(scope="module")
def gradients(base: Path) -> Callable[[Path, list[list[int]]], "dict[str, Any]"]:
    """A function that returns the gradient of a step on the rows of a data set."""
    from forager.learning.train.batch import log_probabilities, make_batch
    from forager.learning.train.model import open_model
    from forager.learning.train.objective import StepSize

    def found(data: Path, rows: list[list[int]]) -> "dict[str, Any]":
        samples, objective = Samples([data], policy=True), PolicyGradient(OBJECTIVE)
        model = open_model(base, TrainSettings(precision="fp32"))
        size = StepSize(sum(samples.trained), sum(trained > 0 for trained in samples.trained))
        for row in rows:
            batch = make_batch(samples, row)
            assert batch.policy is not None
            losses = objective.losses(log_probabilities(model, batch), batch.policy)
            (losses.sum() * objective.factor(size)).backward()
        return {name: weight.grad for name, weight in model.named_parameters()}

    return found


def test_rows_without_advantage_contribute_exactly_nothing(
    tmp_path: Path, base: Path, gradients: Callable[..., "dict[str, Any]"]
) -> None:
    """Samples without advantages, or with zeros, leave each bit of the gradient as it is."""
    import torch

    some = [sample(number, advantage=gain) for number, gain in enumerate(ADVANTAGES)]
    idle = [sample(20, advantage=None), sample(21, advantage=0.0)]
    alone = gradients(write(tmp_path / "some", base, some), [[place] for place in range(8)])
    both = write(tmp_path / "both", base, some + idle)
    assert Samples([both], policy=True).trained[8:] == [0, 0]
    with_idle = gradients(both, [[place] for place in range(10)])
    assert all(torch.equal(alone[name], with_idle[name]) for name in alone)
    only = gradients(write(tmp_path / "idle", base, idle), [[0, 1]])
    assert not any(gradient.any() for gradient in only.values())


def test_packing_and_micro_batches_do_not_change_the_gradient(
    tmp_path: Path, base: Path, gradients: Callable[..., "dict[str, Any]"]
) -> None:
    """One row, several rows and a row for each sample give the same gradient to 1e-6."""
    data = [sample(number, advantage=gain) for number, gain in enumerate(ADVANTAGES)]
    path = write(tmp_path / "data", base, data)
    ways = [[list(range(8))], [[0, 3, 5], [1, 2], [4, 6, 7]], [[place] for place in range(8)]]
    first, *others = (gradients(path, rows) for rows in ways)
    assert max(float(gradient.abs().max()) for gradient in first.values()) > 1e-3
    for other in others:
        apart = [float((first[name] - other[name]).abs().max()) for name in first]
        assert max(apart) < 1e-6


def test_long_rows_are_scored_in_parts(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL #3678, SkyRL #1610: the logits of a long row are never in memory together.

    Log-probabilities and gradients are those of the whole row.
    """
    import torch

    from forager.learning.train import batch as batches
    from forager.learning.train.model import open_model

    data = [sample(number, advantage=gain) for number, gain in enumerate(ADVANTAGES)]
    samples = Samples([write(tmp_path / "data", base, data)], policy=True)
    row = batches.make_batch(samples, list(range(8)))
    found, sizes, scores = [], list[int](), batches._scores

    def counted(logits: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
        sizes.append(len(logits))
        return scores(logits, targets)

    monkeypatch.setattr(batches, "_scores", counted)
    for most in (1 << 27, 264 * 10):
        monkeypatch.setattr(batches, "_LOGITS", most)
        model = open_model(base, TrainSettings(precision="fp32"))
        logprobs = batches.log_probabilities(model, row)
        (logprobs * logprobs).sum().backward()
        found.append((logprobs.detach(), model.get_input_embeddings().weight.grad))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-5)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-4)
    assert sizes[0] == len(row.keep) and max(sizes[1:]) == 10


def test_the_number_of_processes_does_not_change_a_step(tmp_path: Path, base: Path) -> None:
    """Loss and gradient of a step are those of one process, for rows that do not divide evenly."""
    data = [sample(number, advantage=gain) for number, gain in enumerate(ADVANTAGES)]
    directories: dict[int, list[Path]] = {1: [], 2: []}
    cases: list[dict[str, Any]] = [{}, {"zero_stage": 2}]
    for processes, given in [(1, {}), *((2, given) for given in cases)]:
        directory = tmp_path / f"{processes}-{len(directories[processes])}"
        settings = {"precision": "fp32", "pack_length": 64, "batch_size": 2} | given
        request = TrainingRequest(
            settings=TrainSettings.model_validate(
                settings | {"processes": processes, "objective": OBJECTIVE}
            ),
            base=Artifact(path=str(base), digest=digest(base)),
            datasets=[],
            stream=StreamSettings(steps=1),
        )
        directory.mkdir()
        save(directory / "settings.json", request)
        write(batch_path(directory, 1), base, data)
        directories[processes].append(directory)
    for processes, made in directories.items():
        run_together(processes, made)
    (one,) = map(only_step, directories[1])
    for two in map(only_step, directories[2]):
        assert two.loss == pytest.approx(one.loss, abs=1e-6)
        assert two.gradient == pytest.approx(one.gradient, rel=1e-5)
        assert (two.trained, two.tokens) == (one.trained, one.tokens)


def only_step(directory: Path) -> StepMetrics:
    """The metrics of a training of one step."""
    (made,) = read_records(directory / "metrics.jsonl", StepMetrics)
    return made


def surrogate_by_hand(base: Path, rows: list[Sample]) -> float:
    """The loss of a step as docs/rl.md writes it, one token after another."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    total = 0.0
    for row in rows:
        with torch.no_grad():
            logits = model(torch.tensor([row.input_ids])).logits[0].double()
        scores = logits.log_softmax(-1)
        for place in range(1, len(row.input_ids)):
            if row.loss_mask[place] and row.advantages and row.logprobs:
                now = float(scores[place - 1, row.input_ids[place]])
                ratio, gain = math.exp(now - row.logprobs[place]), row.advantages[place]
                total += min(ratio * gain, min(max(ratio, 1 - 0.2), 1 + 0.25) * gain)
    return -total / OBJECTIVE.constant


def test_stored_advantages_are_trained_on(tmp_path: Path, base: Path) -> None:
    """`forager train` with a table [objective], as on data sets of `forager export --credit`.

    Samples without advantages have no loss; a data set without any is refused with one line, and
    so is a setting that would change nothing.
    """
    rows = [sample(number, advantage=gain) for number, gain in enumerate(ADVANTAGES)]
    config = tmp_path / "train.toml"
    lines = 'precision = "fp32"', "batch_size = 1", "pack_length = 1024", "max_steps = 2"
    more = "learning_rate = 0.01", "warmup_ratio = 0", "[objective]", f"constant = {64}"
    config.write_text("\n".join((*lines, *more)))

    def trained(data: Path, *words: str) -> Result:
        given = [data, "-o", tmp_path / "out", "--base", base, "--config", config, *words]
        return CliRunner().invoke(main, ["train", *map(str, given)])

    empty = write(tmp_path / "empty", base, [sample(0, advantage=None)])
    refused = trained(empty)
    assert refused.exit_code == 2 and "--credit DIR" in refused.stderr
    written = config.read_text()
    config.write_text(f"{written}\nsigma = true")
    refused = trained(empty)
    assert refused.exit_code == 2 and "objective.sigma: it is about rewards" in refused.stderr
    config.write_text(written)
    done = trained(write(tmp_path / "data", base, rows), "--json")
    assert done.exit_code == 0, done.output
    first, second = read_records(tmp_path / "out/metrics.jsonl", StepMetrics)
    assert first.loss == pytest.approx(surrogate_by_hand(base, rows), abs=1e-5)
    assert second.loss < first.loss and first.clipped
    other = config.read_text().replace("constant = 64", "constant = 65")
    config.write_text(other)
    shutil.rmtree(tmp_path / "out/model")
    (tmp_path / "out/training.json").unlink()
    again = trained(tmp_path / "data")
    assert again.exit_code == 2 and "other objective" in again.stderr


def test_a_training_of_forager_rl_that_began_earlier_is_read(tmp_path: Path) -> None:
    """Its settings.json has the objective next to the settings instead of among them."""
    artifact = Artifact(path="base", digest="0")
    settings = TrainSettings(objective=OBJECTIVE)
    now = TrainingRequest(settings=settings, base=artifact, datasets=[])
    old: dict[str, Any] = now.model_dump(mode="json")
    old["objective"] = old["settings"].pop("objective")
    (tmp_path / "settings.json").write_text(json.dumps(old))
    assert load(tmp_path / "settings.json", TrainingRequest) == now
