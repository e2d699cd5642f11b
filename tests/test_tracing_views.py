"""Views of traces, by hand-checked examples of each construct, and states that are rebuilt."""

import json
import tracemalloc
from pathlib import Path

import pytest
from recordings import recorded
from traced import make_trace, traced

from forager.programs.tracer.writing import named, string, valued
from forager.tracing.cutting import Cut
from forager.tracing.making import Redaction, checked
from forager.tracing.reader import TraceReader, read_states
from forager.tracing.source import Bindings
from forager.tracing.stream import StreamReader, VariableChange
from forager.tracing.values import kind_of
from forager.tracing.views.compact import compact_text
from forager.tracing.views.cwm import TOKENS, CwmFrame, CwmTrace, cwm_trace, parse_cwm
from forager.tracing.views.debugger import Debugger, episode
from forager.tracing.views.events import event_objects
from forager.tracing.views.samples import segments
from forager.tracing.writing import rewritten
from forager.untrusted import Malformed

GOLDEN = Path(__file__).parent / "data" / "traces.txt"
VERSIONS = ("3.11", "3.12", "3.13")


def goldens() -> list[tuple[str, str, dict[str, str]]]:
    """Return name, source and the expected text of each version."""
    found = []
    for part in GOLDEN.read_text().split("== ")[1:]:
        head, *texts = part.split("\n-- ")
        name, _, source = head.partition("\n")
        expected = {}
        for text in texts:
            versions, _, body = text.partition("\n")
            expected.update(dict.fromkeys(versions.split(), body.rstrip("\n") + "\n"))
        found.append((name, source + "\n", expected))
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("golden", goldens(), ids=lambda golden: str(golden[0]))
def test_constructs_are_recorded_as_in_the_hand_checked_file(
    tmp_path: Path, golden: tuple[str, str, dict[str, str]], version: str
) -> None:
    """Each construct gives these events; CWM's text of them can be read back and written again."""
    _, source, expected = golden
    trace, sources = traced(tmp_path, source, version)
    assert compact_text(trace, sources) == expected[version]
    text = cwm_trace(trace, sources).text()
    assert parse_cwm(text).text() == text


CWM = """\
def f(nums):
    output = []
    for n in nums:
        output.append((nums.count(n), n))
    return output
def main():
    return f([1, 1])
"""
CWM_TEXT = (
    "<|begin_of_text|><|trace_context_start|>\n"
    "def f(nums):\n    output = []\n    for n in nums:\n"
    "        output.append((nums.count(n), n))\n    return output\n"
    "def main():  # << START_OF_TRACE\n    return f([1, 1])\n<|frame_sep|>"
    "<|call_sep|>{}<|action_sep|>def main():\n<|frame_sep|>"
    "<|line_sep|>{}<|action_sep|>    return f([1, 1])\n<|frame_sep|>"
    '<|call_sep|>{"nums": "[1, 1]"}<|action_sep|>def f(nums):\n<|frame_sep|>'
    '<|line_sep|>{"nums": ".."}<|action_sep|>    output = []\n<|frame_sep|>'
    '<|line_sep|>{"nums": "..", "output": "[]"}<|action_sep|>    for n in nums:\n<|frame_sep|>'
    '<|line_sep|>{"nums": "..", "output": "..", "n": "1"}<|action_sep|>'
    "        output.append((nums.count(n), n))\n<|frame_sep|>"
    '<|line_sep|>{"nums": "..", "output": "[(2, 1)]", "n": ".."}<|action_sep|>'
    "    for n in nums:\n<|frame_sep|>"
    '<|line_sep|>{"nums": "..", "output": "..", "n": ".."}<|action_sep|>'
    "        output.append((nums.count(n), n))\n<|frame_sep|>"
    '<|line_sep|>{"nums": "..", "output": "[(2, 1), (2, 1)]", "n": ".."}<|action_sep|>'
    "    for n in nums:\n<|frame_sep|>"
    '<|line_sep|>{"nums": "..", "output": "..", "n": ".."}<|action_sep|>'
    "    return output\n<|frame_sep|>"
    '<|return_sep|><|action_sep|>    return output\n<|arg_sep|>"[(2, 1), (2, 1)]"<|frame_sep|>'
    '<|return_sep|><|action_sep|>    return f([1, 1])\n<|arg_sep|>"[(2, 1), (2, 1)]"<|frame_sep|>'
    "<|end_of_text|>"
)


