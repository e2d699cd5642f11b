"""Samples: token ids and loss masks are what a server asks of a model, for many templates."""

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import chat_templates as templates
import pytest
from attempts import STEPS, Settings, make_attempt
from chat_templates import make_tokenizer
from click.testing import CliRunner, Result

from forager.cli.main import main
from forager.errors import UsageError
from forager.learning.dataset import Dataset, DatasetManifest, DatasetSettings, Sample
from forager.learning.dataset.samples import LONG, NOTHING, SampleBuilder
from forager.learning.dataset.segments import Span, prove, rendered
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.dataset.write import export_dataset
from forager.trajectories.record import ModelCall, ToolCall, Trajectory
from forager.trajectories.show import text_of
from forager.trajectories.steps import steps
from forager.trajectories.store import Run

ENDS = templates.SPECIALS
POLICY, WORLD = DatasetSettings(kind="policy"), DatasetSettings(kind="world")


def as_tools_answer(attempt: Trajectory) -> Trajectory:
    """The attempt with observations as tools return them, each with the remaining budget."""
    messages = [dict(message) for message in attempt.messages]
    for number, step in enumerate(steps(attempt)):
        place = step.model_call.message + 1
        if place < len(messages):
            text = f"{messages[place]['content']}\n[{127 - number} turns and 9 tokens left]"
            role = {"role": "tool", "tool_call_id": "call_0"}
            messages[place] = {**role, "content": text} if attempt.tools else {
                "role": "user", "content": text
            }  # fmt: skip
    return attempt.model_copy(update={"messages": messages})


FUNCTIONS = as_tools_answer(make_attempt("functions"))
TEXT = as_tools_answer(make_attempt("text", syntax="text"))


def with_thoughts(attempt: Trajectory) -> Trajectory:
    """The attempt with reasoning in each answer."""
    messages = [dict(message) for message in attempt.messages]
    for call in attempt.model_calls:
        messages[call.message]["reasoning_content"] = f"Hm, {call.message}."
    return attempt.model_copy(update={"messages": messages})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for tokenizers."""
    return tmp_path_factory.mktemp("tokenizers")


def tokenizer(place: Path, template: str, end: str, **options: bool) -> Tokenizer:
    """A tokenizer with a template, made at most once."""
    path = place / f"{abs(hash((template, end, *options)))}"
    return Tokenizer(path if path.exists() else make_tokenizer(path, template, end, **options))


def made(
    tokenizer: Tokenizer, attempt: Trajectory, settings: DatasetSettings = POLICY
) -> list[Sample]:
    """The samples of an attempt."""
    return list(SampleBuilder(tokenizer, settings).samples(attempt))


def runs(sample: Sample) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each run of tokens with loss."""
    place = 0
    for trained, group in groupby(sample.loss_mask):
        end = place + len(list(group))
        if trained:
            yield place, end
        place = end


KNOWN = {
    "qwen 2.5": (templates.QWEN_2_5, ENDS["qwen"]),
    "qwen 3": (templates.QWEN_3, ENDS["qwen"]),
    "llama 3": (templates.LLAMA_3, ENDS["llama"]),
    "mistral": (templates.MISTRAL, ENDS["</s>"]),
    "deepseek": (templates.DEEPSEEK, ENDS["deepseek"]),
    "ends late": (templates.ENDS_LATE, ENDS["qwen"]),
    "ours": (templates.OURS, ENDS["ours"]),
}
CASES = [
    (name, attempt)
    for name in KNOWN
    for attempt in (FUNCTIONS, TEXT, with_thoughts(FUNCTIONS), with_thoughts(TEXT))
    if attempt.syntax == "text" or name not in ("ours", "ends late")
]


