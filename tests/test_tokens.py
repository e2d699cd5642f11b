import pytest
from attempts import make_attempt

from forager.trajectories.record import ModelCall, Trajectory, Usage
from forager.trajectories.tokens import Rewrite, check, rewrites, sequences

Ids = list[int] | None


def attempt(*calls: tuple[Ids, Ids], logprobs: bool = True) -> Trajectory:
    """Return an attempt with these prompt and completion ids."""
    made = make_attempt()
    model_calls = [
        ModelCall(
            message=2 + 2 * number,
            usage=Usage(),
            seconds=0.1,
            prompt_token_ids=prompt,
            completion_token_ids=completion,
            logprobs=[-0.5 * token for token in completion] if logprobs and completion else None,
        )
        for number, (prompt, completion) in enumerate(calls)
    ]
    return Trajectory(**{**dict(made), "model_calls": model_calls})


EXTENDING: list[tuple[Ids, Ids]] = [
    ([1, 2], [3]),
    ([1, 2, 3, 4], [5, 6]),
    ([1, 2, 3, 4, 5, 6, 7], [8]),
]
REWRITING: list[tuple[Ids, Ids]] = [
    ([1, 2], [3, 4]),
    ([1, 2, 3, 9], [5]),
    ([1, 2, 3, 9, 5, 6], [7]),
]
STRANGE: list[tuple[Ids, Ids]] = [
    (None, [3]),
    ([3, 4], None),
    ([3, 4, 5], [6]),
    (None, None),
    ([], []),
    ([3], [4]),
    ([1], [2]),
    ([1], [2]),
]


@pytest.mark.parametrize("calls", [EXTENDING, REWRITING, STRANGE, []])
def test_prompts_are_kept_as_extensions_and_given_back_whole(calls: list[tuple[Ids, Ids]]) -> None:
    """Whole prompts come back exactly, from file and from memory."""
    made = attempt(*calls)
    assert list(made.prompts()) == [prompt for prompt, _ in calls]
    again = Trajectory.model_validate_json(made.model_dump_json())
    assert again == made
    assert list(again.prompts()) == list(made.prompts())


def test_what_is_kept_grows_with_the_turns_and_not_with_their_square() -> None:
    """The record holds each id once."""
    calls: list[tuple[Ids, Ids]] = []
    history: list[int] = []
    for turn in range(100):
        prompt = [*history, *range(turn * 1000, turn * 1000 + 50)]
        calls.append((prompt, [7] * 20))
        history = prompt + [7] * 20
    made = attempt(*calls)
    assert sum(len(call.prompt_token_ids or ()) for call in made.model_calls) == 100 * 50
    assert next(sequences(made)).ids == history


def test_calls_that_extend_are_one_sequence() -> None:
    """The sequence marks the model's ids and has their log-probabilities."""
    (sequence,) = sequences(attempt(*EXTENDING))
    assert sequence.ids == [1, 2, 3, 4, 5, 6, 7, 8]
    assert sequence.sampled == [False, False, True, False, True, True, False, True]
    assert sequence.logprobs == [None, None, -1.5, None, -2.5, -3.0, None, -4.0]
    assert sequence.calls == range(3)
    assert list(rewrites(attempt(*EXTENDING))) == []


def test_where_history_is_rewritten_a_new_sequence_begins() -> None:
    """A rewrite lies within the last answer or before it."""
    made = attempt(*REWRITING)
    first, second = sequences(made)
    assert (first.ids, first.calls) == ([1, 2, 3, 4], range(1))
    assert (second.ids, second.calls) == ([1, 2, 3, 9, 5, 6, 7], range(1, 3))
    assert second.sampled == [False] * 4 + [True, False, True]
    assert list(rewrites(made)) == [Rewrite(call=1, shared=3, prompt=2, completion=2)]


def test_calls_without_ids_are_in_no_sequence() -> None:
    """No sequence spans them, and missing log-probabilities stay missing."""
    made = attempt(*STRANGE, logprobs=False)
    assert [(sequence.ids, sequence.calls) for sequence in sequences(made)] == [
        ([3, 4, 5, 6], range(2, 3)),
        ([3, 4], range(5, 6)),
        ([1, 2], range(6, 7)),
        ([1, 2], range(7, 8)),
    ]
    assert list(rewrites(made)) == [Rewrite(6, 0, 1, 1), Rewrite(7, 1, 1, 1)]
    assert all(set(sequence.logprobs) == {None} for sequence in sequences(made))
    assert list(sequences(make_attempt())) == []


def test_a_check_counts_and_names_the_first_place() -> None:
    """The check lists the first rewrite of each attempt that has one."""
    checked = check([attempt(*EXTENDING), attempt(*REWRITING), make_attempt()])
    assert (checked.attempts, checked.attempts_with_ids, checked.attempts_rewritten) == (3, 2, 1)
    assert (checked.calls, checked.calls_with_ids, checked.calls_rewritten) == (12, 6, 1)
    assert (checked.sequences, checked.ids, checked.ids_sampled) == (3, 19, 8)
    (first,) = checked.first
    assert (first.rewrites, first.call, first.shared, first.prompt) == (1, 1, 3, 2)
