"""A model from nothing, custom system prompts, and statements that show the code."""

from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from forager.agent.loop import SYSTEM, Agent
from forager.agent.model import ScriptedModel
from forager.agent.syntax import TextCalls
from forager.cli.main import main
from forager.environments.repository.testing import Failure
from forager.errors import UsageError
from forager.learning.base import BaseSettings
from forager.learning.filters.changes import LineEdit
from forager.learning.filters.sed import TrialTemplate, script
from forager.learning.tiny import make_base
from forager.mutation.candidates import Candidate, candidates
from forager.mutation.judge import Verdict
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.trajectories.record import AttemptLimits
from mutators import FAMILIES
from tasks.statements import with_code
from tools import TOOLBOX

KATA = Path(__file__).parent.parent / "examples" / "kata"
SMALL = BaseSettings(vocabulary=400, layers=2, width=64, context=128, copying=False)


@pytest.fixture(scope="module")
def small_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base trained on a module of the katas."""
    pytest.importorskip("transformers")
    base = tmp_path_factory.mktemp("base") / "base"
    make_base([KATA / "kata" / "numbers.py"], base, SMALL)
    return base


def test_a_base_reads_and_writes_any_text(small_base: Path) -> None:
    """Any text survives encoding and decoding; a word is the same token everywhere."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(small_base)
    for text in (
        "def f(x):\n\treturn x  # é\r\n",
        "<tool: edit>\n   \n",
        "\x00 ß 漢\n\n",
        "a_b 127",
    ):
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert tokenizer.decode(ids, skip_special_tokens=False) == text
    assert tokenizer.encode("number", add_special_tokens=False)[0] in tokenizer.encode("(number")


def test_a_base_takes_conversations_of_text_calls_alone(small_base: Path) -> None:
    """Each message ends with the end-of-sequence token; function calls are refused."""
    from jinja2 import TemplateError
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(small_base)
    told = [{"role": "system", "content": "Fix."}, {"role": "user", "content": "It is 1, not 2."}]
    text = tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=True)
    assert text == "<|system|>Fix.<|end|><|user|>It is 1, not 2.<|end|><|assistant|>"
    assert tokenizer.eos_token == "<|end|>"
    with pytest.raises(TemplateError, match="--syntax text"):
        tokenizer.apply_chat_template([{"role": "tool", "content": "1"}], tokenize=False)


def test_a_base_is_a_model_of_the_size_asked_for(small_base: Path) -> None:
    """Heads are 64 wide, embeddings tied, and the vocabulary is the tokenizer's."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(small_base)
    config = model.config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (2, 64, 1)
    assert config.vocab_size == len(AutoTokenizer.from_pretrained(small_base)) <= 400
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


@pytest.mark.parametrize(
    ("old", "new", "done"),
    [
        ("    return low < high", "    return low <= high", "7s/ < / <= /"),
        ("    if a and not b:", "    if a or not b:", "7s/ and/ or/"),
        ("    return x[0]", "    return x[1]", "7s/0/1/"),
        ("    while True:", "    while False:", "7s/ True/ False/"),
        ("    return -a - b", "    return -a + b", "7s/ - / + /"),
    ],
)
def test_what_is_replaced_is_written_in_the_tokens_of_the_statement(
    small_base: Path, old: str, new: str, done: str
) -> None:
    """Module and replaced text are the same tokens in a kata's trial as where they are shown."""
    from transformers import AutoTokenizer

    assert script(LineEdit("kata/games.py", 6, (old,), (new,))) == done
    tokenizer = AutoTokenizer.from_pretrained(small_base)
    shown = tokenizer.tokenize(f"There is a bug in `kata/games.py`:\n\n7 {old}\n\n")
    written = tokenizer.tokenize(
        TrialTemplate("./try {path} '{script}'").command(done, "kata/games.py", "")
    )
    replaced = tokenizer.tokenize(done.split("/")[1].rstrip())
    for part in (tokenizer.tokenize("/games."), replaced):
        for tokens in (shown, written):
            places = range(len(tokens) - len(part) + 1)
            assert any(tokens[place : place + len(part)] == part for place in places)


def test_a_base_is_made_once(small_base: Path, tmp_path: Path) -> None:
    """The same request gives the same base anywhere; another request is refused."""
    text = KATA / "kata" / "numbers.py"
    before = (small_base / "model.safetensors").stat().st_mtime_ns
    known = make_base([text], small_base, SMALL)
    assert (small_base / "model.safetensors").stat().st_mtime_ns == before
    assert make_base([text], tmp_path / "again", SMALL) == known
    seeded = SMALL.model_copy(update={"seed": 1})
    assert make_base([text], tmp_path / "seeded", seeded).digest != known.digest
    with pytest.raises(UsageError, match="other texts or settings"):
        make_base([text], small_base, seeded)