@pytest.mark.parametrize(("name", "attempt"), CASES)
def test_each_answer_is_trained_on_once_behind_what_the_server_asks(
    place: Path, name: str, attempt: Trajectory
) -> None:
    """Each run of tokens with loss is a complete answer, calls included, up to the token that ends
    the turn; the ids before it are the prompt as the server has it.
    """
    template, end = KNOWN[name]
    loaded = tokenizer(place, template, end)
    answers = []
    for sample in made(loaded, attempt):
        assert sample.origin == "messages"
        for start, stop in runs(sample):
            answers.append(loaded.decode(sample.input_ids[start:stop]))
            call = attempt.model_calls[len(answers) - 1]
            prompt = loaded.render(
                attempt.messages[: call.message], attempt.tools, "23 Nov 2026", prompt=True
            )
            assert loaded.decode(sample.input_ids[:start]) == prompt
    assert len(answers) == attempt.turns
    for step, answer in zip(steps(attempt), answers, strict=True):
        assert answer.endswith(end)
        assert answer.count(end) == 1
        assert step.call is not None
        assert step.call.tool in answer
        for value in step.call.arguments.values():
            assert json.dumps(value)[1:-1] in answer or value.strip() in answer
        if name != "llama 3" and (name, attempt.syntax) != ("mistral", "functions"):
            assert text_of(step.message).strip() in answer


@pytest.mark.parametrize(
    ("name", "attempt", "count"),
    [
        ("qwen 2.5", TEXT, 1),
        ("qwen 3", FUNCTIONS, 1),  # no user's message behind the first
        ("qwen 3", with_thoughts(FUNCTIONS), 1),
        ("qwen 3", TEXT, TEXT.turns),
        ("mistral", FUNCTIONS, 2),  # the system prompt is gone from the second on
        ("mistral", TEXT, TEXT.turns),
    ],
)
def test_a_history_that_is_rewritten_begins_a_new_sample(
    place: Path, name: str, attempt: Trajectory, count: int
) -> None:
    """Nothing else splits an attempt into samples."""
    samples = made(tokenizer(place, *KNOWN[name]), attempt)
    assert len(samples) == count
    ids = [sample.id for sample in samples]
    assert ids == [attempt.id, *(f"{attempt.id}#{number}" for number in range(2, count + 1))]


def test_thoughts_of_earlier_turns_are_context_of_no_later_answer(place: Path) -> None:
    """Qwen 3 shows the reasoning of the last answer and drops earlier reasoning."""
    loaded = tokenizer(place, *KNOWN["qwen 3"])
    second = made(loaded, with_thoughts(TEXT))[1]
    ((start, stop),) = runs(second)
    assert "Hm, 2." not in loaded.decode(second.input_ids)
    assert "<think>\nHm, 4.\n</think>" in loaded.decode(second.input_ids[start:stop])


def test_texts_that_a_template_leaves_out_are_counted(place: Path) -> None:
    """Llama's template shows a call but not the text next to it."""
    builder = SampleBuilder(tokenizer(place, *KNOWN["llama 3"]), POLICY)
    assert list(builder.samples(FUNCTIONS))
    said = sum(bool(text_of(step.message)) for step in steps(FUNCTIONS))
    assert builder.notes["answers whose text the template leaves out"] == said


@pytest.mark.parametrize(
    ("template", "end", "attempt", "reason"),
    [
        (templates.OURS, ENDS["ours"], FUNCTIONS, "the template renders no tool calls"),
        (templates.THINKING, ENDS["deepseek"], TEXT, "differently from how it asks"),
        (templates.ENDLESS, ENDS["qwen"], TEXT, "ends answers without a special token"),
        ("{{ raise_exception('no system') }}", ENDS["qwen"], TEXT, "refuses it: no system"),
    ],
)
def test_what_cannot_be_proven_is_left_out_and_said(
    place: Path, template: str, end: str, attempt: Trajectory, reason: str
) -> None:
    """An attempt without a certain mask gives no sample, and the reason is counted."""
    builder = SampleBuilder(tokenizer(place, template, end), POLICY)
    assert not list(builder.samples(attempt))
    ((said, count),) = builder.left_out.items()
    assert reason in said
    assert count == 1


