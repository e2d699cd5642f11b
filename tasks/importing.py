"""Makes tasks from the rows of a published data set."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from forager.environments.repository.task import RepositoryTask
from forager.images.image import Image
from forager.locks import claimed_file
from forager.records import Record, read_records, write_records
from tasks.contamination import contaminated
from tasks.formats import Draft, Format, swe_bench, swe_gym, swe_rebench, swe_smith
from tasks.nemotron import nemotron
from tasks.r2e import r2e_gym
from tasks.rows import Row, UnusableRow

FORMATS: dict[str, Format] = {
    "swe-bench": swe_bench,
    "swe-smith": swe_smith,
    "swe-gym": swe_gym,
    "swe-rebench": swe_rebench,
    "r2e-gym": r2e_gym,
    "nemotron": nemotron,
}


class RefusedRow(Record):
    """A row that became no task, with the reason."""

    instance_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """The format of the rows, and which of them become tasks in which images."""

    form: Format
    images: Sequence[Image] = ()
    limit: int | None = None
    keep_contaminated: bool = False
    also_exclude: Path | None = None


def import_rows(
    rows: Iterable[Row],
    wanted: ImportRequest,
    output: Path,
    *,
    report: Callable[[str], None] = lambda _: None,
) -> Counter[str]:
    """Add the rows' tasks to a file, and refused rows to NAME.refused.jsonl.

    The files appear whole or not at all. Rows whose task is in the file already are skipped. Return
    the number of `tasks` that were added, and of rows refused by reason. Raises UsageError if
    another process writes the file.
    """
    with claimed_file(output):
        return _imported(rows, wanted, output, report)


def _imported(
    rows: Iterable[Row], wanted: ImportRequest, output: Path, report: Callable[[str], None]
) -> Counter[str]:
    known = (
        {task.instance_id for task in read_records(output, RepositoryTask)}
        if output.exists()
        else set()
    )
    counts: Counter[str] = Counter()
    refused: list[RefusedRow] = []

    def made() -> Iterator[RepositoryTask]:
        if output.exists():
            yield from read_records(output, RepositoryTask)
        for row in rows:
            if wanted.limit is not None and counts["tasks"] >= wanted.limit:
                return
            try:
                task = to_task(row, wanted)
            except UnusableRow as error:
                name = str(row.get("instance_id") or row.get("commit_hash") or "a row")
                refused.append(RefusedRow(instance_id=name, reason=str(error)))
                counts[str(error)] += 1
                report(f"{name}: {error}")
                continue
            if task.instance_id not in known:
                known.add(task.instance_id)
                counts["tasks"] += 1
                yield task

    write_records(output, made())
    write_records(refused_path(output), refused)
    return counts


def to_task(row: Row, wanted: ImportRequest) -> RepositoryTask:
    """Make the task of a row. Raises UnusableRow."""
    try:
        draft = wanted.form(row)
    except (KeyError, TypeError, AttributeError) as error:
        raise UnusableRow(f"it is not of this format: {type(error).__name__} {error}") from error
    task = _placed(draft, wanted.images)
    reason = contaminated(task.repo, also=wanted.also_exclude)
    if reason and not wanted.keep_contaminated:
        raise UnusableRow(f"kept out of training sets: {reason}")
    return task.model_copy(update={"contaminated": reason})


def refused_path(output: Path) -> Path:
    """The path of the refused rows of a tasks file."""
    return output.with_name(f"{output.stem}.refused.jsonl")


def _placed(draft: Draft, images: Sequence[Image]) -> RepositoryTask:
    """The task in one of `images` if they are given, else in the image that the row names."""
    task = draft.task
    image = _image_of(task, images)
    if image is None:
        if draft.elsewhere or not task.image:
            place = f"has the repository at {draft.elsewhere}" if task.image else "is not named"
            raise UnusableRow(f"its image {place}; build one here and give it as --images")
        command = "\n".join(filter(None, (draft.activate, task.setup.command)))
        setup = task.setup.model_copy(update={"command": command})
        return task.model_copy(update={"setup": setup})
    update = {
        "command": task.setup.command,
        "parser": task.setup.parser,
        "variables": {**image.setup.variables, **task.setup.variables},
        "protected": [*image.setup.protected, *task.setup.protected],
        "timeout": task.setup.timeout,
    }
    return task.model_copy(
        update={
            "setup": image.setup.model_copy(update=update),
            "image": image.reference,
            "image_digest": image.digest,
            "source": image.source.given,
            "licence": task.licence or image.source.licence,
        }
    )


def _image_of(task: RepositoryTask, images: Sequence[Image]) -> Image | None:
    """The image of the task's commit, or the only image of its repository."""
    if not images:
        return None
    for image in images:
        if task.base_commit and image.source.commit == task.base_commit:
            return image
    named = [image for image in images if _last(image.source.name) == _last(task.repo)]
    if len(named) != 1:
        many = f"{len(named)} images are" if named else "no image is"
        raise UnusableRow(f"{many} of its repository, and none of its commit")
    return named[0]


def _last(name: str) -> str:
    return name.lower().rpartition("/")[2]
