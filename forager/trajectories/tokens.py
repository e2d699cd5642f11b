"""Token ids as the server gave them: sequences to train on, and where history was rewritten.

Nothing is ever re-tokenised. Calls become one sequence only where the next prompt extends the
last prompt and completion by its ids; where a chat template renders the past in another way
(thoughts of earlier turns left out, arguments of calls formatted anew), a new sequence begins.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from forager.records import Record
from forager.trajectories.record import ModelCall, Trajectory

SHOWN = 20  # attempts whose rewrites are listed


class TokenSequence(NamedTuple):
    """Ids in their order. `sampled` says which the model wrote; those are trained on.

    `logprobs` are the server's, None for what the model did not write and where the server gave
    none, or not one for each id. `calls` are the model calls that the sequence is made of.
    """

    ids: list[int]
    sampled: list[bool]
    logprobs: list[float | None]
    calls: range


class Rewrite(NamedTuple):
    """A call whose prompt does not extend the call before it.

    `shared` is the number of ids that agree, `prompt` and `completion` the lengths of the call
    before. Below `prompt` older history was rewritten, else the model's last answer.
    """

    call: int
    shared: int
    prompt: int
    completion: int


def sequences(trajectory: Trajectory) -> Iterator[TokenSequence]:
    """Yield the sequences of an attempt; calls without ids are in none."""
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
    """Yield the calls whose prompt does not extend the prompt and completion before it."""
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
    """An attempt with rewrites: how many, and where the first one is (see Rewrite)."""

    id: str
    rewrites: int
    call: int
    shared: int
    prompt: int
    completion: int


class TokenCheck(Record):
    """What `forager tokens` says. `first` names the first attempts with rewrites, no more."""

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
    """Count ids and sequences, and find where history was rewritten."""
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
    """The sequence with the new part of a prompt, and with its completion."""
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