def test_a_token_over_the_edge_of_an_answer_is_taken_apart(place: Path) -> None:
    """No token crosses the edge between a header's newlines and an answer that begins with some."""
    template = templates.LLAMA_3.replace(" | trim", "")
    loaded = tokenizer(place, template, ENDS["llama"])
    messages = [dict(message) for message in TEXT.messages]
    messages[2]["content"] = "\n\n" + messages[2]["content"]
    attempt = TEXT.model_copy(update={"messages": messages})
    (sample,) = made(loaded, attempt)
    start, _ = next(runs(sample))
    assert loaded.decode(sample.input_ids[:start]).endswith("assistant<|end_header_id|>\n\n")
    assert loaded.decode(sample.input_ids[start : start + 9]).startswith("\n\nLet me")


def test_a_tokenizer_that_puts_blanks_before_texts_reads_the_whole(place: Path) -> None:
    """SentencePiece would put a blank before each part, so the whole text is encoded."""
    attempt = make_attempt("plain", syntax="text", steps=[STEPS[1]])
    loaded = tokenizer(place, *KNOWN["qwen 2.5"], blank=True)
    (sample,) = made(loaded, attempt)
    whole = loaded.render(attempt.messages, [], "")
    assert sample.input_ids == loaded.encode(whole)[: len(sample.input_ids)]
    texts = [loaded.decode(sample.input_ids[a:b]).strip() for a, b in runs(sample)]
    assert [text.endswith(ENDS["qwen"]) for text in texts] == [True, True]
    assert texts[0].startswith("Look.")


def with_ids(attempt: Trajectory, loaded: Tokenizer, before: dict[int, str] = {}) -> Trajectory:  # noqa: B006
    """The attempt with ids as a server returns them; `before` precedes the prompts of calls."""
    calls: list[ModelCall] = []
    history: list[int] = []
    for number, call in enumerate(attempt.model_calls):
        prompt = loaded.render(attempt.messages[: call.message], attempt.tools, "", prompt=True)
        text = loaded.render(attempt.messages[: call.message + 1], attempt.tools, "")
        ids = history + loaded.encode(prompt[len(loaded.decode(history)) :])
        ids = loaded.encode(before.get(number, "")) + ids
        answer = text[len(prompt) :]
        completion = loaded.encode(answer[: loaded.answer_end(answer)])
        given: dict[str, Any] = {"prompt_token_ids": ids, "completion_token_ids": completion}
        calls.append(ModelCall(**{**dict(call), **given}))
        history = ids + completion
    return Trajectory(**{**dict(attempt), "model_calls": calls})


@pytest.mark.parametrize("count", [0, 1, 2])
def test_ids_served_without_bos_are_not_taken(place: Path, count: int) -> None:
    """Stored ids that begin otherwise than the template's prompts are replaced, with a note."""
    loaded = tokenizer(place, templates.LLAMA_3, "<|eot_id|>")
    attempt = with_ids(TEXT, loaded)
    first = attempt.model_calls[0].prompt_token_ids or []
    assert first[0] == loaded.bos != first[1]
    calls = [
        call.model_copy(
            update={"prompt_token_ids": [loaded.bos] * count + (call.prompt_token_ids or [])[1:]}
        )
        for call in attempt.model_calls
    ]
    builder = SampleBuilder(loaded, POLICY)
    (sample,) = builder.samples(attempt.model_copy(update={"model_calls": calls}))
    assert sample.origin == ("tokens" if count == 1 else "messages")
    assert [id == loaded.bos for id in sample.input_ids[:2]] == [True, False]
    assert any("<bos>" in note for note in builder.notes) is (count != 1)


def test_stored_ids_are_taken_as_they_are(place: Path) -> None:
    """The stored ids are the sample, and exactly the completions have loss."""
    loaded = tokenizer(place, *KNOWN["ours"])
    attempt = with_ids(TEXT, loaded)
    (sample,) = made(loaded, attempt)
    assert sample.origin == "tokens"
    last = attempt.model_calls[-1].completion_token_ids or []
    assert sample.input_ids == [*list(attempt.prompts())[-1], *last]  # type: ignore[misc]
    completions = [call.completion_token_ids for call in attempt.model_calls]
    assert [sample.input_ids[start:stop] for start, stop in runs(sample)] == completions


