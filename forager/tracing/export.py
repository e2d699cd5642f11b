"""Traces as lines of JSON, for training and for other software."""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from heapq import nsmallest
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from forager.atomic import new_file
from forager.drawing import drawn
from forager.errors import UsageError
from forager.tracing.cutting import Cut, steps
from forager.tracing.reader import TraceReader
from forager.tracing.record import Sources, Trace
from forager.tracing.source import entered_files
from forager.tracing.store import SourceTexts, TraceDirectory
from forager.tracing.views.compact import compact_text
from forager.tracing.views.cwm import cwm_trace
from forager.tracing.views.debugger import episode
from forager.tracing.views.events import event_objects
from forager.tracing.views.samples import Loss, segments
from forager.untrusted import Malformed

_View = Callable[[Trace, Sources, "TraceExport"], dict[str, Any]]


class TraceExport(NamedTuple):
    """Which traces are written, and what is shown of each."""

    cut: Cut = Cut()
    loss: Loss = "both"
    """Of `segments`."""
    limit: int | None = None
    """Of the first traces that the view can show."""
    sample: int | None = None
    """Traces that the seed of the cut draws."""


class ExportedTraces(NamedTuple):
    """How many traces were written, and why the others were not."""

    written: int
    left_out: Counter[str]


def export_traces(
    directories: Sequence[Path],
    output: Path,
    format: str,
    chosen: TraceExport,
) -> ExportedTraces:
    """Write a line of JSON for each trace, one trace in memory at a time.

    A trace that a view cannot show is left out and counted: a source may hold a special token.
    Raises UsageError, StoreError.
    """
    left_out = Counter[str]()
    written = 0
    with new_file(output) as part, part.open("w", encoding="utf-8") as file:
        for row in exported_rows(directories, format, chosen, left_out):
            json.dump(row, file, ensure_ascii=True)  # no second copy: a text can be large
            file.write("\n")
            written += 1
    return ExportedTraces(written, left_out)


def exported_rows(
    directories: Sequence[Path],
    format: str,
    chosen: TraceExport,
    left_out: Counter[str],
) -> Iterator[dict[str, Any]]:
    """Yield the row of each trace; count in `left_out` those that the view cannot show.

    Raises UsageError if there is none.
    """
    written = 0
    for trace, sources in traces_of(directories, sample=chosen.sample, seed=chosen.cut.seed):
        if chosen.limit is not None and written >= chosen.limit:
            break
        try:
            view = _VIEWS[format](trace, sources, chosen)
        except Malformed as error:
            left_out[str(error)] += 1
            continue
        yield {**_facts(trace), **view}
        written += 1
    if not written:
        raise UsageError("there are no such traces to export; `forager trace` makes some")


def traces_of(
    directories: Sequence[Path],
    limit: int | None = None,
    *,
    sample: int | None = None,
    seed: int = 0,
) -> Iterator[tuple[Trace, Sources]]:
    """Yield the traces of directories with their sources: all, the first, or a random sample.

    Raises UsageError.
    """
    wanted = None if sample is None else _drawn(directories, sample, seed)
    return islice(_traces(directories, wanted), limit)


def _drawn(directories: Sequence[Path], count: int, seed: int) -> set[tuple[int, int]]:
    """The places of a sample: the number of the directory, and that of the trace in it."""
    every = (
        (drawn(trace.id, seed), number, place)
        for number, directory in enumerate(directories)
        for place, trace in enumerate(TraceDirectory(directory).traces())
    )
    return {(number, place) for _, number, place in nsmallest(count, every)}


def _traces(
    directories: Sequence[Path], wanted: set[tuple[int, int]] | None
) -> Iterator[tuple[Trace, Sources]]:
    for number, directory in enumerate(directories):
        found = TraceDirectory(directory).traces()
        texts = SourceTexts(directory)
        for place, trace in enumerate(found):
            if wanted is None or (number, place) in wanted:
                yield trace, texts.of(trace)


def _facts(trace: Trace) -> dict[str, Any]:
    """What every format says of a trace."""
    return {
        "id": trace.id,
        "kind": trace.kind,
        "name": trace.name,
        "source": trace.origin.source,
        "licence": trace.origin.licence,
        "python": trace.interpreter.version,
        "outcome": trace.outcome.kind,
        "truncated": trace.truncated,
    }


def question_of(trace: Trace, sources: Sources) -> dict[str, Any]:
    """The code that ran, what went in, and what came out. Raises Malformed without an output."""
    if trace.truncated or trace.outcome.kind not in ("returned", "raised", "exited"):
        raise Malformed("its outcome is no output of a call or program")
    result = trace.outcome.output if trace.kind == "program" else trace.outcome.value
    given = trace.input if trace.kind == "program" else trace.entry
    return {"files": entered_files(trace, sources), "input": given, "output": result}


def _sessions(trace: Trace, sources: Sources, cut: Cut) -> list[dict[str, Any]]:
    """A session in each direction. Raises Malformed, also if the whole trace is too long."""
    deque(steps(trace, Cut(longest=cut.longest)), maxlen=0)  # before all of it is in memory
    reader = TraceReader(trace)
    return [
        episode(reader, sources, cut.seed, inverse=inverse).model_dump()
        for inverse in (False, True)
    ]


_VIEWS: dict[str, _View] = {
    "cwm": lambda trace, sources, chosen: {"text": cwm_trace(trace, sources, chosen.cut).text()},
    "compact": lambda trace, sources, chosen: {"text": compact_text(trace, sources, chosen.cut)},
    "debugger": lambda trace, sources, chosen: {"sessions": _sessions(trace, sources, chosen.cut)},
    "events": lambda trace, sources, chosen: {
        "events": list(event_objects(trace, sources, chosen.cut))
    },
    "input-output": lambda trace, sources, _: question_of(trace, sources),
    "segments": lambda trace, sources, chosen: {
        "parts": [part.model_dump() for part in segments(trace, sources, chosen.loss, chosen.cut)]
    },
}
