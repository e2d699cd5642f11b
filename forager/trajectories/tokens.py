"""The server's token ids: sequences to train on, and where the chat template rewrote history.

Nothing is ever re-tokenised. A call continues a sequence only if its prompt ids begin with the
previous prompt and completion. If the chat template renders the past differently (it drops earlier
reasoning, or reformats the arguments of calls), a new sequence begins.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from forager.records import Record
from forager.trajectories.record import ModelCall, Trajectory

SHOWN = 20  # attempts whose first rewrite a TokenCheck lists


class TokenSequence(NamedTuple):
    """Token ids in order; the three lists have one item per token.

    `sampled` marks the ids that the model wrote, on which training computes its loss. `logprobs`
    holds the server's values; None for other ids, and if the server did not return one per id.
    `calls` are the indices of the model calls in the sequence.
    """

    ids: list[int]
    sampled: list[bool]
    logprobs: list[float | None]
    calls: range


class Rewrite(NamedTuple):
    """A call whose prompt does not extend the call before it.

    `shared` is the length of the common prefix in tokens; `prompt` and `completion` are the lengths
    of the call before. If `shared` is less than `prompt`, the template rewrote older history;
    otherwise it rewrote the model's last answer.
    """

    call: int
    shared: int
    prompt: int
    completion: int


def sequences(trajectory: Trajectory) -> Iterator[TokenSequence]:
    """Yield the sequences of an attempt; they leave out calls without token ids."""
    current = _empty(0)
    for number, prompt in enumerate(trajectory.prompts()):
        call = trajectory.model_calls[number]
        if prompt is None or call.completion_token_ids is None:
            if current.ids:
                yield current
            current = _empty(number)
            continue
        if prompt[: len(current.ids)] != current.ids:
            yield current
            current = _empty(number)
        current = _grown(current, number, prompt, call)
    if current.ids:
        yield current


def rewrites(trajectory: Trajectory) -> Iterator[Rewrite]:
    """Yield the calls whose prompt does not extend the previous prompt and completion."""
    before: tuple[int, int] | None = None  # lengths of prompt and completion
    for number, call in enumerate(trajectory.model_calls):
        prompt, completion = call.prompt_token_ids, call.completion_token_ids
        if prompt is not None and before is not None and call.prompt_shared < sum(before):
            yield Rewrite(number, call.prompt_shared, *before)
        if prompt is None or completion is None:
            before = None
        else:
            before = call.prompt_shared + len(prompt), len(completion)


class Rewritten(Record):
    """An attempt with rewrites: their number, and the first one's fields (see Rewrite)."""

    id: str
    rewrites: int
    call: int
    shared: int
    prompt: int
    completion: int


class TokenCheck(Record):
    """What `forager tokens` prints. `first` lists at most SHOWN attempts with rewrites."""

    attempts: int
    attempts_with_ids: int
    attempts_rewritten: int
    calls: int
    calls_with_ids: int
    calls_rewritten: int
    sequences: int
    ids: int
    ids_sampled: int
    first: list[Rewritten]


def check(trajectories: Iterable[Trajectory]) -> TokenCheck:
    """Count token ids and sequences, and find rewritten history."""
    counts: Counter[str] = Counter()
    first: list[Rewritten] = []
    for attempt in trajectories:
        made, found = list(sequences(attempt)), list(rewrites(attempt))
        counts["attempts"] += 1
        counts["attempts_with_ids"] += bool(made)
        counts["attempts_rewritten"] += bool(found)
        counts["calls"] += attempt.turns
        counts["calls_with_ids"] += sum(len(sequence.calls) for sequence in made)
        counts["calls_rewritten"] += len(found)
        counts["sequences"] += len(made)
        counts["ids"] += sum(len(sequence.ids) for sequence in made)
        counts["ids_sampled"] += sum(sum(sequence.sampled) for sequence in made)
        if found and len(first) < SHOWN:
            first.append(Rewritten(id=attempt.id, rewrites=len(found), **found[0]._asdict()))
    names = (name for name in TokenCheck.model_fields if name != "first")
    return TokenCheck(first=first, **{name: counts[name] for name in names})


def _empty(call: int) -> TokenSequence:
    return TokenSequence([], [], [], range(call, call))


def _grown(
    current: TokenSequence, number: int, prompt: list[int], call: ModelCall
) -> TokenSequence:
    """Return the sequence extended by a call's new prompt ids and completion."""
    ids, sampled, logprobs, calls = current
    new, completion = prompt[len(ids) :], call.completion_token_ids or []
    unknown: list[float | None] = [None] * len(completion)
    given = call.logprobs if len(call.logprobs or ()) == len(completion) else None
    return TokenSequence(
        ids + new + completion,
        sampled + [False] * len(new) + [True] * len(completion),
        [*logprobs, *[None] * len(new), *(given or unknown)],
        range(calls.start if ids else number, number + 1),
    )