def test_ids_of_another_tokenizer_are_not_taken(place: Path) -> None:
    """Ids that decode to another text are ignored, and the messages are rendered."""
    attempt = with_ids(TEXT, tokenizer(place, *KNOWN["ours"]))
    other = tokenizer(place, *KNOWN["ours"], blank=True)
    builder = SampleBuilder(other, POLICY)
    assert {sample.origin for sample in builder.samples(attempt)} == {"messages"}
    assert builder.notes == {"attempts with token ids missing, or of another tokenizer": 1}


def test_what_a_server_does_not_show_is_in_the_ids(place: Path) -> None:
    """Ids keep special tokens and outer blanks that the message lacks."""
    loaded = tokenizer(place, *KNOWN["ours"])
    attempt = with_ids(TEXT, loaded)
    calls = [
        call.model_copy(
            update={
                "prompt_shared": 0,
                "prompt_token_ids": prompt,
                "completion_token_ids": loaded.encode("\n<|user|>") + list(completion),
            }
        )
        for call, prompt in zip(attempt.model_calls, attempt.prompts(), strict=True)
        for completion in [call.completion_token_ids or ()]
    ]
    samples = made(loaded, Trajectory(**{**dict(attempt), "model_calls": calls}))
    assert {sample.origin for sample in samples} == {"tokens"}
    assert len(samples) == attempt.turns  # the prompts do not hold what was not shown


def test_a_policy_learns_what_the_agent_writes_and_a_world_more(place: Path) -> None:
    """`world` adds half of the observations, drawn by the seed, and never the problem statement."""
    loaded = tokenizer(place, *KNOWN["qwen 2.5"])
    (policy,) = made(loaded, TEXT)
    (all_of_it,) = made(loaded, TEXT, WORLD.model_copy(update={"observations": 1.0}))
    (none_of_it,) = made(loaded, TEXT, WORLD.model_copy(update={"observations": 0.0}))
    assert none_of_it.loss_mask == policy.loss_mask
    first = policy.loss_mask.index(True)
    assert all(all_of_it.loss_mask[first:])
    assert not any(all_of_it.loss_mask[:first])
    halves = []
    for seed in range(40):
        (half,) = made(loaded, TEXT, WORLD.model_copy(update={"seed": seed}))
        assert all(a or not b for a, b in zip(half.loss_mask, policy.loss_mask, strict=True))
        halves.append(sum(half.loss_mask) - sum(policy.loss_mask))
    observed = sum(all_of_it.loss_mask) - sum(policy.loss_mask)
    assert 0.35 < sum(halves) / len(halves) / observed < 0.65
    assert len(set(halves)) > 5


def test_of_a_rewritten_history_a_world_is_made_of_messages(place: Path) -> None:
    """The ids do not show where observations begin; a policy sample still uses them."""
    loaded = tokenizer(place, *KNOWN["ours"])
    attempt = with_ids(
        make_attempt("x", syntax="text", steps=STEPS[:1]), loaded, {1: "Otherwise. "}
    )
    assert [sample.origin for sample in made(loaded, attempt)] == ["tokens", "tokens"]
    assert [sample.origin for sample in made(loaded, attempt, WORLD)] == ["messages"]


def test_the_last_observation_of_a_cut_off_attempt_is_world_too(place: Path) -> None:
    """A policy sample contains the observation without loss."""
    loaded = tokenizer(place, *KNOWN["ours"])
    last = TEXT.model_calls[-1].message
    attempt = TEXT.model_copy(
        update={"messages": TEXT.messages[:last], "model_calls": TEXT.model_calls[:-1]}
    )
    settings = WORLD.model_copy(update={"observations": 1.0})
    (sample,) = made(loaded, attempt, settings)
    assert sample.loss_mask[-1]
    (policy,) = made(loaded, attempt)
    assert not policy.loss_mask[-1]


def test_steps_that_failed_can_be_masked(place: Path) -> None:
    """Refused, malformed and stopped calls are masked; a failing test run is not."""
    failed: list[dict[str, Any]] = [{"error": True}, {"timed_out": True}, {"exit_code": 127}]
    calls = [
        ToolCall(**{**dict(call), **change})
        for call, change in zip(
            TEXT.tool_calls, [failed[0], failed[1], {}, {}, failed[2], {}], strict=True
        )
    ]
    calls[2] = calls[2].model_copy(update={"exit_code": 0})
    attempt = TEXT.model_copy(update={"tool_calls": calls})
    loaded = tokenizer(place, *KNOWN["ours"])
    masked = POLICY.model_copy(update={"mask_failed": True})
    (sample,) = made(loaded, attempt, masked)
    (all_of_them,) = made(loaded, attempt)
    assert len(list(runs(all_of_them))) == 6
    assert list(runs(sample)) == [list(runs(all_of_them))[n] for n in (2, 3, 5)]


