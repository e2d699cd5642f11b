"""Problems of your own: rows of JSON Lines, or a directory with a folder for each problem.

A row has `id`, `statement`, and either `answer` (mathematics) or the fields of `CodingTask`. A
folder NAME holds statement.md, cases/*.in and *.out (or tests.py, tests.cpp), and if they are
needed problem.toml (other fields), checker, solution or preamble (.py or .cpp).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from forager.environments.answer.mathematics import MATH, MathTask
from forager.environments.answer.prediction import literal
from forager.environments.answer.texts import parsed
from forager.environments.function.judging import LONGEST_VALUE
from forager.environments.function.task import CODING, CodingTask
from forager.environments.task import Task
from forager.errors import UsageError
from forager.untrusted import Malformed, toml_value
from tasks.fields import instance_id, question_labels, text
from tasks.rows import LONGEST_ROW, ReadRow, Row, UnusableRow

_FIELDS = {
    *("language", "starter_code", "preamble", "libraries", "cases", "function", "tests"),
    *("comparison", "checker", "seconds", "memory", "file", "solution"),
}
_ENDINGS = {".py": "python", ".cpp": "cpp"}
_ORIGIN = "own"
_MOST_SECONDS = 3600  # of a case


def problem(row: Row) -> Task:
    """The task of a row."""
    name, statement = text(row, "id"), text(row, "statement")
    is_math = "answer" in row
    if unknown := set(row) - {"id", "statement", "answer", "licence", "labels"} - _FIELDS:
        raise UnusableRow(f"there is no field {min(unknown)}")
    common: dict[str, Any] = {
        "instance_id": instance_id(name),
        "problem_statement": statement,
        "licence": text(row, "licence", required=False),
        "labels": question_labels(
            MATH if is_math else f"{CODING}-{row.get('language') or 'python'}",
            _ORIGIN,
            name,
            {str(label): str(value) for label, value in (row.get("labels") or {}).items()},
        ),
    }
    if is_math:
        return MathTask(kind=MATH, solution=text(row, "answer"), **common)
    fields = {field: row[field] for field in _FIELDS if row.get(field) is not None}
    if not fields.get("cases") and not fields.get("tests"):
        raise UnusableRow("it has neither answer, cases nor tests")
    task = CodingTask(kind=CODING, **fields, **common)
    _check(task)
    return task


def _check(task: CodingTask) -> None:
    """Refuse what no answer could be judged by. Raises UnusableRow."""
    if task.seconds > _MOST_SECONDS:
        raise UnusableRow(f"a case may take {task.seconds:g} s, more than {_MOST_SECONDS:,}")
    if task.comparison == "checker" and not task.checker:
        raise UnusableRow("its comparison is `checker`, but it has no checker")
    for number, case in enumerate(task.cases, 1):
        if not task.function:
            if case.arguments or case.returns:
                raise UnusableRow(
                    f"case {number} has arguments or returns, but no function is named"
                )
        elif literal(case.returns, LONGEST_VALUE) is None:
            raise UnusableRow(
                f"returns of case {number} is no literal of Python: {case.returns[:80]}"
            )
        elif parsed(f"_({case.arguments})", LONGEST_VALUE) is None:
            raise UnusableRow(f"arguments of case {number} are no Python: {case.arguments[:80]}")


def problem_rows(directory: Path) -> Iterator[ReadRow]:
    """Yield the rows of a directory, sorted by name. Raises UsageError if it holds no folder."""
    folders = sorted(place for place in directory.iterdir() if place.is_dir())
    if not folders:
        raise UsageError(f"{directory} holds no folders; each problem is one, with statement.md")
    for number, folder in enumerate(folders, 1):
        try:
            yield ReadRow(number, _row(folder))
        except UnusableRow as error:
            yield ReadRow(number, UnusableRow(f"{folder.name}: {error}"))


def _row(folder: Path) -> dict[str, Any]:
    settings = folder / "problem.toml"
    try:
        row: dict[str, Any] = toml_value(_read(settings), LONGEST_ROW) if settings.exists() else {}
    except Malformed as error:
        raise UnusableRow(f"problem.toml: {error}") from None
    row |= {"id": row.get("id") or folder.name, "statement": _read(folder / "statement.md")}
    if cases := list(_cases(folder / "cases")):
        row["cases"] = cases
    for ending, language in _ENDINGS.items():
        for name in ("tests", "solution", "preamble"):
            if (place := folder / f"{name}{ending}").exists():
                row[name] = _read(place)
                row.setdefault("language", language)
        if (place := folder / f"checker{ending}").exists():
            row |= {"comparison": "checker"}
            row["checker"] = {"text": _read(place), "language": language}
    return row


def _cases(folder: Path) -> Iterator[dict[str, str]]:
    for place in sorted(folder.glob("*.in")):
        yield {"stdin": _read(place), "expected": _read(place.with_suffix(".out"))}


def _read(place: Path) -> str:
    """The text of a file. Raises UnusableRow."""
    try:
        with place.open("rb") as file:
            content = file.read(LONGEST_ROW + 1)
        if len(content) > LONGEST_ROW:
            raise UnusableRow(f"{place.name} is longer than {LONGEST_ROW >> 20} MiB")
        return content.decode()
    except OSError as error:
        raise UnusableRow(f"{place.name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnusableRow(f"{place.name} is not UTF-8") from None
