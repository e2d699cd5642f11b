import io

import pytest
from attempts import PATCH, STEPS, TRACEBACK, make_attempt, make_task
from rich.console import Console
from rich.text import Text

from forager.trajectories import draw
from forager.trajectories.record import Trajectory
from forager.trajectories.show import show, turns


def drawn(trajectory: Trajectory, *, colour: bool = False, full: bool = False) -> str:
    """Return what the console prints, 80 columns wide."""
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=colour, markup=False, highlight=False)
    for piece in show(trajectory, make_task(), full=full):
        console.print(piece, soft_wrap=True)
    return file.getvalue()


@pytest.mark.parametrize("syntax", ["functions", "text"])
def test_turns_are_read_from_either_syntax(syntax: str) -> None:
    """The thought is the text around the call, and the call is what was executed."""
    found = turns(make_attempt(syntax=syntax))
    assert [turn.number for turn in found] == [1, 2, 3, 4, 5, 6]
    assert [turn.thought.strip() for turn in found] == [*(step[0] for step in STEPS), "Done."]
    assert [turn.call.arguments for turn in found if turn.call] == [*(s[2] for s in STEPS), {}]
    assert [turn.observation for turn in found] == [*(step[3] for step in STEPS), ""]


@pytest.mark.parametrize("syntax", ["functions", "text"])
def test_an_attempt_is_shown_whole(syntax: str) -> None:
    """Head, prompt, turns, patch and outcome appear in this order."""
    text = drawn(make_attempt(syntax=syntax))
    positions = [
        text.index(part)
        for part in (
            "operators/negative_index in pkg/core.py:2",
            "… 2 lines folded",
            "Some tests fail: [bold]not markup[/bold] [/foo]",
            "turn 1 bash · 0.5 s · 1,000 + 50 tokens",
            "Let me run the tests.",
            "▌ $ cd /testbed && pytest -q | tail -3",
            "│ IndexError: list index out of range [/foo] [bold]",
            "▌ -    return items[0]\n▌ +    return items[-1]",
            "│ … 60 lines folded, --full shows them …\n│ 81",
            "turn 6 submit",
            "│ diff --git a/pkg/core.py b/pkg/core.py",
            "resolved, ended by: submitted",
            "FAIL_TO_PASS 1 of 1 passed, PASS_TO_PASS 1 of 1 passed",
        )
    ]
    assert positions == sorted(positions)
    assert "<tool:" not in text


def test_full_folds_nothing() -> None:
    """`full` shows the whole system prompt and long outputs."""
    text = drawn(make_attempt(), full=True)
    assert "folded" not in text
    assert "│ Line 4.\n" in text
    assert "│ 42\n" in text


def test_control_characters_do_not_reach_the_terminal() -> None:
    """No program's output moves the cursor or rings the bell."""
    text = drawn(make_attempt())
    assert not [char for char in text if char not in "\n" and ord(char) < 32]
    assert "\x9b" not in text
    assert "red \N{REPLACEMENT CHARACTER} bell" in text


def test_a_terminal_gets_colours_and_lines_that_fit() -> None:
    """Long lines wrap behind the margin."""
    steps = [("", "bash", {"command": "x"}, "y" * 200)]
    text = drawn(make_attempt(steps=steps), colour=True)
    plain = Text.from_ansi(text).plain
    assert text != plain
    assert max(map(len, plain.splitlines())) == 80
    assert plain.count("│ yyyy") == 3


def test_a_pipe_gets_long_lines_whole() -> None:
    """Whole lines can be searched."""
    steps = [("", "bash", {"command": "x"}, "y" * 200)]
    assert "│ " + "y" * 200 + "\n" in drawn(make_attempt(steps=steps))


def test_a_call_that_could_not_be_read_is_shown_as_it_was_written() -> None:
    """The malformed call appears with the error that the model read."""
    steps = [("Hm.", "", {"command": "ls"}, "Your message holds 2 calls")]
    attempt = make_attempt(steps=steps)
    broken = attempt.tool_calls[0].model_copy(update={"arguments": {}, "error": True})
    attempt = attempt.model_copy(update={"tool_calls": [broken, *attempt.tool_calls[1:]]})
    text = drawn(attempt)
    assert r'{"name": "", "arguments": "{\"command\": \"ls\"}"}' in text
    assert "│ Your message holds 2 calls" in text
    assert "(a call that could not be read)" in text


