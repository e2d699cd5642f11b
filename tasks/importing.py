"""Makes tasks from the rows of a published data set."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, ValidationError

from forager.environments.repository.task import RepositoryTask
from forager.environments.task import Task
from forager.images.image import Image
from forager.locks import claimed_file
from forager.records import Record, describe_problem, read_records, write_records
from tasks.contamination import contaminated
from tasks.fields import without_nan
from tasks.formats import Draft, Format, swe_bench, swe_gym, swe_rebench, swe_smith
from tasks.nemotron import nemotron
from tasks.questions import QuestionFormat
from tasks.r2e import r2e_gym
from tasks.rows import ReadRow, Row, UnusableRow
from tasks.trials import PatchTrials, trials

_LONGEST_NAME = 200  # characters; with endings a file name has up to 255 bytes

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

    instance_id: str = Field(description="As the row says, or its place, such as `row 3`.")
    reason: str


@dataclass(slots=True)
class ImportCounts:
    """What became of the rows; each is counted once, and `untried` tasks once more."""

    tasks: int = 0
    known: int = 0
    """Rows whose task is in the file already."""
    refused: Counter[str] = field(default_factory=Counter)
    """Rows refused, by the first part of the reason."""
    untried: int = 0
    """Tasks whose patches could not be tried, because their image is not on this machine."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """The format of the rows, and which of them become tasks in which images.

    `image` is the reference of the image in which tasks that are not repositories run programs,
    `image_digest` its digest.
    """

    form: Format | QuestionFormat
    images: Sequence[Image] = ()
    image: str = ""
    image_digest: str = ""
    python: bool = False
    """Whether problems of mathematics allow Python."""
    limit: int | None = None
    keep_contaminated: bool = False
    also_exclude: Path | None = None


def import_rows(
    rows: Iterable[ReadRow],
    wanted: ImportRequest,
    output: Path,
    *,
    report: Callable[[str], None] = lambda _: None,
) -> ImportCounts:
    """Add the rows' tasks to a file, and refused rows to NAME.refused.jsonl.

    The files appear whole or not at all. Rows whose task is in the file already are skipped. What
    is wrong with a row costs that row alone. Raises UsageError if another process writes the file,
    or if there are no rows.
    """
    with claimed_file(output), trials() as patches:
        importing = _Import(wanted, output, report, patches)
        write_records(output, importing.tasks(rows))
        write_records(refused_path(output), importing.refused)
        return importing.counts


class _Import:
    """One import into one file."""

    def __init__(
        self,
        wanted: ImportRequest,
        output: Path,
        report: Callable[[str], None],
        patches: PatchTrials,
    ) -> None:
        self._wanted, self._output, self._report = wanted, output, report
        self._patches = patches
        self._known: set[str] = set()
        self.counts = ImportCounts()
        self.refused: list[RefusedRow] = []

    def tasks(self, rows: Iterable[ReadRow]) -> Iterator[Task]:
        """Yield the tasks in the file, and then those of the rows."""
        if self._output.exists():
            for known in read_records(self._output, Task):
                self._known.add(known.instance_id)
                yield known
        for read in rows:
            if self._wanted.limit is not None and self.counts.tasks >= self._wanted.limit:
                return
            try:
                if task := self._new_task(read.row):
                    self.counts.tasks += 1
                    yield task
            except UnusableRow as error:
                self._refuse(read.name, str(error))

    def _new_task(self, row: Row | UnusableRow) -> Task | None:
        """The task of a row; None if it is known. Raises UnusableRow."""
        task = task_of(row, self._wanted)
        if task.instance_id in self._known:
            self.counts.known += 1
            return None
        if isinstance(task, RepositoryTask):
            problem = self._patches.problem(task)
            if problem:
                raise UnusableRow(problem)
            self.counts.untried += problem is None
        self._known.add(task.instance_id)
        return task

    def _refuse(self, name: str, reason: str) -> None:
        self.refused.append(RefusedRow(instance_id=name, reason=reason))
        self.counts.refused[reason.partition(": ")[0]] += 1
        self._report(f"{name}: {reason}")


def task_of(row: Row | UnusableRow, wanted: ImportRequest) -> Task:
    """Make the task of a row. Raises UnusableRow, and UsageError for a file of the request."""
    if isinstance(row, UnusableRow):
        raise row
    if isinstance(wanted.form, QuestionFormat):
        return _question(row, wanted.form, wanted)
    return _repository_task(row, wanted.form, wanted)


def _repository_task(row: Row, form: Format, wanted: ImportRequest) -> RepositoryTask:
    with _any_error_refuses():
        task = _placed(form(without_nan(row)), wanted.images)
        _check_name(task.instance_id)
    reason = contaminated(task.repo, also=wanted.also_exclude)
    if reason and not wanted.keep_contaminated:
        raise UnusableRow(f"kept out of training sets: {reason}")
    return task.model_copy(update={"contaminated": reason})


def _question(row: Row, form: QuestionFormat, wanted: ImportRequest) -> Task:
    """The task of any other row; what it runs, it runs in the image of the request."""
    with _any_error_refuses():
        task = form.make(without_nan(row))
        _check_name(task.instance_id)
    more: dict[str, object] = {"contaminated": form.benchmark}
    if form.runs or wanted.python:
        more |= {"image": wanted.image, "image_digest": wanted.image_digest}
    if wanted.python:
        more["python"] = True
    return task.model_copy(update=more)


@contextmanager
def _any_error_refuses() -> Iterator[None]:
    """Refuse a row whose reader fails: a row can hold anything, and so it raises anything."""
    try:
        yield
    except UnusableRow:
        raise
    except ValidationError as error:
        raise UnusableRow(describe_problem(Task, error)) from error
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise UnusableRow(f"it is not of this format: {told}") from error


def _check_name(name: str) -> None:
    """Refuse names that would not do as names of files."""
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise UnusableRow(
            f"instance_id has more than {_LONGEST_NAME} characters, or some that cannot be printed"
        )


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
