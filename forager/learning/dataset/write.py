"""Writes attempts as a data set: `forager export --format policy|world`."""

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

from forager.atomic import new_directory
from forager.errors import UsageError
from forager.learning.dataset import MANIFEST, DatasetManifest, DatasetSettings, Sample
from forager.learning.dataset.columns import PER_TOKEN, SCHEMA_VERSION, schema
from forager.learning.dataset.inner import InnerTraces
from forager.learning.dataset.samples import SampleBuilder
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.saved import file_digest, load, save
from forager.learning.sources import Artifact, Sources
from forager.records import read_records
from forager.rollout.credit import CREDIT, AttemptCredit
from forager.trajectories.choice import Choice

_GROUP = 1 << 18  # ids in a row group
_FILE = 400 << 20  # bytes of a file, about as many as the Hub's tools write

ExportProgress = Callable[[int, int], None]  # attempts read, attempts in all


def _read_credit(directory: Path) -> dict[str, AttemptCredit]:
    """The credits of a directory by attempt. Raises UsageError if it holds none."""
    path = directory / CREDIT
    found = {credit.id: credit for credit in read_records(path, AttemptCredit)}
    if not found:
        raise UsageError(f"{path} holds no credit; `forager credit RUN -o {directory}` makes some")
    return found


def _artifacts(settings: DatasetSettings, inner: InnerTraces | None) -> list[Artifact]:
    """What else a data set was made from, each with its digest."""
    found = [inner.artifact()] if inner else []
    if settings.credit:
        digest = file_digest(settings.credit / CREDIT)
        found.append(Artifact(path=str(settings.credit), digest=digest))
    return found


def export_dataset(
    runs: Sequence[Path],
    output: Path,
    tokenizer: Path,
    settings: DatasetSettings,
    on_progress: ExportProgress = lambda *_: None,
) -> DatasetManifest:
    """Write the attempts of runs as a data set for a tokenizer (a Hugging Face directory).

    The output appears complete or not at all; an existing one made from the same inputs is left
    as it is. Raises UsageError, also if no attempt gives a sample.
    """
    if settings.traces and settings.kind != "world":
        raise UsageError("traces of tests need the kind world: a policy does not write them")
    if settings.credit and settings.kind != "policy":
        raise UsageError("credit needs the kind policy: observations are not the agent's")
    loaded = Tokenizer(tokenizer)
    credit = _read_credit(settings.credit) if settings.credit else None
    inner = InnerTraces(settings.traces) if settings.traces else None
    with Sources(runs, accept_suspect=settings.accept_suspect) as sources:
        request = DatasetManifest(
            schema_version=SCHEMA_VERSION,
            kind=settings.kind,
            tokenizer=loaded.digest,
            chat_template=loaded.template_digest,
            context=settings.max_length,
            seed=settings.seed,
            settings=settings,
            sources=[*sources.records(), *_artifacts(settings, inner)],
        )
        if done := done_before(output, request):
            return done
        with new_directory(output) as part:
            builder = SampleBuilder(loaded, settings, inner, credit)
            return _exported(part, sources, builder, request, on_progress)


def _exported(
    part: Path,
    sources: Sources,
    builder: SampleBuilder,
    request: DatasetManifest,
    on_progress: ExportProgress,
) -> DatasetManifest:
    settings = request.settings
    choice = Choice(resolved=settings.resolved)
    places = sources.places(choice, limit=settings.limit, drawn=settings.sample, seed=settings.seed)
    total = sum(map(len, places))
    attempts = (
        attempt
        for number, chosen in enumerate(places)
        for attempt in sources.trajectories(number, chosen)
    )
    with SampleWriter(part) as files:
        for read, attempt in enumerate(attempts, 1):
            for sample in builder.samples(attempt):
                files.append(sample)
            on_progress(read, total)
    if not files.samples:
        reasons = ", ".join(f"{why}: {count:,}" for why, count in builder.left_out.items())
        raise UsageError(f"no attempt gives a sample ({reasons or 'there are no attempts'})")
    done = request.model_copy(
        update={
            **files.totals(),
            "attempts": total,
            "left_out": dict(sorted(builder.left_out.items())),
            "notes": dict(sorted(builder.notes.items())),
        }
    )
    save(part / MANIFEST, done)
    return done


def done_before(output: Path, request: DatasetManifest) -> DatasetManifest | None:
    """The manifest of a data set made from the same inputs. Raises UsageError for another one."""
    if not (output / MANIFEST).exists():
        return None
    done = load(output / MANIFEST, DatasetManifest)
    asked = ("tokenizer", "chat_template", "settings", "sources")
    if done is None or any(getattr(done, name) != getattr(request, name) for name in asked):
        raise UsageError(
            f"{output} is a data set of other attempts, settings or another tokenizer; "
            "name a new directory, or delete it"
        )
    return done


class SampleWriter:
    """Writes samples in row groups of a bounded size, into files of a bounded size.

    The digest covers ids and masks, and all columns of samples with advantages.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._rows: list[dict[str, Any]] = []
        self._size = 0
        self._file: Any = None
        self._path = directory
        self._files = 0
        self._hashed = blake2b(digest_size=16)
        self._counts: Counter[str] = Counter()

    @property
    def samples(self) -> int:
        """Number of samples written."""
        return self._counts["samples"]

    def totals(self) -> dict[str, int | str]:
        """Counts and the digest, by the fields of the manifest."""
        names = ("samples", "tokens", "trained", "stored")
        return {**{name: self._counts[name] for name in names}, "digest": self._hashed.hexdigest()}

    def append(self, sample: Sample) -> None:
        """Write a sample. Raises ValueError if its lists differ in length."""
        row = sample._asdict()
        if len({len(row[name]) for name in PER_TOKEN if row[name] is not None}) > 1:
            raise ValueError(f"{sample.id}: {', '.join(PER_TOKEN)} differ in length")
        self._rows.append(row)
        self._size += len(sample.input_ids)
        self._count(sample)
        if self._size >= _GROUP:
            self._flush()

    def _count(self, sample: Sample) -> None:
        self._counts["samples"] += 1
        self._counts["tokens"] += len(sample.input_ids)
        self._counts["trained"] += sum(sample.loss_mask)
        self._counts["stored"] += sample.origin == "tokens"
        self._hashed.update(len(sample.input_ids).to_bytes(8, "little"))
        self._hashed.update(array("i", sample.input_ids).tobytes())
        self._hashed.update(bytes(sample.loss_mask))
        if sample.advantages is not None:
            for numbers in (sample.logprobs or (), sample.advantages):
                self._hashed.update(array("f", numbers).tobytes())
            self._hashed.update(array("i", sample.versions or ()).tobytes())

    def _flush(self) -> None:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        if not self._rows:
            return
        if self._file is None:
            self._path = self._directory / f"samples-{self._files:05}.parquet"
            self._file = ParquetWriter(self._path, schema(), compression="zstd")
            self._files += 1
        self._file.write_batch(pa.RecordBatch.from_pylist(self._rows, schema()))
        self._rows, self._size = [], 0
        if self._path.stat().st_size >= _FILE:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._close()
