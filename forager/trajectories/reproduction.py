"""Whether a rerun attempt reproduces its record.

RULES replace what may differ without meaning anything, in both, before the comparison. Each
attempt's result is a line of `RUN/reproduced.jsonl` (for a file of attempts,
`NAME.reproduced.jsonl` next to it).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Literal, NamedTuple

from rich.table import Table
from rich.text import Text

from forager.records import Record
from forager.trajectories.record import Outcome, Trajectory
from forager.trajectories.show import Turn, turns

REPRODUCES, DIFFERS = "reproduces", "differs"
"""The tags that mark an attempt."""

_SHOWN = 400  # characters of a differing line to keep
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sep(?:tember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)


class Rule(NamedTuple):
    """A regular expression, its replacement before the comparison, and why the text may differ."""

    name: str
    pattern: str
    by: str
    reason: str


RULES = [
    Rule("stopped", r"\[timed out after [\d.]+ seconds", "[timed out after <time> seconds",
         "a command may take no longer than the attempt has left"),
    Rule("temporary file", r"/tmp/(?:tmp[.\w]{6,}|pytest-of-\w+/pytest-\d+)", "/tmp/<name>",
         "mkdtemp, mktemp and pytest draw or count names"),
    Rule("address", r"\bat 0x[0-9a-fA-F]+|\b0x[0-9a-fA-F]{9,16}\b", "0x<address>",
         "where an object lies is drawn anew for each process"),
    Rule("clock", r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",
         "<time>", "the time at which it is run"),
    Rule("date", rf"\b\d{{4}}-\d\d-\d\d\b|\b{_MONTH} +\d{{1,2}}\b(?:,? +\d{{4}}\b)?"
         rf"|\b\d{{1,2}} {_MONTH}(?: \d{{4}})?\b|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b,?", "<date>",
         "the day on which it is run, as programs and `ls -l` write it"),
    Rule("hour", r"\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b(?: (?:AM|PM|UTC)\b)?", "<hour>",
         "the time of the day, and durations as h:mm:ss"),
    Rule("duration", r"\b\d+(?:\.\d+)?(?:e-?\d+)? ?(?:ns|us|µs|ms|msec|usec)\b"
         r"|\b\d+\.\d+ ?(?:s|sec|secs|seconds)\b|\b\d+m ?\d+(?:\.\d+)?s\b", "<duration>",
         "how long something took; whole seconds stay, since programs speak of them too"),
    Rule("size", r"\b\d+(?:\.\d+)?(?: ?[kKMGT]i?B|[KMGT])\b", "<size>",
         "memory and disk in use, as ps, du, df and free round them"),
    Rule("process", r"\b(?:[Pp][Ii][Dd]|[Pp]rocess)[ =:#]+\d+|^\[\d+\] \d+$"
         r"|(?<=line )\d+: +\d+ (?=Killed|Terminated|Aborted|Segmentation)", "<process>",
         "the number of a process, and bash's line number before it"),
    Rule("host", r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{12}\b", "<host>",
         "a container's name on its network is the beginning of its id"),
    Rule("commit", r"\b(?:commit [0-9a-f]{40}|(?<=\[main )[0-9a-f]{7,12}(?=\])"
         r"|(?<=HEAD is now at )[0-9a-f]{7,12})\b", "<commit>",
         "a commit made by the agent holds the time; the first one is always the same"),
    Rule("seed", r"\b(?:randomly-seed|hypothesis-seed|random seed)[ =:]+\d+", "<seed>",
         "test plugins draw a seed and print it"),
]  # fmt: skip
"""The replacements, in the order in which they apply."""

_COMPILED = [(re.compile(rule.pattern, re.MULTILINE), rule.by) for rule in RULES]

Kind = Literal["", "observation", "patch", "exit", "outcome"]


class Reproduction(Record):
    """The result of rerunning an attempt: it reproduces, or where it first differs.

    `kind` says what differs: an observation (in `turn`), else the patch, else the exit reason,
    else the outcome (resolved, or the result of a test). `same_end` says that patch, exit reason
    and outcome agree, whatever the observations were.
    """

    id: str
    reproduces: bool
    kind: Kind = ""
    reason: str = ""
    turn: int | None = None
    turns_differing: int = 0
    same_end: bool = True
    expected: str = ""
    got: str = ""
    seconds: float = 0.0
    version: str = ""


def normalised(text: str) -> str:
    """Return the text with every match of RULES replaced."""
    for pattern, by in _COMPILED:
        text = pattern.sub(by, text)
    return text


def compare(recorded: Trajectory, again: Trajectory) -> Reproduction:
    """Compare a recorded attempt with its rerun."""
    differing = list(_observations(recorded, again))
    ending = _endings(recorded, again)
    found = (differing and differing[0]) or ending or {"reproduces": True}
    return Reproduction.model_validate(
        {
            "reproduces": False,
            **found,
            "turns_differing": len(differing),
            "same_end": ending is None,
            "id": recorded.id,
            "seconds": again.timings.total,
            "version": again.version,
        }
    )


def results_path(source: Path) -> Path:
    """Return the file for the results of a run, or of a file of attempts."""
    name = "reproduced.jsonl"
    return source / name if source.is_dir() else source.with_suffix(f".{name}")


def result_tables(results: Iterable[Reproduction]) -> list[Table]:
    """Return the tables of `--execute`: shares by reason, and the first differences if any."""
    all = list(results)
    differing = [result for result in all if not result.reproduces]
    share = Table(box=None, pad_edge=False)
    share.add_column("")
    share.add_column("attempts", justify="right")
    share.add_column("share", justify="right")
    counts = Counter(f"{result.kind}: {result.reason}" for result in differing)
    ended = sum(result.same_end for result in differing)
    rows = [(REPRODUCES, len(all) - len(differing)), *counts.most_common()]
    rows.append(("(differs on the way, ends the same)", ended))
    for name, count in rows:
        share.add_row(Text(name), f"{count:,}", f"{count / max(1, len(all)):.1%}")
    return [share, *([_differences(differing)] if differing else [])]


def _differences(results: list[Reproduction], most: int = 20) -> Table:
    table = Table(box=None, pad_edge=False, title_justify="left", show_lines=False)
    table.title = "\nfirst differences" + (f" ({most} of {len(results)})" * (len(results) > most))
    for name in ("id", "turn", "expected", "got"):
        table.add_column(name, overflow="fold")
    for result in results[:most]:
        turn = str(result.turn) if result.turn else result.kind
        table.add_row(Text(result.id), turn, Text(result.expected[:100]), Text(result.got[:100]))
    return table


def _observations(recorded: Trajectory, again: Trajectory) -> Iterator[dict[str, object]]:
    """Yield the turns whose observations differ, up to the end of the shorter attempt."""
    for old, new in zip(turns(recorded), turns(again), strict=False):
        expected, got = normalised(old.observation), normalised(new.observation)
        if expected != got:
            reason = _reason(old, new, expected, got)
            first = _first_difference(expected, got)
            yield {"kind": "observation", "turn": old.number, "reason": reason, **first}


def _reason(old: Turn, new: Turn, expected: str, got: str) -> str:
    """Classify a difference between two observations, most specific cause first."""
    if old.call is None or new.call is None:
        return "the attempt ended in this turn"
    if old.call.timed_out != new.call.timed_out:
        return "a command was stopped at its time limit once"
    if old.call.exit_code != new.call.exit_code:
        return "another exit code"
    if sorted(expected.split("\n")) == sorted(got.split("\n")):
        return "the same lines in another order"
    if sorted(re.findall(r"\w+", expected)) == sorted(re.findall(r"\w+", got)):
        return "the same words in another order"
    if old.call.omitted != new.call.omitted:
        return "output of another length, its middle left out"
    return "other output"


def _endings(recorded: Trajectory, again: Trajectory) -> dict[str, object] | None:
    old, new = recorded.outcome, again.outcome
    if old.answer != new.answer:
        return {"kind": "patch", "reason": "another patch",
                **_first_difference(old.answer, new.answer)}  # fmt: skip
    if old.exit_reason != new.exit_reason:
        return {"kind": "exit", "reason": "ended otherwise",
                "expected": old.exit_reason, "got": new.exit_reason}  # fmt: skip
    if _verdict(old) != _verdict(new):
        return {"kind": "outcome", "reason": "graded otherwise",
                **_first_difference(_graded(recorded), _graded(again))}  # fmt: skip
    return None


def _verdict(outcome: Outcome) -> tuple[bool, bool, dict[str, str]]:
    """Resolved, suspect and the tests, before anyone accepted anything."""
    suspect = bool(outcome.suspect)
    return outcome.resolved and not suspect, suspect, outcome.tests


def _graded(attempt: Trajectory) -> str:
    resolved, suspect, results = _verdict(attempt.outcome)
    tests = [f"{name}: {status}" for name, status in sorted(results.items())]
    return "\n".join([f"resolved: {resolved}", f"suspect: {suspect}", *tests])


def _first_difference(expected: str, got: str) -> dict[str, str]:
    pairs = zip_longest(expected.split("\n"), got.split("\n"), fillvalue="(nothing)")
    old, new = next((old, new) for old, new in pairs if old != new)
    same = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
    start = max(0, same - 40)
    return {"expected": old[start : start + _SHOWN], "got": new[start : start + _SHOWN]}
