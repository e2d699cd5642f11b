"""Traces as a data set to train on: `forager export TRACES --format trace`.

A tokenizer that has CWM's special tokens (`forager base --trace-tokens`, CWM's own) writes each as
one id; any other spells them. A text begins as the prompts of the chat template do, and ends with
`<|end_of_text|>` or the tokenizer's own end. A source that holds another special token of the
tokenizer is left out, because a program could forge a turn with it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from forager.atomic import new_directory
from forager.errors import UsageError
from forager.learning.dataset import MANIFEST, DatasetManifest, DatasetSettings, Sample, TraceTexts
from forager.learning.dataset.columns import SCHEMA_VERSION
from forager.learning.dataset.samples import LONG, NOTHING
from forager.learning.dataset.segments import encoded
from forager.learning.dataset.tokenizer import Tokenizer, UnusableAttempt
from forager.learning.dataset.write import SampleWriter, done_before
from forager.learning.saved import file_digest, save
from forager.learning.sources import Artifact
from forager.tracing.cutting import LONGEST, Cut
from forager.tracing.export import question_of, traces_of
from forager.tracing.record import Sources, Trace
from forager.tracing.source import entered_files
from forager.tracing.store import traces_file
from forager.tracing.views.compact import compact_text
from forager.tracing.views.cwm import BEGIN, END, TOKENS
from forager.tracing.views.samples import TextPart, segments
from forager.untrusted import Malformed

_SPLIT = re.compile("|".join(map(re.escape, TOKENS)))


def export_traces_as_dataset(
    directories: Sequence[Path],
    output: Path,
    tokenizer: Path,
    settings: DatasetSettings,
    on_progress: Callable[[int], None] = lambda _: None,
) -> DatasetManifest:
    """Write traces as a data set for a tokenizer (a Hugging Face directory).

    The output appears complete or not at all; an existing one made from the same inputs is left
    as it is. Raises UsageError, also if no trace gives a sample.
    """
    loaded = Tokenizer(tokenizer)
    request = DatasetManifest(
        schema_version=SCHEMA_VERSION,
        kind="trace",
        tokenizer=loaded.digest,
        chat_template=loaded.template_digest,
        context=settings.max_length,
        seed=settings.seed,
        settings=settings,
        sources=[_artifact(directory) for directory in directories],
    )
    if done := done_before(output, request):
        return done
    with new_directory(output) as part:
        builder, read = TraceSampleBuilder(loaded, settings), 0
        with SampleWriter(part) as files:
            for trace, sources in traces_of(
                directories, settings.limit, sample=settings.sample, seed=settings.seed
            ):
                if sample := builder.sample(trace, sources):
                    files.append(sample)
                read += 1
                on_progress(read)
        if not files.samples:
            reasons = ", ".join(f"{why}: {count:,}" for why, count in builder.left_out.items())
            raise UsageError(f"no trace gives a sample ({reasons or 'there are no traces'})")
        counts = {"attempts": read, "left_out": dict(sorted(builder.left_out.items()))}
        done = request.model_copy(update={**files.totals(), **counts})
        save(part / MANIFEST, done)
        return done


def _artifact(directory: Path) -> Artifact:
    """A directory of traces with a digest of them. Raises UsageError without traces."""
    return Artifact(path=str(directory), digest=file_digest(traces_file(directory)))


class TraceSampleBuilder:
    """Makes a sample of each trace; counts what it leaves out (`left_out`)."""

    def __init__(self, tokenizer: Tokenizer, settings: DatasetSettings) -> None:
        self._tokenizer, self._settings = tokenizer, settings
        own = tokenizer.specials_in("".join(TOKENS))
        self._end = END if END in own else tokenizer.end
        self.left_out: Counter[str] = Counter()

    def sample(self, trace: Trace, sources: Sources) -> Sample | None:
        """The sample of a trace; None if it is left out."""
        try:
            return self._sample(trace.id, self._parts(trace, sources))
        except (Malformed, UnusableAttempt) as reason:
            self.left_out[str(reason)] += 1
            return None

    def _parts(self, trace: Trace, sources: Sources) -> list[TextPart]:
        texts = self._settings.texts
        seed = self._settings.seed
        cut = Cut(step_in=texts.step_in, depth=texts.depth, seed=seed, longest=LONGEST)
        parts = list(_VIEWS[texts.view](trace, sources, texts, cut))
        for part in parts:
            for written in _SPLIT.split(part.text):
                if found := self._tokenizer.specials_in(written):
                    raise Malformed(f"the text holds the special token {found[0]}")
        first = parts[0].model_copy(update={"text": parts[0].text.removeprefix(BEGIN)})
        return [first, *parts[1:], TextPart(text=self._end, loss=parts[-1].loss)]

    def _sample(self, id: str, parts: list[TextPart]) -> Sample | None:
        ends, length = [], 0
        for part in parts[:-1]:
            length += len(part.text)
            ends.append(length)
        ids, places = encoded(self._tokenizer, "".join(part.text for part in parts), ends)
        start = self._tokenizer.beginning()
        mask = [0] * len(start)
        for part, first, last in zip(parts, [0, *places], [*places, len(ids)], strict=True):
            mask += [int(part.loss)] * (last - first)
        ids, most = [*start, *ids], self._settings.max_length
        if len(ids) > most and not self._settings.truncate:
            self.left_out[LONG] += 1
            return None
        if not any(mask[:most]):
            self.left_out[NOTHING] += 1
            return None
        return Sample(id, ids[:most], mask[:most])


def _cwm(trace: Trace, sources: Sources, texts: TraceTexts, cut: Cut) -> Iterator[TextPart]:
    parts = segments(trace, sources, texts.loss, cut)
    yield from parts[:-1]
    yield parts[-1].model_copy(update={"text": parts[-1].text.removesuffix(END)})


def _compact(trace: Trace, sources: Sources, _: TraceTexts, cut: Cut) -> Iterator[TextPart]:
    first, rest = compact_text(trace, sources, cut).partition("\n")[::2]
    yield TextPart(text=f"{_code(entered_files(trace, sources))}{first}\n", loss=False)
    yield TextPart(text=rest, loss=True)


def _output(trace: Trace, sources: Sources, *_: object) -> Iterator[TextPart]:
    found = question_of(trace, sources)
    yield TextPart(text=_code(found["files"]), loss=True)
    yield TextPart(text=f"# input\n{_line(found['input'])}# output\n", loss=False)
    yield TextPart(text=_line(found["output"]), loss=True)


_VIEWS: dict[str, Callable[[Trace, Sources, TraceTexts, Cut], Iterator[TextPart]]] = {
    "cwm": _cwm,
    "compact": _compact,
    "output": _output,
}


def _code(files: dict[str, str]) -> str:
    return "".join(f"# {path}\n{_line(text)}" for path, text in files.items())


def _line(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
