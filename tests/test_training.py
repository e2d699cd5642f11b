import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny_models import make_dataset, make_pretrained

from forager.cli.main import main
from forager.cli.train import warn_of_bf16
from forager.errors import TrainingError, UsageError
from forager.learning.child import Child
from forager.learning.dataset import DatasetManifest
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.guardian_program import alive, children
from forager.learning.saved import load, save
from forager.learning.train import TrainSettings, count_steps, train
from forager.learning.train.order import learning_rate, packed, steps
from forager.learning.train.rank import free_port, rank_environment
from forager.learning.train.run import request_for
from forager.learning.train.samples import check_tokenizer
from forager.learning.train.settings import StepMetrics, TrainingRequest
from forager.records import read_records

HERE = Path(__file__).parent
SMALL: dict[str, Any] = {
    "pack_length": 128,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "max_steps": 4,
}
pytestmark = pytest.mark.filterwarnings("ignore")  # of torch's and DeepSpeed's

LENGTHS = [7, 3, 9, 40, 12, 5, 5, 1, 30, 2] * 20


def settings(**given: Any) -> TrainSettings:
    """Settings of a small training."""
    return TrainSettings.build(SMALL | given)


def test_a_pass_has_every_sample_once_in_rows_that_are_full() -> None:
    """An epoch contains each sample once, in nearly full rows; longer samples get their own row."""
    rows = packed(range(len(LENGTHS)), LENGTHS, 32)
    assert sorted(sample for row in rows for sample in row) == list(range(len(LENGTHS)))
    sizes = [sum(LENGTHS[sample] for sample in row) for row in rows]
    assert all(size <= 32 or len(row) == 1 for size, row in zip(sizes, rows, strict=True))
    short = [size for size in sizes if size <= 32]
    assert sum(short) / len(short) > 0.9 * 32


def test_the_order_is_a_function_of_the_seed_and_not_of_the_processes() -> None:
    """Seed and epoch decide the order; the number of processes does not."""
    order = steps(LENGTHS, settings(max_steps=None, epochs=2))
    assert order == steps(LENGTHS, settings(max_steps=None, epochs=2, processes=2))
    assert order != steps(LENGTHS, settings(max_steps=None, epochs=2, seed=1))
    seen = [sample for step in order for row in step for sample in row]
    assert sorted(seen) == sorted([*range(len(LENGTHS))] * 2)
    assert len(steps(LENGTHS, settings(max_steps=50))) == 50


@pytest.mark.parametrize(
    ("flags", "given", "warned"),
    [
        ("fma avx2", {"precision": "bf16"}, True),
        ("avx2 avx512_bf16 amx_bf16", {"precision": "bf16"}, False),
        ("GenuineIntel avx512_bf16", {"precision": "bf16"}, True),
        ("AuthenticAMD avx512_bf16", {"precision": "bf16"}, False),
        ("fma avx2", {}, False),
        ("fma avx2", {"precision": "bf16", "executor": "ray"}, False),
    ],
)
def test_a_processor_without_bf16_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: str, given: Any, warned: bool
) -> None:
    """A CPU without fast bf16 gets a warning, and autocast is off there, which a line says."""
    processor = tmp_path / "cpuinfo"
    processor.write_text(f"processor : 0\nflags : {flags}\n")
    warn_of_bf16(settings(**given), processor, tmp_path / "no-gpu")
    assert ("fp32" in capsys.readouterr().err) is warned
    autocast = settings(**{"autocast": True, **given, "precision": "auto"})
    warn_of_bf16(autocast, processor, tmp_path / "no-gpu")
    slow = flags in ("fma avx2", "GenuineIntel avx512_bf16") and "executor" not in given
    assert ("autocast is off" in capsys.readouterr().err) is slow


@pytest.mark.parametrize(("schedule", "end"), [("cosine", 0.1), ("linear", 0.1), ("constant", 1)])
def test_the_rate_rises_and_falls(schedule: str, end: float) -> None:
    """The learning rate rises linearly and decays to min_lr_ratio."""
    given = settings(
        lr_scheduler_type=schedule, warmup_ratio=0.1, min_lr_ratio=0.1, learning_rate=1.0
    )
    rates = [learning_rate(step, 1000, given) for step in range(1000)]
    assert rates[0] == 0.01
    assert rates[99] == 1.0 == max(rates)
    assert rates[-1] == pytest.approx(end, abs=0.01)
    assert rates[:100] == sorted(rates[:100])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"processes": 3, "sequence_parallel_size": 2}, "must be a multiple"),
        ({"batch_size": 3, "processes": 2}, "batch_size \\(3\\) must be a multiple"),
        ({"executor": "hosts"}, "hostfile"),
        ({"autocast": True, "precision": "bf16"}, "autocast keeps weights in float32"),
        ({"rate": 1}, "rate: no such key"),
    ],
)
def test_settings_that_cannot_be_are_said(given: dict[str, Any], says: str) -> None:
    """Before anything starts."""
    with pytest.raises(UsageError, match=says):
        settings(**given)


