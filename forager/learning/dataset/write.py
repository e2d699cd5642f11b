"""Attempts into a data set: `forager export --format policy|world`."""

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from forager.atomic import new_directory
from forager.errors import UsageError
from forager.learning.dataset import MANIFEST, DatasetManifest, DatasetSettings, Sample
from forager.learning.dataset.samples import Made, Maker
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.saved import load, save
from forager.learning.sources import Sources
from forager.trajectories.choice import Choice

if TYPE_CHECKING:
    import pyarrow

_GROUP = 1 << 18  # ids in a group of rows
_FILE = 400 << 20  # bytes of a file, about what the Hub's own tools make

Told = Callable[[int, int], None]  # attempts read, of how many


def export_dataset(
    runs: Sequence[Path],
    output: Path,
    tokenizer: Path,
    settings: DatasetSettings,
    told: Told = lambda *_: None,
) -> DatasetManifest:
    """Write the attempts of runs as a data set for a tokenizer (a Hugging Face directory).

    The directory appears whole or not at all; one that was made of the same is left as it is.
    Raises UsageError, also where no attempt gives a sample, or the chat template is of no use.
    """
    loaded = Tokenizer(tokenizer)
    with Sources(runs) as sources:
        request = DatasetManifest(
            kind=settings.kind,
            tokenizer=loaded.digest,
            chat_template=loaded.template_digest,
            context=settings.max_length,
            seed=settings.seed,
            settings=settings,
            sources=sources.records(),
        )
        if done := _done(output, request):
            return done
        with new_directory(output) as part:
            return _exported(part, sources, loaded, request, told)


def _exported(
    part: Path, sources: Sources, tokenizer: Tokenizer, request: DatasetManifest, told: Told
) -> DatasetManifest:
    settings = request.settings
    choice = Choice(resolved=settings.resolved)
    places = sources.places(choice, limit=settings.limit, drawn=settings.sample, seed=settings.seed)
    maker = Maker(tokenizer, settings)
    total = sum(map(len, places))
    read = 0
    with _Files(part) as files:
        for number, chosen in enumerate(places):
            for attempt in sources.trajectories(number, chosen):
                for made in maker.samples(attempt):
                    files.append(made)
                read += 1
                told(read, total)
    if not files.samples:
        reasons = ", ".join(f"{why}: {count:,}" for why, count in maker.left_out.items())
        raise UsageError(f"no attempt gives a sample ({reasons or 'there are no attempts'})")
    done = request.model_copy(
        update={
            **files.totals(),
            "attempts": total,
            "left_out": dict(sorted(maker.left_out.items())),
            "notes": dict(sorted(maker.notes.items())),
        }
    )
    save(part / MANIFEST, done)
    return done


def _done(output: Path, request: DatasetManifest) -> DatasetManifest | None:
    """What a directory holds already, where it is what is wanted. Raises UsageError."""
    if not (output / MANIFEST).exists():
        return None
    done = load(output / MANIFEST, DatasetManifest)
    asked = ("tokenizer", "chat_template", "settings", "sources")
    if done is None or any(getattr(done, name) != getattr(request, name) for name in asked):
        raise UsageError(
            f"{output} holds a data set of other attempts, settings or another tokenizer; "
            "name a new directory, or delete it"
        )
    return done


def schema() -> "pyarrow.Schema":
    """The columns."""
    import pyarrow as pa

    ids, trained = pa.list_(pa.int32()), pa.list_(pa.bool_())
    return pa.schema({"id": pa.string(), "ids": ids, "trained": trained, "origin": pa.string()})


class _Files:
    """Writes samples in groups of a bounded size, into files of a bounded size."""

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
        """How many were written."""
        return self._counts["samples"]

    def totals(self) -> dict[str, int | str]:
        """Counts, and the digest of all samples, by the manifest's names."""
        names = ("samples", "tokens", "trained", "stored")
        return {**{name: self._counts[name] for name in names}, "digest": self._hashed.hexdigest()}

    def append(self, made: Made) -> None:
        """Write a sample."""
        sample = made.sample
        self._rows.append({**sample._asdict(), "origin": made.origin})
        self._size += len(sample.ids)
        self._count(sample, made.origin)
        if self._size >= _GROUP:
            self._flush()

    def _count(self, sample: Sample, origin: str) -> None:
        from array import array

        self._counts["samples"] += 1
        self._counts["tokens"] += len(sample.ids)
        self._counts["trained"] += sum(sample.trained)
        self._counts["stored"] += origin == "tokens"
        self._hashed.update(len(sample.ids).to_bytes(8, "little"))
        self._hashed.update(array("i", sample.ids).tobytes())
        self._hashed.update(bytes(sample.trained))

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
