"""An attempt as token ids with spans: which of them the model wrote, which it was told.

From the ids that the server gave, or from the messages by the chat template. Ids and spans are
made together. What the model writes begins where the server asks it to (behind the generation
prompt) and ends with the token that ends its turn.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from forager.errors import UsageError
from forager.learning.dataset.tokenizer import Tokenizer, Unusable
from forager.trajectories.record import Message, Trajectory
from forager.trajectories.show import text_of
from forager.trajectories.steps import reasoning
from forager.trajectories.tokens import sequences


class Span(NamedTuple):
    """Ids from `start` to `end`: the answer of a step, or what it was told then."""

    start: int
    end: int
    step: int  # from 0
    answer: bool


class Piece(NamedTuple):
    """Ids, the spans of them that may be trained on, where they are from, and what answers read."""

    ids: list[int]
    spans: list[Span]
    origin: str  # tokens or messages
    answers: list[str]


class _Turn(NamedTuple):
    """A text that ends with an answer; before `start` is the prompt, as the server had it."""

    step: int
    text: str
    start: int


def stored(attempt: Trajectory, tokenizer: Tokenizer) -> list[Piece]:
    """The sequences of the server's ids; none where not all are there or fit the tokenizer."""
    if not all(
        _fits(tokenizer, attempt.messages[call.message], call.completion_token_ids)
        for call in attempt.model_calls
    ):
        return []
    prompts = list(attempt.prompts())
    pieces = []
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
        pieces.append(Piece(sequence.ids, spans, "tokens", answers))
    return pieces


def _fits(tokenizer: Tokenizer, message: Message, ids: Sequence[int] | None) -> bool:
    """Whether an answer's ids are this tokenizer's: they read as the message does."""
    if not ids or max(ids) >= tokenizer.size:
        return False
    text = _bare(tokenizer.decode(ids, specials=False))
    return all(_bare(one) in text for one in _said(message))


def _bare(text: str) -> str:
    """A text without blanks, which servers strip, and without what is no character."""
    return "".join(text.split()).replace("\ufffd", "")


def _said(message: Message) -> list[str]:
    """What an answer must show: its text, what was thought, the names of what is called."""
    return [text_of(message), reasoning(message), *_called(message)]


def _called(message: Message) -> list[str]:
    calls = message.get("tool_calls") or ()
    return [str((call.get("function") or {}).get("name") or "") for call in calls]


def rendered(attempt: Trajectory, tokenizer: Tokenizer) -> Iterator[Piece]:
    """Yield the conversation as the template renders it, each piece ending with an answer.

    Where a later prompt does not begin with what came before (thoughts of earlier turns left out,
    say) a new piece begins, of which the earlier answers are context only. Raises Unusable.
    """
    group: list[_Turn] = []
    for turn in _turns(attempt, tokenizer):
        if group and not turn.text[: turn.start].startswith(group[-1].text):
            yield _piece(group, "", tokenizer)
            group = []
        group.append(turn)
    if not group:
        raise Unusable("there is no answer in it")
    yield _piece(group, _tail(attempt, tokenizer, group[-1].text), tokenizer)


def _turns(attempt: Trajectory, tokenizer: Tokenizer) -> Iterator[_Turn]:
    """Yield each answer behind the prompt that asks for it."""
    tools, date = attempt.tools, _date(attempt)
    for step, call in enumerate(attempt.model_calls):
        messages = attempt.messages[: call.message + 1]
        prompt = tokenizer.render(messages[:-1], tools, date, prompt=True)
        text = tokenizer.render(messages, tools, date)
        answer = _behind(prompt, text, messages)
        end = tokenizer.answer_end(answer)
        if end is None:  # some templates end a turn only where another follows
            longer = tokenizer.render([*messages, _NEXT], tools, date)
            if longer.startswith(text):
                answer += tokenizer.next_special(longer[len(text) :])
            end = tokenizer.answer_end(answer)
        if end is None:
            raise Unusable("the template ends an answer with no special token")
        if not all(name in answer for name in _called(messages[-1])):
            raise Unusable("the template renders no calls (use --syntax text for it)")
        yield _Turn(step, prompt + answer[:end], len(prompt))


_NEXT: Message = {"role": "user", "content": "Go on."}


def _behind(prompt: str, text: str, messages: Sequence[Message]) -> str:
    """The answer in a text: what stands behind the prompt.

    Where the template renders the beginning otherwise once there is an answer (Mistral's leaves the
    system prompt out), behind the end of the prompt, from the last message on. Raises Unusable.
    """
    if text.startswith(prompt):
        return text[len(prompt) :]
    last = text_of(messages[-2]).strip()
    ending = prompt[prompt.rfind(last) :] if last and last in prompt else ""
    if not ending or text.count(ending) != 1:
        raise Unusable("the template asks for an answer otherwise than it renders one")
    return text[text.index(ending) + len(ending) :]


def _tail(attempt: Trajectory, tokenizer: Tokenizer, text: str) -> str:
    """What the model was told after its last answer."""
    last = attempt.model_calls[-1].message
    if len(attempt.messages) == last + 1:
        return ""
    whole = tokenizer.render(attempt.messages, attempt.tools, _date(attempt))
    return whole.removeprefix(text) if whole.startswith(text) else ""


def _piece(group: list[_Turn], tail: str, tokenizer: Tokenizer) -> Piece:
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
    return Piece(ids, spans, "messages", [turn.text[turn.start :] for turn in group])


def encoded(tokenizer: Tokenizer, text: str, ends: Sequence[int]) -> tuple[list[int], list[int]]:
    """The ids of a text, and the places in them that positions of the text are.

    No id reaches over a position. Parts are encoded by themselves, as a server does with a prompt;
    where that reads otherwise than the whole (a tokenizer that puts a blank before a text), the
    whole is, if no token of it reaches over a position. Raises Unusable.
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
            raise Unusable("a token reaches from what the model is told into what it writes")
        places.append(len(before))
    return whole, places


def _date(attempt: Trajectory) -> str:
    """The day of an attempt as Llama's templates tell it."""
    try:
        return datetime.fromisoformat(attempt.started_at).strftime("%d %b %Y")
    except ValueError:
        return "01 Jan 2025"


def prove(piece: Piece, attempt: Trajectory, tokenizer: Tokenizer) -> int:
    """Check that each span of an answer reads as the answer; return how many texts are not in it.

    A template may leave out the text beside a call. Raises UsageError for spans that are shifted.
    """
    missing = 0
    spans = [span for span in piece.spans if span.answer]
    for span, answer in zip(spans, piece.answers, strict=True):
        text = tokenizer.decode(piece.ids[span.start : span.end])
        wanted = answer if piece.origin == "tokens" else tokenizer.decode(tokenizer.encode(answer))
        if text.strip() != wanted.strip():
            raise UsageError(f"{attempt.id}: the mask of step {span.step + 1} is shifted")
        message = attempt.messages[attempt.model_calls[span.step].message]
        missing += piece.origin == "messages" and text_of(message).strip() not in text
    return missing