@pytest.fixture(scope="module")
def alone(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, tiny_data: Path
) -> Iterator[Callable[..., Path]]:
    """Trains in this process and returns the directory."""
    import torch.distributed as distributed

    from forager.learning.train.engine import join
    from forager.learning.train.loop import Training

    with pytest.MonkeyPatch.context() as patch:
        for name, value in rank_environment(0, 0, 1, "127.0.0.1", free_port()).items():
            patch.setenv(name, value)
        join(settings())

        def run(**given: Any) -> Path:
            directory = tmp_path_factory.mktemp("alone")
            request = request_for(settings(**given), [tiny_data], tiny_base, tiny_data)
            save(directory / "settings.json", request)
            Training(directory, request).run()
            return directory

        yield run
        distributed.destroy_process_group()


@pytest.fixture(scope="module")
def plain(alone: Callable[..., Path]) -> Path:
    """The reference training: one process, fp32, default settings."""
    return alone()


def metrics(directory: Path) -> list[StepMetrics]:
    """All lines of the metrics."""
    return list(read_records(directory / "metrics.jsonl", StepMetrics))


def losses(directory: Path) -> list[float]:
    """The loss of each step."""
    return [step.loss for step in metrics(directory)]


def weights(directory: Path) -> "dict[str, Any]":
    """The weights of the written model, as Transformers loads them."""
    return weights_of(directory / "model")


def same_weights(first: Path, second: Path, tolerance: float) -> bool:
    """Return whether two trainings produced the same model."""
    import torch

    pairs = [weights(directory) for directory in (first, second)]
    assert pairs[0].keys() == pairs[1].keys()
    return all(
        torch.allclose(pairs[0][name].float(), pairs[1][name].float(), atol=tolerance)
        for name in pairs[0]
    )


def test_packing_does_not_leak(tiny_base: Path, tiny_data: Path) -> None:
    """Losses and gradients of a packed row equal those of its samples alone in Transformers.

    This holds for each attention implementation, and for a row divided between two processes.
    """
    import torch

    from forager.learning.train.batch import log_probabilities, make_batch
    from forager.learning.train.model import open_model
    from forager.learning.train.samples import Samples

    samples, row = Samples([tiny_data]), [3, 11, 5, 20]
    found = []
    for way, rows in (("eager", [[value] for value in row]), ("packed", [row]), ("sdpa", [row])):
        model = open_model(tiny_base, settings(attn_implementation=way))
        parts = [log_probabilities(model, make_batch(samples, batch)) for batch in rows]
        whole = torch.cat(parts)
        whole.sum().backward()
        found.append((whole, {name: weight.grad for name, weight in model.named_parameters()}))
    (single, gradients), *others = found
    assert len(single) == sum(samples.trained[sample] for sample in row)
    for whole, of_row in others:
        assert torch.allclose(whole, single, atol=1e-5)
        assert all(torch.allclose(of_row[name], gradients[name], atol=1e-4) for name in gradients)

    whole_row = make_batch(samples, row)
    halves = [make_batch(samples, row, share, 2) for share in (0, 1)]
    tokens = torch.cat([half.ids for half in halves], dim=1)
    assert torch.equal(tokens[:, : whole_row.ids.shape[1]], whole_row.ids)
    targets = torch.cat([half.targets for half in halves])
    assert torch.equal(targets, whole_row.targets)


