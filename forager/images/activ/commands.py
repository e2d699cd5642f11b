"""What a step of a job does: run the tests, look at the code, or something else."""

import re
from pathlib import Path
from typing import Any

from forager.images.layout import read_text

_LONGEST = 1000  # characters of a line; some patterns take quadratic time
_MOST_SCRIPTS = 5  # files that a step runs and that are read
_COMMANDS = (  # what runs tests, with points
    (re.compile(r"\bpytest\b(?! --version| --collect-only|-\w)|\bpy\.test\b"), 10),
    (re.compile(r"-m unittest\b|\bcoverage run\b|\bunit2\b"), 9),
    (re.compile(r"\btox\b(?!-|\.ini)"), 8),
    (re.compile(r"\b(nox|hatch test|hatch (-e \S+ )?run)\b"), 7),
    (re.compile(r"\b(uv|poetry|pdm|rye|poe|just|task|invoke|inv|pixi) .*\b\w*(test|cov)"), 7),
    (re.compile(r"\bmake .*\b(test|check|ci\b|coverage|unit)"), 6),
    (re.compile(r"\bsetup\.py test|manage\.py test|\b(trial|stestr|zope-testrunner|testr)\b"), 6),
    (re.compile(r"\b(run_?)?tests?(_\w+)?\.(py|sh)\b|\btesttools\.run\b"), 6),
    (re.compile(r"\bunittest\.main\(|\bdefaultTestLoader\b|\b(TextTest|Discover)Runner\b"), 6),
)
_OTHER_TOX = re.compile(
    r"\b(tox|nox)\b.*(-e|--env|-s|--session)[ =]?\W*\w*"
    r"(lint|doc|mypy|flake|style|format|pep8|pkg|package|build|typ(ing|e)|publish|release|upload|pre-commit|black|ruff)"
)
_INSTALLS = re.compile(r"^\s*(python\S* -m |sudo |uv )*(pip\d?|pipx|apt(-get)?|uv tool) install\b")
_CHECKS = re.compile(  # what looks at the code and makes nothing
    r"^\s*(python\S* -m |uvx? (run )?|uv tool run |pipx run |poetry run |hatch run )*"
    r"(pre-commit|mypy|ruff|flake8|black|isort|pylint|codespell|bandit|pyright|twine|vulture|"
    r"check-manifest|pydocstyle|pycodestyle|sphinx-build|mkdocs|doc8|coveralls|codecov)\b"
)


def step_points(tree: Path, step: Any) -> int:
    """How likely a step of a job runs the tests: 0 if nothing says so, at most 10."""
    if not isinstance(step, dict):
        return 0
    run = step.get("run")
    if not isinstance(run, str):
        used = str(step.get("uses", ""))
        given = step.get("with")
        texts = [str(value) for value in given.values()] if isinstance(given, dict) else []
        if used.startswith("./"):
            texts += [read_text(tree, f"{used[2:]}/action.{end}") for end in ("yml", "yaml")]
        return 5 if re.search(r"(?i)\b(tox|nox|pytest)\b", used) else _run_points("\n".join(texts))
    return max(_run_points(run), _run_points(_scripts(tree, run)) - 1)


def _run_points(text: str) -> int:
    lines = [line for line in _lines(text) if not _INSTALLS.search(line)]
    return max((_line_points(line) for line in lines), default=0)


def _lines(text: str) -> list[str]:
    return [line[:_LONGEST] for line in text.splitlines()]


def _line_points(line: str) -> int:
    if _OTHER_TOX.search(line) or line.lstrip().startswith("#"):
        return 0
    return max((points for sign, points in _COMMANDS if sign.search(line)), default=0)


def _scripts(tree: Path, run: str) -> str:
    """The texts of the project's files that a command names."""
    words = dict.fromkeys(word.removeprefix("./") for word in re.findall(r"[\w./-]{3,100}", run))
    named = [word for word in words if "/" in word or word.endswith((".sh", ".py"))]
    return "\n".join(read_text(tree, word)[:20_000] for word in named[:_MOST_SCRIPTS])


def is_check(step: Any) -> bool:
    """Whether a step only looks at the code, so that tests do without it."""
    run = step.get("run") if isinstance(step, dict) else None
    lines = [line for line in _lines(run) if line.strip()] if isinstance(run, str) else []
    return bool(lines) and all(_CHECKS.search(line) or _OTHER_TOX.search(line) for line in lines)
