"""The text that CWM (arXiv 2510.02387) was trained on, written from a trace and read back.

```
<|begin_of_text|><|trace_context_start|>CONTEXT<|frame_sep|> FRAME* <|end_of_text|>
call      : <|call_sep|>LOCALS<|action_sep|>SOURCE<|frame_sep|>
line      : <|line_sep|>LOCALS<|action_sep|>SOURCE<|frame_sep|>
return    : <|return_sep|><|action_sep|>SOURCE<|arg_sep|>VALUE<|frame_sep|>
exception : <|exception_sep|><|action_sep|>SOURCE<|arg_sep|>VALUE<|frame_sep|>
```

LOCALS is the state before the line, a JSON object of texts. A variable whose text is the one that
was last shown is `".."`, except in the first line after another call was shown. A yield is a
return, and going on is a call. What CWM does for values that its `repr` would name by an address,
and for frames that an exception ends, is not published: values are the recorder's, and such frames
end without a mark of their own.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from forager.tracing.cutting import CharacterBudget, Cut, EpisodeStep, steps
from forager.tracing.record import Sources, Trace
from forager.tracing.source import SourceLines, split_lines
from forager.untrusted import Malformed

BEGIN, CONTEXT, END = "<|begin_of_text|>", "<|trace_context_start|>", "<|end_of_text|>"
FRAME, ACTION, ARGUMENT = "<|frame_sep|>", "<|action_sep|>", "<|arg_sep|>"
KINDS = {
    "call": "<|call_sep|>",
    "line": "<|line_sep|>",
    "return": "<|return_sep|>",
    "exception": "<|exception_sep|>",
}
TOKENS = (BEGIN, CONTEXT, FRAME, ACTION, ARGUMENT, *KINDS.values(), END)
"""CWM's special tokens."""
MARK = "  # << START_OF_TRACE"
SAME = ".."
_KIND_OF = {"call": "call", "resume": "call", "line": "line", "return": "return",
            "yield": "return", "exception": "exception"}  # fmt: skip
_NAMES = {token: kind for kind, token in KINDS.items()}


@dataclass(frozen=True)
class CwmFrame:
    """One frame of the text."""

    kind: str
    source: str
    """A line with its end."""
    variables: dict[str, str] | None = None
    """Of a call or line."""
    value: str | None = None
    """Of a return or exception."""

    def text(self) -> str:
        """The frame as text. Raises Malformed if the source holds a special token."""
        state = "" if self.variables is None else json_text(self.variables)
        value = "" if self.value is None else f"{ARGUMENT}{json_text(self.value)}"
        return f"{KINDS[self.kind]}{state}{ACTION}{checked(self.source)}{value}{FRAME}"


@dataclass(frozen=True)
class CwmTrace:
    """A context and frames."""

    context: str
    frames: list[CwmFrame]

    def text(self) -> str:
        """The whole text. Raises Malformed if a source holds a special token."""
        frames = "".join(frame.text() for frame in self.frames)
        return f"{BEGIN}{CONTEXT}{checked(self.context)}{FRAME}{frames}{END}"


def json_text(value: object) -> str:
    """JSON in which no special token can be."""
    return json.dumps(value).replace("<|", "\\u003c|")


def checked(source: str) -> str:
    """The source, which must not hold a special token. Raises Malformed."""
    for token in TOKENS:
        if token in source:
            raise Malformed(f"the source holds {token}")
    return source


def cwm_trace(trace: Trace, sources: Sources, cut: Cut | None = None) -> CwmTrace:
    """An episode of a trace for CWM. Raises Malformed."""
    cut, lines = cut or Cut(), SourceLines(sources)
    frames: list[CwmFrame] = []
    context = ""
    shown, budget = _ShownTexts(lines), CharacterBudget(cut)
    for step in steps(trace, cut):
        if step.event.frame == cut.root and step.event.kind == "call":
            code = step.event.code
            context = marked(sources.get(code.file, ""), lines.entry(code))
        for frame in shown.frames(step):
            # Besides what has changed: variables are shown again after each call.
            budget.take((frame.value, *(frame.variables or {}).values()))
            frames.append(frame)
    return CwmTrace(context, frames)


def marked(text: str, line: int) -> str:
    """A source as context: the line where the trace starts is marked."""
    lines = split_lines(text)
    if 0 < line <= len(lines):
        lines[line - 1] = f"{lines[line - 1].rstrip()}{MARK}\n"
    return "\n" + "".join(lines)


class _ShownTexts:
    """Which text of each variable was last shown."""

    def __init__(self, lines: SourceLines) -> None:
        self._lines = lines
        self._texts: dict[int, dict[str, str]] = {}
        self._frame = -1
        self._left = False

    def frames(self, step: EpisodeStep) -> Iterator[CwmFrame]:
        event = step.event
        kind = _KIND_OF.get(event.kind)
        if kind is None:
            self._left = True
            return
        line = self._lines.entry(event.code) if event.kind == "call" else event.line
        source = self._lines.line(event.code.file, line)
        if kind in ("call", "line"):
            whole = kind == "call" or self._left or event.frame != self._frame
            yield CwmFrame(kind, source, self._variables(step, whole))
            self._left = False
        else:
            yield CwmFrame(kind, source, None, event.value or "")
            self._left = event.kind in ("return", "yield")
        self._frame = event.frame

    def _variables(self, step: EpisodeStep, whole: bool) -> dict[str, str]:
        before = self._texts.get(step.event.frame, {})
        self._texts[step.event.frame] = dict(step.variables)
        if whole:
            return dict(step.variables)
        return {
            name: SAME if before.get(name) == text else text
            for name, text in step.variables.items()
        }


def parse_cwm(text: str) -> CwmTrace:
    """Read a whole text. Raises Malformed."""
    if not text.startswith(BEGIN + CONTEXT) or not text.endswith(END):
        raise Malformed("it does not begin with a context, or does not end")
    context, _, rest = text[len(BEGIN + CONTEXT) : -len(END)].partition(FRAME)
    return CwmTrace(context, list(parse_frames(rest)))


def parse_frames(text: str) -> Iterator[CwmFrame]:
    """Read frames, such as a model's answer. Raises Malformed."""
    *frames, rest = text.split(FRAME)
    if rest:
        raise Malformed("the last frame does not end")
    yield from (_parsed(frame) for frame in frames)


def _parsed(text: str) -> CwmFrame:
    token = next((token for token in _NAMES if text.startswith(token)), "")
    if not token:
        raise Malformed("a frame begins with no kind")
    kind = _NAMES[token]
    state, found, source = text[len(token) :].partition(ACTION)
    source, valued, value = source.partition(ARGUMENT)
    if not found or bool(valued) != (kind in ("return", "exception")):
        raise Malformed(f"a frame is not a {kind}")
    if valued:
        return CwmFrame(kind, source, None, _text_in(value))
    return CwmFrame(kind, source, _variables_in(state))


def _text_in(text: str) -> str:
    value = _decoded(text)
    if not isinstance(value, str):
        raise Malformed("a value is not a text")
    return value


def _variables_in(text: str) -> dict[str, str]:
    found = _decoded(text)
    if not isinstance(found, dict) or not all(isinstance(item, str) for item in found.values()):
        raise Malformed("variables are not an object of texts")
    return found


def _decoded(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"it is not JSON: {error}") from error


def answer(frames: Iterable[CwmFrame]) -> str:
    """Frames and the end, as a model answers to the context and the first call."""
    return "".join(frame.text() for frame in frames) + END