def test_windows_are_kept_in_packed_rows(tmp_path: Path, tiny_data: Path) -> None:
    """A sample longer than the sliding window gets the losses of Transformers' own attention."""
    import torch

    from forager.learning.train.batch import log_probabilities, make_batch
    from forager.learning.train.model import open_model
    from forager.learning.train.samples import Samples

    base = make_pretrained(tmp_path, "byte fallback", tied=True)  # a window of 16 tokens
    samples, row = Samples([tiny_data]), [3, 11, 5, 20]
    assert max(samples.lengths[number] for number in row) > 40
    model = open_model(base, settings())
    assert model.config._attn_implementation == "forager_packed"
    packed = log_probabilities(model, make_batch(samples, row))
    eager = open_model(base, settings(attn_implementation="eager"))
    single = [log_probabilities(eager, make_batch(samples, [number])) for number in row]
    assert torch.allclose(packed, torch.cat(single), atol=1e-5)
    model.config.sliding_window = 8  # the window matters
    assert not torch.allclose(log_probabilities(model, make_batch(samples, row)), packed, atol=1e-3)


def test_layers_with_a_state_are_not_packed(
    tmp_path: Path, tiny_base: Path, tiny_data: Path
) -> None:
    """A convolution would leak from one packed sample to the next, so packing is refused."""
    import torch
    from transformers import Lfm2Config, Lfm2ForCausalLM

    from forager.learning.train.batch import log_probabilities, make_batch
    from forager.learning.train.model import open_model
    from forager.learning.train.samples import Samples

    config = Lfm2Config(
        vocab_size=300, hidden_size=64, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, layer_types=["conv", "full_attention"],
        initializer_range=0.5,
    )  # fmt: skip
    torch.manual_seed(0)
    Lfm2ForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="--no-packing"):
        open_model(tmp_path, settings())
    samples = Samples([tiny_data])
    rows = [row for step in steps(samples.lengths, settings(packing=False)) for row in step]
    assert rows and all(len(row) == 1 for row in rows)
    model = open_model(tmp_path, settings(packing=False))
    shared = log_probabilities(model, make_batch(samples, [3, 11]))
    single = [log_probabilities(model, make_batch(samples, [sample])) for sample in (3, 11)]
    assert not torch.allclose(shared, torch.cat(single), atol=1e-2)  # why it is refused


def test_the_loss_is_over_all_trained_tokens(plain: Path, tiny_base: Path, tiny_data: Path) -> None:
    """The loss is the mean over the step's trained tokens, however they are packed."""
    import torch

    from forager.learning.train.batch import log_probabilities, make_batch
    from forager.learning.train.model import open_model
    from forager.learning.train.samples import Samples

    samples, model = Samples([tiny_data]), open_model(tiny_base, settings())
    (first, *_) = steps(samples.lengths, settings())
    with torch.no_grad():
        parts = [
            log_probabilities(model, make_batch(samples, [sample]))
            for row in first
            for sample in row
        ]
    told = metrics(plain)
    assert told[0].loss == pytest.approx(float(-torch.cat(parts).mean()), rel=1e-5)
    assert told[0].trained == len(torch.cat(parts))
    assert told[0].tokens == sum(samples.lengths[sample] for row in first for sample in row)
    assert told[-1].loss < told[0].loss
    assert told[-1].evaluation_loss
    assert all(step.gradient for step in told)


@pytest.mark.parametrize(
    ("given", "tolerance"),
    [
        ({"batch_size": 4, "zero_stage": 1}, 1e-4),
        ({"zero_stage": 2, "gradient_checkpointing": True}, 1e-4),
        ({"zero_stage": 3}, 1e-4),
        ({"precision": "bf16"}, 0.02),
        ({"precision": "bf16", "zero_stage": 3}, 0.02),
        ({"attn_implementation": "sdpa"}, 1e-4),
    ],
    ids=str,
)
def test_memory_is_saved_and_the_losses_are_the_same(
    alone: Callable[..., Path], plain: Path, given: dict[str, Any], tolerance: float
) -> None:
    """ZeRO, gradient checkpointing and bf16 change neither losses nor model beyond rounding."""
    other = alone(**given)
    assert losses(other) == pytest.approx(losses(plain), abs=tolerance)
    assert same_weights(other, plain, 10 * tolerance)
    assert (other / "model" / "chat_template.jinja").read_text()


FROZEN: dict[str, Any] = {"freeze_layers": 1, "freeze_embeddings": True}


