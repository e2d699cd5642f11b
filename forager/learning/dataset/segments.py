"""An attempt as token ids, with spans for answers (the model wrote them) and observations.

The ids are those that the server returned, or the chat template renders the messages. An answer
begins after the generation prompt, where the server asks the model to write, and ends with the
token that ends the turn.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from forager.errors import UsageError
from forager.learning.dataset.tokenizer import Tokenizer, UnusableAttempt
from forager.trajectories.record import Message, Trajectory
from forager.trajectories.show import text_of
from forager.trajectories.steps import reasoning
from forager.trajectories.tokens import sequences


class Span(NamedTuple):
    """The ids from `start` to `end`: the answer of a step, or the observation after it."""

    start: int
    end: int
    step: int  # from 0
    answer: bool


class Segment(NamedTuple):
    """A part of an attempt that one sequence of ids represents, and its answers as text.

    `logprobs` has an entry per id, None where the server returned none.
    """

    ids: list[int]
    spans: list[Span]
    origin: str  # tokens or messages
    answers: list[str]
    logprobs: list[float | None]


class _Turn(NamedTuple):
    """A text that ends with an answer; the prompt, as the server had it, ends at `start`."""

    step: int
    text: str
    start: int


def stored(attempt: Trajectory, tokenizer: Tokenizer) -> list[Segment]:
    """Segments of the ids that the server returned; none if ids are missing or do not fit."""
    if not all(
        _fits(tokenizer, attempt.messages[call.message], call.completion_token_ids)
        for call in attempt.model_calls
    ):
        return []
    prompts = list(attempt.prompts())
    segments = []
    for sequence in sequences(attempt):
        spans: list[Span] = []
        for number in sequence.calls:
            start = len(prompts[number] or ())
            if spans:
                spans.append(Span(spans[-1].end, start, number - 1, False))
            completion = attempt.model_calls[number].completion_token_ids or ()
            spans.append(Span(start, start + len(completion), number, True))
        calls = [attempt.model_calls[number] for number in sequence.calls]
        answers = [tokenizer.decode(call.completion_token_ids or ()) for call in calls]
        segments.append(Segment(sequence.ids, spans, "tokens", answers, sequence.logprobs))
    return segments


def _fits(tokenizer: Tokenizer, message: Message, ids: Sequence[int] | None) -> bool:
    """Whether an answer's ids belong to this tokenizer: they decode to the message's text."""
    if not ids or max(ids) >= tokenizer.size:
        return False
    text = _bare(tokenizer.decode(ids, specials=False))
    return all(_bare(part) in text for part in _contents(message))


def _bare(text: str) -> str:
    """The text without white space, which servers strip, and without replacement characters."""
    return "".join(text.split()).replace("\ufffd", "")


def _contents(message: Message) -> list[str]:
    """What an answer must contain: text, reasoning, names of called tools."""
    return [text_of(message), reasoning(message), *_tool_names(message)]


def _tool_names(message: Message) -> list[str]:
    calls = message.get("tool_calls") or ()
    return [str((call.get("function") or {}).get("name") or "") for call in calls]


def rendered(attempt: Trajectory, tokenizer: Tokenizer) -> Iterator[Segment]:
    """Yield the conversation as the template renders it, in segments that end with an answer.

    A new segment begins where a prompt does not extend the text before it (some templates drop
    the reasoning of earlier turns); earlier answers are context there. Raises UnusableAttempt.
    """
    group: list[_Turn] = []
    for turn in _turns(attempt, tokenizer):
        if group and not turn.text[: turn.start].startswith(group[-1].text):
            yield _segment(group, "", tokenizer)
            group = []
        group.append(turn)
    if not group:
        raise UnusableAttempt("the attempt has no answer")
    yield _segment(group, _tail(attempt, tokenizer, group[-1].text), tokenizer)


def _turns(attempt: Trajectory, tokenizer: Tokenizer) -> Iterator[_Turn]:
    """Yield each answer with the prompt that asks for it."""
    tools, date = attempt.tools, date_of(attempt)
    for step, call in enumerate(attempt.model_calls):
        messages = attempt.messages[call.opens : call.message + 1]
        prompt = tokenizer.render(messages[:-1], tools, date, prompt=True)
        text = tokenizer.render(messages, tools, date)
        answer = _answer(prompt, text, messages)
        end = tokenizer.answer_end(answer)
        if end is None:  # some templates end a turn only where another follows
            longer = tokenizer.render([*messages, _NEXT], tools, date)
            if longer.startswith(text):
                answer += tokenizer.next_special(longer[len(text) :])
            end = tokenizer.answer_end(answer)
        if end is None:
            raise UnusableAttempt("the template ends answers without a special token")
        if not all(name in answer for name in _tool_names(messages[-1])):
            raise UnusableAttempt(
                "the template renders no tool calls: make attempts with `run --syntax text`"
            )
        yield _Turn(step, prompt + answer[:end], len(prompt))


_NEXT: Message = {"role": "user", "content": "Go on."}


def _answer(prompt: str, text: str, messages: Sequence[Message]) -> str:
    """The answer in a text: what follows the prompt.

    Some templates render the prompt differently once there is an answer (Mistral's omits the
    system prompt); then what follows the prompt's last message. Raises UnusableAttempt.
    """
    if text.startswith(prompt):
        return text[len(prompt) :]
    last = text_of(messages[-2]).strip()
    ending = prompt[prompt.rfind(last) :] if last and last in prompt else ""
    if not ending or text.count(ending) != 1:
        raise UnusableAttempt("the template renders an answer differently from how it asks for one")
    return text[text.index(ending) + len(ending) :]


def _tail(attempt: Trajectory, tokenizer: Tokenizer, text: str) -> str:
    """The observation after the last answer."""
    last = attempt.model_calls[-1]
    if len(attempt.messages) == last.message + 1:
        return ""
    whole = tokenizer.render(attempt.messages[last.opens :], attempt.tools, date_of(attempt))
    return whole.removeprefix(text) if whole.startswith(text) else ""


def _segment(group: list[_Turn], tail: str, tokenizer: Tokenizer) -> Segment:
    text = group[-1].text + tail
    ends = [position for turn in group for position in (turn.start, len(turn.text))]
    ids, places = encoded(tokenizer, text, ends)
    spans: list[Span] = []
    for number, turn in enumerate(group):
        start, end = places[2 * number], places[2 * number + 1]
        if spans:
            spans.append(Span(spans[-1].end, start, turn.step - 1, False))
        spans.append(Span(start, end, turn.step, True))
    if tail:
        spans.append(Span(spans[-1].end, len(ids), group[-1].step, False))
    answers = [turn.text[turn.start :] for turn in group]
    return Segment(ids, spans, "messages", answers, [None] * len(ids))


def encoded(tokenizer: Tokenizer, text: str, ends: Sequence[int]) -> tuple[list[int], list[int]]:
    """The ids of a text, and for each position in `ends` the number of ids before it.

    No token crosses such a position: the parts are encoded separately, as a server does with a
    prompt. If they decode to another text than the whole (SentencePiece puts a blank before each
    text), the whole is encoded. Raises UnusableAttempt if a token crosses a position.
    """
    whole = tokenizer.encode(text)
    parts = [tokenizer.encode(text[a:b]) for a, b in pairwise([0, *ends, len(text)])]
    joined = [id for part in parts for id in part]
    if joined == whole or tokenizer.decode(joined) == tokenizer.decode(whole):
        places, place = [], 0
        for part in parts[:-1]:
            place += len(part)
            places.append(place)
        return joined, places
    places = []
    for end in ends:
        before = tokenizer.encode(text[:end])
        if whole[: len(before)] != before:
            raise UnusableAttempt("a token crosses the edge between an observation and an answer")
        places.append(len(before))
    return whole, places


def date_of(attempt: Trajectory) -> str:
    """The day of an attempt in the format of Llama's templates."""
    try:
        return datetime.fromisoformat(attempt.started_at).strftime("%d %b %Y")
    except ValueError:
        return "01 Jan 2025"


def prove(segment: Segment, attempt: Trajectory, tokenizer: Tokenizer) -> int:
    """Check that the span of each answer decodes to the answer.

    Returns the number of answers whose text the template left out, as some do next to a call.
    Raises UsageError for shifted spans.
    """
    missing = 0
    spans = [span for span in segment.spans if span.answer]
    for span, answer in zip(spans, segment.answers, strict=True):
        text = tokenizer.decode(segment.ids[span.start : span.end])
        wanted = answer
        if segment.origin == "messages":
            wanted = tokenizer.decode(tokenizer.encode(answer))
        if text.strip() != wanted.strip():
            raise UsageError(f"{attempt.id}: the mask of step {span.step + 1} is shifted")
        message = attempt.messages[attempt.model_calls[span.step].message]
        missing += segment.origin == "messages" and text_of(message).strip() not in text
    return missing
