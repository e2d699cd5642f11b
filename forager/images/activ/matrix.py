"""One row of a job's matrix: on Linux, with the Python that is there.

Rows are expanded as GitHub does, up to a bound, and the most ordinary one is chosen. If none has
the Python that is there, the versions of the best row are replaced.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
_MOST_ROWS = 500
_VERSION = re.compile(
    r"(?:[<>=~^]{1,2} ?)?3\.(?:\d{1,2}|x)(?:\.\d{1,2}|\.x)?(?:-dev|t|[abrc-]+\d*)?"
)
_TOX = re.compile(r"\bpy3\d{1,2}\b")
_IN_TEXT = re.compile(
    r"(\bpython ?|--python[= ]|-p ?|\b(?:tests?|unit|session)[\w.]{0,40}-)3\.\d{1,2}\b"
)
_PYTHON_KEY = re.compile(r"py|^version$|interpreter", re.IGNORECASE)
_SYSTEM_KEY = re.compile(r"^os$|platform|runs?[-_]on|runner|image|machine", re.IGNORECASE)
_SIGNS = (  # of rows, with points
    (re.compile(r"windows|macos|mac-|darwin|\bwin", re.IGNORECASE), -100),
    (re.compile(r"lint|docs?\b|mypy|typ(es|ing)|style|pre-?commit|package|release"), -30),
    (re.compile(r"pypy|graal|jython|free-?thread|nogil|\b3\.\d+t\b|nightly|conda"), -20),
    (re.compile(r"arm\b|arm64|aarch64|s390|ppc|alpine|musl|i686|\bdev\b|-dev\b|main\b"), -6),
    (re.compile(r"\bmin|lowest|oldest|legacy|minimal|without|\bno[-_]"), -4),
    (re.compile(r"ubuntu|linux|manylinux"), 2),
)


def chosen_row(matrix: Any, python: str, text: str = "") -> Row:
    """Return the row to run with this Python, such as "3.11"; empty without a matrix.

    `text` is the job's, which names the keys of a matrix that only an expression gives.
    """
    if isinstance(matrix, str):
        keys = dict.fromkeys(re.findall(r"\bmatrix\.([\w-]{1,60})", text))
        return {key: _guessed(key, python) for key in keys}
    found = list(itertools.islice(rows(matrix, python), _MOST_ROWS))
    if not found:
        return {}
    best = max(found, key=lambda row: _score(row, python))  # the first of equal ones
    return {key: _retargeted(key, value, python) for key, value in best.items()}


def rows(matrix: Any, python: str) -> Iterator[Row]:
    """Yield the rows of a matrix; lists that are expressions hold what is there."""
    if not isinstance(matrix, Mapping):
        return
    stated = {
        key: _values(key, value, python)
        for key, value in matrix.items()
        if key not in ("include", "exclude")
    }
    includes, excludes = _mappings(matrix.get("include")), _mappings(matrix.get("exclude"))
    merged: list[Row] = []
    for values in itertools.product(*stated.values()) if stated else ():
        row = dict(zip(stated, values, strict=True))
        if any(_agrees(row, excluded) for excluded in excludes):
            continue
        for included in includes:
            if _agrees(row, {key: included[key] for key in included if key in stated}):
                row = {**row, **included}
                merged.append(included)
        yield row
    yield from (included for included in includes if included not in merged)


def retargeted_text(text: str, python: str) -> str:
    """Return a command with the Pythons that it names replaced by the one that is there."""
    short = f"py{python.replace('.', '')}"
    return _IN_TEXT.sub(lambda found: found[1] + python, _TOX.sub(short, text))


def guessed(key: str, value: str, python: str) -> str:
    """Return a value for an input or key: as stated, or by its name if it is an expression."""
    return _guessed(key, python) if "${{" in value else str(_retargeted(key, value, python))


def _guessed(key: str, python: str) -> str:
    if _PYTHON_KEY.search(key):
        return python
    return "ubuntu-latest" if _SYSTEM_KEY.search(key) else ""


def _values(key: str, value: Any, python: str) -> Sequence[Any]:
    if isinstance(value, list):
        return value
    return [guessed(key, value, python)] if isinstance(value, str) else [value]


def _mappings(value: Any) -> list[Row]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _agrees(row: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    return all(key in row and row[key] == value for key, value in part.items())


def _score(row: Row, python: str) -> int:
    texts = list(_texts(row))
    short = f"py{python.replace('.', '')}"
    here = any(text == python or short in text.split("-") for text in texts)
    signs = sum(points for sign, points in _SIGNS if any(map(sign.search, texts)))
    return signs + (10 if here else 0)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    else:
        yield str(value)


def _retargeted(key: str, value: Any, python: str) -> Any:
    if isinstance(value, dict):
        return {name: _retargeted(name, item, python) for name, item in value.items()}
    if isinstance(value, list):
        return [_retargeted(key, item, python) for item in value]
    if value in ("true", "false"):  # which expressions compare with truth values
        return value == "true"
    if _PYTHON_KEY.search(key) and _VERSION.fullmatch(value):
        return python
    return retargeted_text(value, python)