def test_what_is_not_frozen_gets_the_same_gradients(tiny_base: Path, tiny_data: Path) -> None:
    """Loss and gradients of the trained weights equal those of the unfrozen computation.

    Below the lowest trained weight nothing is computed for the backward pass. Autocast changes both
    by rounding alone, and leaves gradients and weights in float32.
    """
    import torch

    from forager.learning.train.batch import log_probabilities, make_batch
    from forager.learning.train.model import open_model
    from forager.learning.train.samples import Samples

    samples, found = Samples([tiny_data]), []
    for given, bf16 in (({}, False), (FROZEN, False), (FROZEN, True)):
        model = open_model(tiny_base, settings(**given))
        seen: list[bool] = []
        layers = model.model.layers
        layers[0].register_forward_hook(
            lambda _, __, out, seen=seen: seen.append(out.requires_grad)
        )
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss = -log_probabilities(model, make_batch(samples, [3, 11, 5])).mean()
        loss.backward()
        gradients = {name: weight.grad for name, weight in model.named_parameters()}
        found.append((loss.item(), gradients))
        assert seen == [not given]
    (whole, every), (frozen, some), (rounded, cast) = found
    assert frozen == whole
    assert rounded == pytest.approx(whole, abs=0.02)
    for name, gradient in every.items():
        if "layers.1" in name or name == "model.norm.weight":
            assert torch.allclose(some[name], gradient, atol=1e-7)
            assert cast[name].dtype == torch.float32
            near = torch.nn.functional.cosine_similarity(cast[name].ravel(), gradient.ravel(), 0)
            assert near > 0.99
        else:
            assert some[name] is None


@pytest.mark.parametrize("more", [{}, {"zero_stage": 2, "gradient_checkpointing": True},
                                  {"zero_stage": 3}], ids=str)  # fmt: skip
def test_frozen_parts_stay(
    alone: Callable[..., Path], plain: Path, tiny_base: Path, more: dict[str, Any]
) -> None:
    """The losses are those of an optimizer without the frozen weights, which do not change."""
    import torch

    directory = alone(**FROZEN, **more)
    assert losses(directory)[0] == pytest.approx(losses(plain)[0], abs=1e-6)
    assert losses(directory) == pytest.approx(losses_without(tiny_base, directory), abs=1e-4)
    found, before = weights(directory), weights_of(tiny_base)
    same = {name for name in found if torch.equal(found[name], before[name])}
    assert same == {
        name for name in found if "layers.1" not in name and name != "model.norm.weight"
    }


def losses_without(base: Path, directory: Path) -> list[float]:
    """Losses of a loop that computes all gradients, and updates what is not frozen."""
    import torch

    from forager.learning.train.batch import log_probabilities, make_batch
    from forager.learning.train.model import open_model
    from forager.learning.train.samples import Samples

    request = load(directory / "settings.json", TrainingRequest)
    assert request
    asked, samples = request.settings, Samples([Path(request.datasets[0].path)])
    names = {name for name, weight in open_model(base, asked).named_parameters()
             if weight.requires_grad}  # fmt: skip
    model = open_model(base, settings())
    trained = [weight for name, weight in model.named_parameters() if name in names]
    optimizer = torch.optim.AdamW(trained, betas=asked.betas, weight_decay=0.0)
    found, order = [], steps(samples.lengths, asked)
    for number, rows in enumerate(order):
        optimizer.param_groups[0]["lr"] = learning_rate(number, len(order), asked)
        parts = [log_probabilities(model, make_batch(samples, row)) for row in rows]
        loss = -torch.cat(parts).sum() / sum(
            samples.trained[sample] for row in rows for sample in row
        )
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, asked.max_grad_norm)
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("units", ["amx_bf16", ""])
def test_autocast_changes_rounding_alone(
    alone: Callable[..., Path],
    plain: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    units: str,
) -> None:
    """With units for bfloat16 the losses differ by rounding; without, autocast is off."""
    (tmp_path / "cpuinfo").write_text(f"flags : fma {units}\n")
    monkeypatch.setattr("forager.learning.processor.CPUINFO", tmp_path / "cpuinfo")
    other = alone(autocast=True)
    assert losses(other) == pytest.approx(losses(plain), abs=0.02)
    assert (losses(other) != losses(plain)) is bool(units)
    assert {str(weight.dtype) for weight in weights(other).values()} == {"torch.float32"}


def test_too_many_frozen_layers_are_said(tiny_base: Path) -> None:
    """The error says how many layers there are, or that nothing would be trained."""
    from forager.learning.train.model import open_model

    with pytest.raises(UsageError, match="freeze_layers is 3; there are 2"):
        open_model(tiny_base, settings(freeze_layers=3))