def test_the_cwm_view_is_cwms_text(tmp_path: Path) -> None:
    """Byte for byte: `..`, JSON with `, ` and `: `, raw lines, full locals after a return."""
    trace, sources = traced(tmp_path, CWM)
    assert cwm_trace(trace, sources).text() == CWM_TEXT


def test_the_first_line_after_a_return_shows_all_variables(tmp_path: Path) -> None:
    """And the line after a call that is not shown does not."""
    source = "def one():\n    return 1\ndef main():\n    x = 5\n    y = one()\n    return y\n"
    trace, sources = traced(tmp_path, source)
    whole = [frame.variables for frame in cwm_trace(trace, sources).frames if frame.kind == "line"]
    assert whole[-1] == {"x": "5", "y": "1"}
    stepped = cwm_trace(trace, sources, Cut(depth=0)).frames
    assert [frame.kind for frame in stepped] == ["call", "line", "line", "line", "return"]
    assert stepped[-2].variables == {"x": "..", "y": "1"}


def test_values_with_special_tokens_are_escaped_and_sources_refused(tmp_path: Path) -> None:
    """A program that handles CWM's tokens cannot forge a frame."""
    frame = CwmFrame("line", "x = 1\n", {"x": "'<|frame_sep|>'"})
    text = CwmTrace("", [frame]).text()
    assert text.count("<|frame_sep|>") == 2 and parse_cwm(text).frames == [frame]
    source = f"def main():\n    x = {TOKENS[2]!r}\n"
    trace, sources = traced(tmp_path, source)
    with pytest.raises(Malformed, match="holds"):
        cwm_trace(trace, sources).text()
    source = "def main():\n    x = '<|frame' + '_sep|>'\n    return x\n"
    trace, sources = traced(tmp_path, source)
    reader = TraceReader(trace)
    states = [Debugger(reader, sources).state(index) for index in range(len(reader))]
    assert [state.count("<|frame_sep|>") for state in states] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "text",
    ["", "<|begin_of_text|>", CWM_TEXT[:-40], CWM_TEXT.replace("<|arg_sep|>", "", 1),
     CWM_TEXT.replace("<|call_sep|>{}", "<|call_sep|>[]", 1),
     CWM_TEXT.replace("<|call_sep|>", "<|sep|>", 1)],
)  # fmt: skip
def test_a_text_that_is_not_cwms_is_refused(text: str) -> None:
    """A model's answer may be anything."""
    with pytest.raises(Malformed):
        parse_cwm(text)


NESTED = """\
def inner(n):
    xs = [n]
    xs.append(n)
    return xs
def main():
    total = 0
    for n in range(300):
        found = inner(n)
        total += len(found)
    del found
    return total
"""


def test_states_are_rebuilt_exactly(tmp_path: Path) -> None:
    """Reading on and jumping give the same state at each event, and the program's own values."""
    trace, _ = traced(tmp_path, NESTED)
    reader = TraceReader(trace)
    for state in read_states(trace):
        if state.event.index % 97 == 0 or state.event.index < 20:
            found = reader.at(state.event.index)
            assert found.variables == state.variables and found.stack == state.stack
    last = reader.at(len(reader) - 1)
    assert last.event.kind == "return" and last.own == {"total": "600", "n": "299"}
    assert len(reader.frames) == 301 and {frame.parent for frame in reader.frames[1:]} == {0}
    first = reader.frames[1]
    assert reader.next_change(first.first, 1, "xs") == first.first + 2