def test_commands_that_exit_otherwise_can_be_masked(place: Path) -> None:
    """`mask_exits` masks by exit code alone; without it failing tests have loss."""
    codes = [0, 1, None, 2, 0, None]
    calls = [
        call.model_copy(update={"exit_code": code})
        for call, code in zip(TEXT.tool_calls, codes, strict=True)
    ]
    attempt = TEXT.model_copy(update={"tool_calls": calls})
    loaded = tokenizer(place, *KNOWN["ours"])
    (sample,) = made(loaded, attempt, POLICY.model_copy(update={"mask_exits": True}))
    (all_of_them,) = made(loaded, attempt)
    assert list(runs(sample)) == [list(runs(all_of_them))[n] for n in (0, 2, 4, 5)]


def test_an_attempt_whose_every_step_failed_is_left_out(place: Path) -> None:
    """A sample without loss is never written."""
    calls = [call.model_copy(update={"error": True}) for call in TEXT.tool_calls]
    builder = SampleBuilder(
        tokenizer(place, *KNOWN["ours"]), POLICY.model_copy(update={"mask_failed": True})
    )
    assert not list(builder.samples(TEXT.model_copy(update={"tool_calls": calls})))
    assert builder.left_out == {NOTHING: 1}


def test_what_is_too_long_is_left_out_or_cut(place: Path) -> None:
    """Long samples are left out by default; a truncated sample without loss is left out too."""
    loaded = tokenizer(place, *KNOWN["ours"])
    (whole,) = made(loaded, TEXT)
    size = len(whole.input_ids)
    exact = SampleBuilder(loaded, POLICY.model_copy(update={"max_length": size}))
    assert list(exact.samples(TEXT)) == [whole]
    short = SampleBuilder(loaded, POLICY.model_copy(update={"max_length": size - 1}))
    assert not list(short.samples(TEXT))
    assert short.left_out == {LONG: 1}
    cut = SampleBuilder(
        loaded, POLICY.model_copy(update={"max_length": size - 1, "truncate": True})
    )
    (sample,) = cut.samples(TEXT)
    assert sample.input_ids == whole.input_ids[:-1]
    assert sample.loss_mask == whole.loss_mask[:-1]
    tiny = SampleBuilder(loaded, POLICY.model_copy(update={"max_length": 5, "truncate": True}))
    assert not list(tiny.samples(TEXT))
    assert tiny.left_out == {NOTHING: 1}


@pytest.mark.parametrize("shift", [-2, -1, 1, 2])
def test_shifted_masks_are_errors(place: Path, shift: int) -> None:
    """A span that is off by one token does not decode to the answer."""
    loaded = tokenizer(place, *KNOWN["qwen 2.5"])
    (segment,) = rendered(FUNCTIONS, loaded)
    assert prove(segment, FUNCTIONS, loaded) == 0
    spans = [Span(a + shift, b + shift, step, answer) for a, b, step, answer in segment.spans]
    with pytest.raises(UsageError, match="shifted"):
        prove(segment._replace(spans=spans), FUNCTIONS, loaded)