@pytest.mark.parametrize("zero", [0, 3])
def test_adapters_are_merged(alone: Callable[..., Path], tiny_base: Path, zero: int) -> None:
    """LoRA writes an ordinary model in which exactly the adapted weights differ."""
    import torch

    directory = alone(lora={"rank": 4}, zero_stage=zero, learning_rate=1e-2)
    assert losses(directory)[-1] < losses(directory)[0]
    assert not list((directory / "model").glob("adapter*"))
    found, before = weights(directory), weights_of(tiny_base)
    assert found.keys() == before.keys()
    changed = {name for name in found if not torch.equal(found[name], before[name])}
    assert "model.layers.0.self_attn.q_proj.weight" in changed
    assert "model.embed_tokens.weight" not in changed


def weights_of(base: Path) -> "dict[str, Any]":
    """The weights of a model, as Transformers loads them."""
    from transformers import AutoModelForCausalLM

    return dict(AutoModelForCausalLM.from_pretrained(base).named_parameters())


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_freed_memory_stays_with_the_process() -> None:
    """A rank takes the pages of large blocks once, where Python alone takes them for each anew."""
    program = (
        "import resource\n"
        "for _ in range(20): len(bytearray(40 << 20).replace(b'a', b'b'))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)"
    )
    plain = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    tuned = rank_environment(0, 0, 1, "127.0.0.1", free_port())
    faults = [
        int(subprocess.check_output([sys.executable, "-c", program], env=environment))
        for environment in (plain, plain | {"GLIBC_TUNABLES": tuned["GLIBC_TUNABLES"]})
    ]
    assert faults[1] < faults[0] / 2


def run_together(processes: int, directories: Sequence[Path]) -> None:
    """Run trainings one after another in several processes."""
    port = free_port()
    program = [sys.executable, "-P", str(HERE / "trainings_program.py")]
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                Child(
                    [*program, *map(str, directories)],
                    directories[0] / f"rank-{rank}.log",
                    rank_environment(rank, rank, processes, "127.0.0.1", port),
                    Path.cwd(),
                )
            )
            for rank in range(processes)
        ]
        for process in started:
            assert process.wait(600) == 0, process.tail(40)


def test_two_processes_agree_with_one(
    tmp_path: Path, plain: Path, tiny_base: Path, tiny_data: Path
) -> None:
    """Two processes give the losses of one, with ZeRO 0 to 3 and half of each row (Ulysses)."""
    cases: list[dict[str, Any]] = [{}, {"zero_stage": 1}, {"zero_stage": 2}, {"zero_stage": 3}]
    cases += [{"sequence_parallel_size": 2, "zero_stage": 1}]
    directories = [tmp_path / str(number) for number in range(len(cases))]
    for directory, given in zip(directories, cases, strict=True):
        asked = request_for(settings(processes=2, **given), [tiny_data], tiny_base, tiny_data)
        save(directory / "settings.json", asked)
    run_together(2, directories)
    for directory, given in zip(directories, cases, strict=True):
        assert losses(directory) == pytest.approx(losses(plain), abs=1e-4), given
        assert metrics(directory)[-1].evaluation_loss == pytest.approx(
            metrics(plain)[-1].evaluation_loss, abs=1e-4
        )
        assert same_weights(directory, plain, 1e-3), given


def quiet(done: int, **counts: float) -> None:
    """Ignore progress."""


def shown_steps(output: Path) -> Iterator[int]:
    """The steps whose loss TensorBoard shows."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(output / "tensorboard")).Reload()
    return (event.step for event in events.Tensors("loss"))


START = """
import json, sys
from pathlib import Path
from forager.learning.train import TrainSettings, train
given, data, base, output = json.loads(sys.argv[1])
train(TrainSettings.build(given), [Path(data)], Path(base), Path(output), lambda *_, **__: None,
      evaluation=Path(data))