def test_a_trace_takes_few_bytes(tmp_path: Path) -> None:
    """At most five bytes an event, compressed."""
    trace, _ = traced(tmp_path, NESTED)
    assert trace.counts.events > 2000
    assert len(trace.events) <= 5 * trace.counts.events


def test_cuts_are_drawn_by_seed(tmp_path: Path) -> None:
    """One seed, one episode; a call that is stepped over leaves what it returned."""
    trace, sources = traced(tmp_path, NESTED)
    some = [compact_text(trace, sources, Cut(step_in=0.3, seed=seed)) for seed in (1, 1, 2)]
    assert some[0] == some[1] != some[2]
    assert 40 < some[0].count("> inner") < 140
    only = compact_text(trace, sources, Cut(root=3))
    assert only.startswith("> inner(n=2)\n") and only.count("\n") == 7


def test_changes_have_kinds(tmp_path: Path) -> None:
    """New, changed, changed in place and deleted."""
    trace, sources = traced(tmp_path, NESTED)
    kinds = {
        (name, change["kind"])
        for found in event_objects(trace, sources)
        for name, change in found["changes"].items()
    }
    assert {("xs", "new"), ("xs", "changed in place"), ("total", "changed")} <= kinds
    assert ("found", "deleted") in kinds and ("total", "changed in place") not in kinds
    json.dumps(list(event_objects(trace, sources)))


def test_bindings_of_compound_statements() -> None:
    """A loop's line binds its target, and not what its body binds."""
    text = "for a, b in c:\n    d = 1\nwith e as f:\n    g.append(1)\nimport h.i\n"
    names = Bindings(text)
    bound = [
        (line, name)
        for line in range(1, 6)
        for name in "abcdefgh"
        if names.kind(VariableChange(name, "1", "2"), line) == "changed"
    ]
    assert bound == [(1, "a"), (1, "b"), (2, "d"), (3, "f"), (5, "h")]


def test_training_texts_have_losses(tmp_path: Path) -> None:
    """The parts make the whole text; the context and the first call are given."""
    trace, sources = traced(tmp_path, CWM)
    for loss in ("states", "actions", "both"):
        parts = segments(trace, sources, loss)
        assert "".join(part.text for part in parts) == CWM_TEXT
        assert not parts[0].loss and "def main():\n" in parts[0].text
    trained = "".join(p.text for p in segments(trace, sources, "actions") if p.loss)
    assert "output.append" in trained and "[(2, 1)]" not in trained
    trained = "".join(p.text for p in segments(trace, sources, "states") if p.loss)
    assert "output.append" not in trained and "[(2, 1)]" in trained


def test_a_debugger_leads_from_state_to_state(tmp_path: Path) -> None:
    """Into, over, out and to a line, in both directions."""
    trace, sources = traced(tmp_path, NESTED)
    reader = TraceReader(trace)
    debugger = Debugger(reader, sources)
    call = next(e.index for e in reader.events if e.kind == "line" and e.line == 8)
    assert reader.events[debugger.lead(call, "step_into") or 0].kind == "call"
    over = debugger.lead(call, "step_over") or 0
    assert (reader.events[over].line, reader.events[over].frame) == (9, 0)
    assert debugger.lead(over, "step_over", inverse=True) == call
    inner = call + 1
    out = debugger.lead(inner, "step_return") or 0
    assert reader.events[out].kind == "return" and reader.events[out].frame == 1
    assert debugger.lead(out, "step_return", inverse=True) == inner
    stop = debugger.lead(call, "breakpoint", line=3) or 0
    assert (reader.events[stop].line, reader.events[stop].frame) == (3, 1)
    assert '"xs": "[0]"' in debugger.state(stop)
    for inverse in (False, True):
        one, same = (episode(reader, sources, 7, inverse=inverse) for _ in range(2))
        indexes = [step.event for step in one.steps]
        assert one == same and len(one.steps) > 3 and one.files == sources
        assert indexes == sorted(indexes, reverse=inverse)


