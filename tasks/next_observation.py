"""Makes questions about what a command of a recorded attempt led to.

Taken are commands of `bash` with an exit code whose output was kept whole. Which tests failed is
asked where the output has pytest's summary and names as many failed tests as the summary counts.
"""

import random
import re
from collections.abc import Iterator, Sequence

from forager.environments.answer.observation import NextObservationTask
from forager.environments.task import Labels
from forager.text import without_middle
from forager.trajectories.record import Trajectory
from forager.trajectories.show import Turn, text_of, turns
from forager.trajectories.steps import opening

_LONGEST = 60_000  # characters of the attempt that are shown
_TURN = 6_000  # characters of a turn
_SUMMARY = re.compile(
    r"^=*[ ]?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s(?: \([\d:]+\))?[ ]?=*$", re.MULTILINE
)
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+::\S.*?)(?: - .*)?$", re.MULTILINE)
_RUNS_TESTS = re.compile(r"\b(?:pytest|py\.test)\b")
_STATEMENT = """\
You see the beginning of an agent's work in a repository, and its next command. Predict what the \
command leads to. Do not run anything.

{attempt}

=== next command ===
{command}
=== end ===

Think about what the command does in this state. Then answer in [ANSWER] and [/ANSWER] tags with \
{asked}:

[ANSWER]
{example}
[/ANSWER]"""
_CODE = "its exit code"
_BOTH = (
    "its exit code and the tests that fail, by node id, with spaces between them, or `none` if "
    "none fails"
)


def questions(attempt: Trajectory, count: int, seed: int) -> Iterator[NextObservationTask]:
    """Up to `count` questions about an attempt, at least half of them about test runs if it can be.

    The choice depends on the seed and the attempt alone.
    """
    made = turns(attempt)
    draw = random.Random(f"{seed} {attempt.id}")
    usable = [place for place, turn in enumerate(made) if _is_usable(turn)]
    draw.shuffle(usable)
    tests = [place for place in usable if failed_tests(made[place]) is not None]
    others = [place for place in usable if failed_tests(made[place]) is None]
    half = max(count - len(others), (count + 1) // 2)
    chosen = [*tests[:half], *others][:count]
    for place in sorted(chosen):
        yield _question(attempt, made, place)


def _is_usable(turn: Turn) -> bool:
    call = turn.call
    return bool(
        call
        and call.tool == "bash"
        and call.exit_code is not None
        and not (call.timed_out or call.error or call.omitted)
    )


def failed_tests(turn: Turn) -> list[str] | None:
    """The tests that failed in a command; None where its output does not say it for certain."""
    command = turn.call.arguments.get("command", "") if turn.call else ""
    summaries = _SUMMARY.findall(turn.observation)
    if not _RUNS_TESTS.search(command) or len(summaries) != 1:
        return None
    counts = {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", summaries[0])}
    names = list(dict.fromkeys(_FAILED.findall(turn.observation)))
    wanted = sum(counts.get(word, 0) for word in ("failed", "error", "errors"))
    return sorted(names) if len(names) == wanted else None


def _question(attempt: Trajectory, made: Sequence[Turn], place: int) -> NextObservationTask:
    turn = made[place]
    assert turn.call
    assert turn.call.exit_code is not None
    failed = failed_tests(turn)
    example = "exit code: 0" + ("" if failed is None else "\nfailed: none")
    labels = attempt.labels
    return NextObservationTask(
        instance_id=f"{attempt.id}.next-{turn.number}",
        repo=attempt.repo,
        problem_statement=_STATEMENT.format(
            attempt=_shown(attempt, made[:place]),
            command=turn.call.arguments.get("command", ""),
            asked=_CODE if failed is None else _BOTH,
            example=example,
        ),
        labels=Labels(
            family="next-observation",
            operator="command" if failed is None else "tests",
            repository=labels.repository,
            functions=labels.functions,
            difficulty={"turns_before": float(place)},
            more={"exit": "0" if turn.call.exit_code == 0 else "other"},
        ),
        source=attempt.id,
        exit_code=turn.call.exit_code,
        failed=failed,
    )


def _shown(attempt: Trajectory, before: Sequence[Turn]) -> str:
    """The statement and the turns before; of many turns the last ones."""
    said = [
        without_middle(text_of(message), _TURN)
        for message in opening(attempt)
        if message["role"] == "user"
    ]
    texts: list[str] = []
    for turn in reversed(before):
        text = _text(turn)
        if sum(map(len, texts)) + len(text) > _LONGEST:
            texts.append(f"[… {turn.number} turns left out …]")
            break
        texts.append(text)
    return "\n\n".join(["=== task ===", *said, *reversed(texts)])


def _text(turn: Turn) -> str:
    call = turn.call
    arguments = "\n".join(call.arguments.values()) if call else ""
    parts = [f"=== turn {turn.number} ===", turn.thought.strip()]
    parts += [f"--- {call.tool} ---", without_middle(arguments, _TURN)] if call else []
    return "\n".join(
        [*filter(None, parts), "--- answer ---", without_middle(turn.observation, _TURN)]
    )