def test_what_ended_a_command_is_said() -> None:
    """Notes name exit code, time limit and bytes left out."""
    attempt = make_attempt()
    first, second, *rest = attempt.tool_calls
    changed = [
        first.model_copy(update={"exit_code": 2, "omitted": 70_000}),
        second.model_copy(update={"exit_code": None, "timed_out": True, "seconds": 120.0}),
    ]
    text = drawn(attempt.model_copy(update={"tool_calls": [*changed, *rest]}))
    assert "(exit code 2)\n(70,000 bytes of output were left out)" in text
    assert "(ended by its time limit after 120 s)" in text


def test_an_attempt_without_turns_is_shown() -> None:
    """An attempt whose first request failed is shown too."""
    attempt = make_attempt(resolved=False, exit_reason="model_error")
    empty = {"messages": attempt.messages[:2], "model_calls": [], "tool_calls": []}
    text = drawn(attempt.model_copy(update=empty))
    assert "turn 1" not in text
    assert "(empty)" in text
    assert "not resolved, ended by: model_error" in text
    assert "not passed tests/test_core.py::test_last (failed)" in text


def test_an_unanswered_call_of_an_unknown_tool_is_shown() -> None:
    """An unknown tool's call shows names and values of its arguments."""
    text = drawn(make_attempt(steps=[("", "browse", {"url": "[x]", "depth": "2"}, "ok")]))
    assert "▌ url: [x]\n▌ depth: 2" in text


def test_content_in_parts_and_reasoning_are_shown() -> None:
    """Content in parts, as some servers send it, and reasoning are shown."""
    attempt = make_attempt(steps=STEPS[:1])
    parts = [{"type": "text", "text": "First."}, {"type": "image_url", "image_url": {"url": "u"}}]
    answer = {**attempt.messages[2], "content": parts, "reasoning_content": "I wonder."}
    messages = [*attempt.messages[:2], answer, *attempt.messages[3:]]
    text = drawn(attempt.model_copy(update={"messages": messages}))
    assert 'I wonder.\n\nFirst.\n{"type": "image_url"' in text


def test_diffs_and_tracebacks_have_colours() -> None:
    """Added lines are green, removed ones and errors red."""
    styles = {span.style for span in draw.output(PATCH).spans}
    assert styles == {"bold", "cyan", "red", "green"}
    assert {span.style for span in draw.output(TRACEBACK).spans} == {"red", "cyan"}


def test_a_line_of_a_megabyte_is_cut() -> None:
    """The cut line says how many characters it lacks."""
    folded = draw.fold(Text("x" * 1_000_000)).plain
    assert folded.endswith("x … 998,000 characters more")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("10%\r20%\r\n", "10%\n20%\n"),
        ("tab\tstays", "tab\tstays"),
        ("a\x00b\x08c", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"),
        ("a\u202eb", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\x1b", "a"),
    ],
)
def test_text_is_made_safe(raw: str, shown: str) -> None:
    """Escape sequences disappear; other control characters become visible."""
    assert draw.safe(raw) == shown


@pytest.mark.parametrize(
    ("line", "style"),
    [
        ("4 passed in 0.09s", "green"),
        ("==== 4 passed, 1 warning in 0.09s ====", "green"),
        ("1 failed, 3 passed in 1.20s", "red"),
        ("3 passed, 1 error in 1.20s", "red"),
        ("==== 1 failed in 0.1s ====", "red"),
        ("FAILED tests/test_a.py::test_b - assert 1 == 2", "red"),
        ("E       assert 1 == 2", "red"),
        ("IndexError: list index out of range", "red"),
        ('  File "/testbed/a.py", line 1, in b', "cyan"),
        ("tests/test_a.py:12: in test_b", "cyan"),
        ("12 files", ""),
        ("passed", ""),
    ],
)
def test_lines_of_output_have_their_colours(line: str, style: str) -> None:
    """The colour shows a test result, a traceback, or neither."""
    text = draw.output(line)
    assert [span.style for span in text.spans] == ([style] if style else [])