"""


def test_a_killed_training_goes_on_to_the_same_losses(
    tmp_path: Path, alone: Callable[..., Path], tiny_base: Path, tiny_data: Path
) -> None:
    """SIGKILL of forager ends all processes; resumed, the training gives the same losses and model.

    A finished training is not repeated, and another one is refused.
    """
    given = {**SMALL, "max_steps": 10, "checkpoint_every": 2}
    whole = alone(**given)
    output = tmp_path / "training"
    arguments = json.dumps([given, str(tiny_data), str(tiny_base), str(output)])
    forager = subprocess.Popen([sys.executable, "-P", "-c", START, arguments])
    told = output / "metrics.jsonl"
    while not (told.exists() and told.read_text().count("\n") >= 5):
        assert forager.poll() is None
        time.sleep(0.01)
    below = [process for child in children(forager.pid) for process in (child, *children(child))]
    os.kill(forager.pid, signal.SIGKILL)
    forager.wait()
    assert len(below) == 2
    while any(map(alive, below)):
        time.sleep(0.05)
    assert 5 <= len(metrics(output)) < 10

    begun: list[int] = []
    asked = TrainSettings.build(given)
    result = train(
        asked,
        [tiny_data],
        tiny_base,
        output,
        lambda done, **_: begun.append(done),
        evaluation=tiny_data,
    )
    assert losses(output) == losses(whole)
    assert result.steps == 10
    assert result.last_loss == losses(whole)[-1]
    assert same_weights(output, whole, 0)
    assert result == train(asked, [tiny_data], tiny_base, output, quiet, evaluation=tiny_data)
    with pytest.raises(UsageError, match="other learning_rate"):
        other = TrainSettings.build({**given, "learning_rate": 1.0})
        train(other, [tiny_data], tiny_base, output, quiet)
    assert not (output / "checkpoints").exists()
    assert list(shown_steps(output)) == list(range(1, 11))
    for name in ("tracking", "tensorboard"):  # as if it had been finished without trackers
        shutil.rmtree(output / name)
    train(asked, [tiny_data], tiny_base, output, quiet, evaluation=tiny_data)
    assert list(shown_steps(output)) == list(range(1, 11))


def test_a_loss_that_is_no_number_is_said(tmp_path: Path, tiny_base: Path, tiny_data: Path) -> None:
    """The error is one line and carries the end of the log."""
    wild = settings(learning_rate=1e30, warmup_ratio=0.0, max_grad_norm=0.0)
    with pytest.raises(TrainingError, match=r"the loss of step \d is (nan|inf)") as caught:
        train(wild, [tiny_data], tiny_base, tmp_path / "training", quiet)
    assert "forager: the loss" in caught.value.log
    assert "\n" not in str(caught.value)


def test_data_without_the_bos_of_the_template_is_refused(
    tmp_path: Path, tiny_base: Path, tiny_data: Path
) -> None:
    """Data sets begin as prompts of the served model do: with <bos> where its template has it."""
    base = make_pretrained(tmp_path / "base", "byte level", tied=True)
    data = make_dataset(tmp_path / "data", tiny_base)  # its samples begin with any token
    template = "{{ BOS }}{% for m in messages %}{{ m.content }}{% endfor %}"
    for bos, fits in (("''", True), ("bos_token", False)):
        (base / "chat_template.jinja").write_text(template.replace("BOS", bos))
        known = load(data / "dataset.json", DatasetManifest)
        assert known
        save(data / "dataset.json", known.model_copy(update={"tokenizer": Tokenizer(base).digest}))
        if fits:
            check_tokenizer(base, [data])
        else:
            with pytest.raises(UsageError, match="begin with <bos>"):
                check_tokenizer(base, [data])


def test_what_is_no_data_set_or_no_model_is_said(
    tmp_path: Path, tiny_base: Path, tiny_data: Path
) -> None:
    """Before anything starts."""
    with pytest.raises(UsageError, match="is no data set"):
        count_steps(settings(), [tmp_path])
    with pytest.raises(UsageError, match=r"config\.json"):
        train(settings(), [tiny_data], tmp_path, tmp_path / "training", quiet)
    part = tmp_path / "part"  # as a copy that was broken off leaves it
    part.mkdir()
    shutil.copy(tiny_data / "dataset.json", part)
    with pytest.raises(UsageError, match=r"expected 40 samples .* found 0 of 0"):
        count_steps(settings(), [part])


def test_options_and_the_file_of_settings(tmp_path: Path, tiny_base: Path, tiny_data: Path) -> None:
    """Options win; --dry-run prints what would be, and how many steps."""
    config = tmp_path / "train.toml"
    config.write_text("rows = 2\nrow_tokens = 128\nweight_decay = 0.1\n[lora]\nrank = 8\n")
    words = ["train", tiny_data, "-o", tmp_path / "out", "--base", tiny_base, "--config", config]
    words += ["--rows", 4, "--zero", 2, "--hostfile", "hosts", "--processes", 2, "--dry-run"]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    chosen = TrainSettings.model_validate(told["settings"])
    assert (chosen.batch_size, chosen.zero_stage, chosen.weight_decay) == (4, 2, 0.1)
    assert (chosen.executor, chosen.lora and chosen.lora.rank) == ("hosts", 8)
    assert told["steps"] == count_steps(chosen, [tiny_data])
    assert not (tmp_path / "out").exists()