def test_secrets_and_addresses_are_removed(tmp_path: Path) -> None:
    """From all values, though a token was put together piece by piece."""
    token = "ghp_" + "a1B2" * 9
    source = f"""
        import os
        def main():
            own = os.environ["SECRET"]
            token = "ghp_"
            for _ in range(9): token += "a1B2"
            text = "<X object at 0x7f0011223344>" * 3
            return own, {token[:3]!r}
        """
    found = recorded(tmp_path, source, "c")
    plain = checked(found.stream, Redaction())
    assert b"hunter22" in plain.stream
    made = checked(found.stream, Redaction(["hunter22hunter22"]))
    assert b"hunter22" not in made.stream and b"0x7f00" not in made.stream
    reader = StreamReader(made.stream)
    texts = [change.new or "" for event in reader.events() for change in event.changes]
    assert not any(token in text for text in texts) and "'<redacted>'" in texts
    assert made.counts.events == plain.counts.events


def test_a_stream_can_be_written_again(tmp_path: Path) -> None:
    """What is rewritten without changes is the same events."""
    source = Path(__file__).parent / "data" / "traced_constructs.txt"
    found = recorded(tmp_path, source.read_text(), "c")
    again = rewritten(found.stream, lambda text: text)
    assert list(StreamReader(again).events()) == found.events


@pytest.mark.parametrize("seed", range(300))
def test_damaged_streams_are_refused_or_read(seed: int, damaged_source: bytes) -> None:
    """Whatever a program writes in the recorder's place, reading it ends, and in bounded memory."""
    data = bytearray(damaged_source)
    for place in range(1 + seed % 5):
        data[(seed * 7919 + place * 104729) % len(data)] = (seed * 31 + place) % 256
    try:
        for event in StreamReader(bytes(data)).events():
            assert len(event.value or "") < 1 << 18
    except Malformed:
        pass


@pytest.fixture(scope="module")
def damaged_source(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a whole stream."""
    return recorded(tmp_path_factory.mktemp("stream"), NESTED, "c").stream[:3000]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("1", "int"), ("-0.0", "float"), ("1e+20", "float"), ("nan", "float"), ("True", "bool"),
     ("None", "NoneType"), ("'a: b'", "str"), ("b'a'", "bytes"), ("[1]", "list"), ("(1,)", "tuple"),
     ("{}", "dict"), ("{'a:': 1}", "dict"), ("{'a:'}", "set"), ("{(1, 2), 3}", "set"),
     ("(1+2j)", "complex"), ("1j", "complex"), ("Point(x=1)", "Point"),
     ("<function f>", "function"),
     ("<class 'int'>", "type"), ("<list_iterator object>", "list_iterator"),
     ("<int of 9 bits, hash 1>", "int"), ("frozenset({1})", "frozenset"), ("set()", "set"),
     ("range(0, 3)", "range")],
)  # fmt: skip
def test_texts_have_types(text: str, kind: str) -> None:
    """The type can be told from the text."""
    assert kind_of(text) == kind


def test_no_method_of_the_record_needs_the_program(tmp_path: Path) -> None:
    """A record survives JSON."""
    trace, _ = make_trace(recorded(tmp_path, CWM, "python"), CWM)
    assert type(trace).model_validate_json(trace.model_dump_json()) == trace


def test_a_reader_keeps_no_values_of_calls_that_have_ended() -> None:
    """Its memory does not grow with the values of a trace."""

    def peak(calls: int) -> int:
        code = named(0x01, "x") + named(0x02, "a.py") + b"\x03\0\x01\0" + string(b"f")
        call = b"\x04\0\x0d\0" + string(b"v" * 4000) + valued(0x07, 1, "None")
        reader = StreamReader(code + call * calls)
        tracemalloc.start()
        assert sum(event.kind == "return" for event in reader.events()) == calls
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(400) < peak(40) + 360 * 1000