def test_masks_of_ones_are_errors(place: Path) -> None:
    """A broken server that returns no prompt ids does not make the whole sample have loss."""
    loaded = tokenizer(place, *KNOWN["ours"])
    attempt = with_ids(make_attempt("x", syntax="text", steps=[]), loaded)
    call = attempt.model_calls[0].model_copy(update={"prompt_token_ids": []})
    with pytest.raises(UsageError, match="every token would have loss"):
        made(loaded, attempt.model_copy(update={"model_calls": [call]}))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of six attempts."""
    with Run.write(tmp_path / "run", Settings(), []) as writer:
        for number in range(3):
            writer.append(make_attempt("a", number, syntax="text"))
            writer.append(make_attempt("b", number, syntax="text", resolved=False))
    return tmp_path / "run"


def export(*arguments: object) -> Result:
    """`forager export` in this process."""
    return CliRunner().invoke(main, ["export", *map(str, arguments)])


def test_datasets_of_others_load_it(run: Path, place: Path, tmp_path: Path) -> None:
    """`datasets.load_dataset("parquet")` loads all columns, and Dataset reads the same."""
    from datasets import load_dataset

    path = place / "ours"
    make_tokenizer(path, *KNOWN["ours"])
    out = tmp_path / "out"
    done = export(run, "-o", out, "--format", "policy", "--tokenizer", path, "--resolved")
    assert done.exit_code == 0, done.output
    loaded = load_dataset(
        "parquet", data_files=str(out / "*.parquet"), split="train", cache_dir=str(tmp_path / "c")
    )
    ours = Dataset(out)
    assert loaded.column_names == list(Sample._fields)
    assert [Sample(**row) for row in loaded] == list(ours)
    assert len(ours) == ours.manifest.samples == 3
    assert ours[-1] == ours[2]
    assert ours.manifest.tokens == sum(len(sample.input_ids) for sample in ours)
    assert ours.manifest.trained == sum(sum(sample.loss_mask) for sample in ours)
    assert (ours.manifest.kind, ours.manifest.context) == ("policy", 32_768)
    assert "3 samples" in done.output
    with pytest.raises(IndexError):
        ours[3]


def test_the_same_is_the_same(run: Path, place: Path, tmp_path: Path) -> None:
    """The same inputs give the same bytes; an existing data set is left alone, another refused."""
    path = make_tokenizer(place / "same", *KNOWN["ours"])

    def manifest(name: str, **settings: Any) -> DatasetManifest:
        wanted = WORLD.model_copy(update=settings)
        return export_dataset([run], tmp_path / name, path, wanted)

    assert manifest("one") == manifest("two")
    files = [(tmp_path / name / "samples-00000.parquet").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]
    assert manifest("three", seed=1).digest != manifest("one").digest
    before = (tmp_path / "one" / "dataset.json").stat().st_mtime_ns
    manifest("one")
    assert (tmp_path / "one" / "dataset.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="name a new directory"):
        manifest("one", max_length=99)


def test_samples_are_shown(run: Path, place: Path, tmp_path: Path) -> None:
    """--show puts tokens with loss in brackets if there are no colours."""
    path = make_tokenizer(place / "shown", *KNOWN["ours"])
    options = ("--format", "policy", "--tokenizer", path, "--show", 1)
    shown = export(run, "-o", tmp_path / "out", *options).output
    assert "⟦Look.\n\n<tool: bash>\ncat pkg/core.py\n</tool><|end|>⟧<|user|>" in shown
    assert shown.count("⟦") == TEXT.turns


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "policy"], "need --tokenizer MODEL"),
        (["--format", "jsonl", "--show", "1"], "--show needs --format policy, world or trace"),
        (["--format", "jsonl", "--max-length", "5"], "--max-length needs --format policy"),
        (["--format", "world", "--tokenizer", "/nowhere"], "has no tokenizer"),
        (["--format", "policy", "--limit", "1", "--sample", "1"], "give one of them"),
    ],
)
def test_a_mistake_is_one_line(run: Path, tmp_path: Path, options: list[str], message: str) -> None:
    """A mistake is one line, and nothing is written."""
    done = export(run, "-o", tmp_path / "out", *options)
    assert done.exit_code == 2
    assert message in done.output
    assert not (tmp_path / "out").exists()


def test_a_run_that_gives_no_sample_says_why(run: Path, place: Path, tmp_path: Path) -> None:
    """The message gives the reasons, and no directory is left behind."""
    path = make_tokenizer(place / "endless", templates.ENDLESS, ENDS["qwen"])
    done = export(run, "-o", tmp_path / "out", "--format", "policy", "--tokenizer", path)
    assert done.exit_code == 2
    assert "ends answers without a special token: 6" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
