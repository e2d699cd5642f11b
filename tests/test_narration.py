"""Executions in words: what rules write is true, and what a model writes is checked."""

from pathlib import Path

import pytest
from recordings import recorded
from test_cli import forager
from test_tracing_views import goldens
from traced import make_trace, traced

from forager.agent.model import ScriptedModel
from forager.records import read_records
from forager.tracing.cutting import Cut
from forager.tracing.narration.claims import check, facts_of, quoted
from forager.tracing.narration.rules import narrated
from forager.tracing.narration.writing import Narration, TraceNarrator, narrations
from forager.tracing.store import Dropped, TraceWriter
from tasks.author import Author

PROGRAM = """\
def total(numbers, limit=100):
    result = 0
    for number in numbers:
        result += number
        if result > limit:
            raise ValueError("too large")
    return result


def main():
    try:
        total([99, 2])
    except ValueError:
        pass
    return total([5, 7])
"""
ALL = Cut()
TRUE = """\
`main` calls `total()` with `numbers = [99, 2]`, and `limit` is 100. In line 4 the sum gets \
`result = 99`, then `result = 101`, so that line 6 fails: `raise ValueError('too large')`. With \
`numbers = [5, 7]`, line 4 runs 4 times in all; `result = 5`, then `result = 12`. So \
`total(...) -> 12`, and it ends with `main(...) -> 12`."""


@pytest.mark.parametrize("golden", goldens(), ids=lambda golden: str(golden[0]))
@pytest.mark.parametrize("depth", [0, 1000])
def test_what_rules_write_is_in_the_trace(
    tmp_path: Path, golden: tuple[str, str, dict[str, str]], depth: int
) -> None:
    """Of each construct; the check of a model's text finds nothing wrong with it."""
    trace, sources = make_trace(recorded(tmp_path, golden[1], "c"), golden[1])
    text = narrated(trace, sources, Cut(depth=depth))
    assert check(text, facts_of(trace, sources, Cut(depth=depth))).problems == []
    assert text.startswith("`main` is called.")


def test_rules_tell_the_first_and_last_rounds_of_a_loop(tmp_path: Path) -> None:
    """And what the others have changed."""
    source = """\
        def main():
            total = 0
            for number in range(50):
                total += number
            return total
        """
    trace, sources = traced(tmp_path, source)
    text = narrated(trace, sources, ALL)
    for part in ("`total = 0`", "`number = 1`", "Line 3 runs 51 times in all", "`total = 1128`"):
        assert part in text
    assert "The loop in line 3 is over. It returns: `main(...) -> 1225`." in text
    assert "`number = 20`" not in text and len(text) < 700


def test_true_statements_pass(tmp_path: Path) -> None:
    """Variables in order, results, exceptions, code, lines, counts and values in the text."""
    trace, sources = traced(tmp_path, PROGRAM)
    found = check(TRUE, facts_of(trace, sources, ALL))
    assert found.problems == [] and found.statements == 12


@pytest.mark.parametrize(
    ("true", "false", "problem"),
    [
        ("`result = 99`", "`result = 98`", "`result = 98` is not in the trace"),
        ("`result = 99`, then `result = 101`", "`result = 101`, then `result = 99`", "this order"),
        ("`total(...) -> 12`", "`total(...) -> 13`", "`total(...) -> 13`"),
        ("`main(...) -> 12`", "`main`", "how the execution ends: `main(...) -> 12`"),
        ("raise ValueError('too large')", "raise KeyError('x')", "`raise KeyError('x')`"),
        ("line 6", "line 77", "the number 77"),
        ("is 100", "is 1,000", "the number 1,000"),
        ("4 times", "three times", "'three' in digits"),
        ("the sum", "the 'sum'", "'sum' is not"),
        ("the sum", "True", "True is not"),
        ("`numbers = [5, 7]`", "`numbers = [5, 7…`", "is not in the trace"),
    ],
)
def test_each_stated_value_is_checked(tmp_path: Path, true: str, false: str, problem: str) -> None:
    """Not only the last one."""
    trace, sources = traced(tmp_path, PROGRAM)
    assert true in TRUE
    found = check(TRUE.replace(true, false), facts_of(trace, sources, ALL))
    assert any(problem in text for text in found.problems), found.problems


def test_values_may_hold_backticks_and_be_long(tmp_path: Path) -> None:
    """Such values are fenced as in Markdown; a long one may end with …."""
    source = f"def main():\n    text = '`a``b`'\n    long = {'x' * 900!r}\n    return text\n"
    trace, sources = traced(tmp_path, source)
    facts = facts_of(trace, sources, ALL)
    text = narrated(trace, sources, ALL)
    assert "```text = '`a``b`'```" in text and "xxx…" in text
    assert check(text, facts).problems == []
    assert quoted("`a`") == "`` `a` ``"
    assert check(f"`long = '{'x' * 30}…` `main(...) -> '`", facts).problems[0].startswith("`main(")
    assert check("`long = 'y…`", facts).problems


def said(text: str) -> dict[str, str]:
    """Return a model's message."""
    return {"role": "assistant", "content": text}


def test_a_model_writes_once_more_and_is_dropped_then(tmp_path: Path) -> None:
    """The second question names what is wrong; a failed text is counted with its kind."""
    trace, sources = traced(tmp_path, PROGRAM)
    wrong = TRUE.replace("101", "102")
    model = ScriptedModel([said(wrong), said(TRUE), said(wrong), said(wrong)])
    found = []
    for name in ("one", "two"):
        with Author("m", model, tmp_path / f"{name}.jsonl") as author:
            narrator = TraceNarrator(ALL, "m", lambda *asked, by=author: by.text(*asked, 2)[0])
            found.append(narrator.narrate(trace, sources))
    kept, dropped = found
    assert isinstance(kept, Narration) and kept.text == TRUE and kept.statements == 12
    assert "`result = 102` is not in the trace" in str(model.seen[1][-1]["content"])
    assert "> total(numbers=[99, 2]" in str(model.seen[0][0]["content"])
    assert dropped == Dropped(id="t", reason="a model's text: a statement is not in the trace")


def test_texts_are_kept_and_the_command_goes_on(tmp_path: Path) -> None:
    """A text has its code; each trace is described once; a model needs an endpoint."""
    with TraceWriter(tmp_path / "traces") as writer:
        for name, source in (("a", PROGRAM), ("b", "def main():\n    return 1\n")):
            trace, sources = traced(tmp_path, source)
            writer.add(trace.model_copy(update={"id": name, "entry": "main()"}), sources)
    command = ("trace", "narrate", tmp_path / "traces", "-o", tmp_path / "out")
    done = forager(*command, "--limit", "1")
    assert done.exit_code == 0, done.stderr
    assert [text.id for text in narrations(tmp_path / "out")] == ["a"]
    assert forager(*command).exit_code == 0
    first, second = narrations(tmp_path / "out")
    assert (second.id, second.narrator, second.call) == ("b", "rules", "main()")
    assert second.text == "`main` is called. It returns: `main(...) -> 1`."
    assert second.files == {"program.py": "def main():\n    return 1\n"} and first.statements > 9
    assert len(list(read_records(tmp_path / "out" / "narrations.jsonl", Narration))) == 2
    refused = forager(*command, "-m", "some")
    assert refused.exit_code == 2 and "--url" in refused.stderr
    missing = forager("trace", "narrate", tmp_path / "none", "-o", tmp_path / "out")
    assert missing.exit_code == 2 and "holds no traces" in missing.stderr