@pytest.mark.train
def test_a_base_begins_by_copying(tmp_path: Path) -> None:
    """An untrained base repeats a sequence thanks to its induction heads, and not without them."""
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    ids = torch.randint(0, 400, (4, 50), generator=torch.Generator().manual_seed(0)).repeat(1, 3)
    right = {}
    for copying in (True, False):
        settings = BaseSettings(vocabulary=400, layers=2, copying=copying)
        base = tmp_path / str(copying)
        make_base([KATA / "kata" / "numbers.py"], base, settings)
        with torch.no_grad():
            guessed = AutoModelForCausalLM.from_pretrained(base)(ids).logits.argmax(-1)
        right[copying] = (guessed[:, 50:-1] == ids[:, 51:]).float().mean().item()
    assert right[True] > 0.9
    assert right[False] < 0.1


def test_sizes_that_do_not_fit_are_said(tmp_path: Path) -> None:
    """The message names sizes that fit."""
    text = tmp_path / "a.txt"
    text.write_text("a")
    for options, said in (
        (["--width", "90", "--heads", "4", "--no-copying"], "take one such as 96"),
        (["--width", "128"], "copying takes 2 layers"),
        (["--vocabulary", "20"], "--vocabulary"),
    ):
        result = CliRunner().invoke(main, ["base", str(text), "-o", str(tmp_path / "b"), *options])
        assert result.exit_code == 2
        assert said in result.output


def test_a_system_prompt_of_ones_own(tmp_path: Path) -> None:
    """{instructions} becomes the description of calls; a prompt without it is used as it is."""
    calls = TextCalls()
    submit = {"role": "assistant", "content": "<tool: submit>\n\n</tool>"}
    with closing(LocalSandbox(tmp_path)) as sandbox:
        for system in (SYSTEM, "Fix {it}. {instructions}", "Fix the bug."):
            model = ScriptedModel([submit])
            agent = Agent(model, sandbox, TOOLBOX, calls, AttemptLimits(), system)
            agent.run("It is broken.")
            said = agent.messages[0]["content"]
            assert said == system.replace("{instructions}", calls.instructions(TOOLBOX))


SOURCE = '''\
"""Numbers."""


class Basket:
    @property
    def total(self):
        return sum(self.prices)


def clamp(number, low, high):
    return max(low, min(number, high))
'''
TESTS = {"tests/test_numbers.py": "def test_clamp():\n    assert clamp(5, 1, 3) == 3\n"}


def verdict(*tests: str) -> Verdict:
    """What the proof saw."""
    frames = [("tests/test_numbers.py", 2, "test_clamp")]
    failure = Failure(error="AssertionError: assert 1 == 3\n +  where", frames=frames, text="")
    return Verdict(fail_to_pass=list(tests), failures={tests[0]: failure})


def bug(function: str, operator: str) -> Candidate:
    """A bug of the source above."""
    found = candidates("kata/numbers.py", SOURCE, FAMILIES)
    return next(
        candidate
        for candidate in found
        if (candidate.function, candidate.operator) == (function, operator)
    )


def test_the_code_is_shown_as_it_stands() -> None:
    """The statement shows the code, the failing test and how to run it, but not the fix."""
    seen = verdict("tests/test_numbers.py::test_clamp")
    text = with_code(bug("clamp", "swap_function"), seen, {"kata/numbers.py": SOURCE}, TESTS)
    assert text == (
        "There is a bug in the function `clamp` of `kata/numbers.py`:\n\n"
        "10 def clamp(number, low, high):\n"
        "11     return min(low, min(number, high))\n\n"
        "clamp(5, 1, 3)\n"
        "Expected: 3\n"
        "Got: 1\n\n"
        "python -m pytest tests/test_numbers.py::test_clamp"
    )


def test_a_method_is_shown_with_its_decorators() -> None:
    """Each line has its number; two failing tests are named and the others counted."""
    seen = verdict("a.py::a", "a.py::b", "a.py::c")
    text = with_code(bug("Basket.total", "remove_return"), seen, {"kata/numbers.py": SOURCE}, {})
    assert "\n\n5     @property\n6     def total(self):\n7         pass\n\n" in text
    assert text.endswith("- and 1 more tests fail\n\npython -m pytest a.py::a a.py::b")


def test_the_repair_policy_reads_it() -> None:
    """The repair policy finds file, function and tests in the statement."""
    from forager.repair.statement import read_statement

    seen = verdict("tests/test_numbers.py::test_clamp")
    text = with_code(bug("clamp", "swap_function"), seen, {"kata/numbers.py": SOURCE}, TESTS)
    read = read_statement(text)
    assert (read.file, read.function) == ("kata/numbers.py", "clamp")
    assert (read.tests, read.all_named) == (("tests/test_numbers.py::test_clamp",), True)
