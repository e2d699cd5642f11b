"""Text for a terminal or a pipe: safe, coloured, folded, with a margin.

Text from a model or a program is never parsed as markup, and its control characters never reach
the terminal.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

from forager.text import safe as safe  # what draws says `draw.safe`

FOLD_LINES = 40  # longer texts lose their middle
FOLD_COLUMNS = 2000  # longer lines lose their end

_LINE_STYLES = [  # the first pattern that matches the beginning of a line decides
    (r"E  |Traceback \(most recent call last\)|\w*(Error|Exception)\b|FAILED|ERROR", "red"),
    (r'  File "|>  |[\w./-]+\.py:\d+', "cyan"),
    (r"(=+ .*\b|(\d+ \w+, )*\d+ )(failed|errors?)\b", "red"),
    (r"(=+ .*\b|\d+ )passed\b|PASSED", "green"),
]
_DIFF_STYLES = [
    (r"diff |index |\+\+\+ |--- |new file|deleted file", "bold"),
    (r"@@ ", "cyan"),
    (r"\+", "green"),
    (r"-", "red"),
]


@dataclass(frozen=True, slots=True)
class Block:
    """Text with a margin. Long lines wrap in a terminal and stay whole in a pipe."""

    text: Text
    margin: str = "│ "
    style: str = "dim"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.text.split("\n", allow_blank=True):
            line.expand_tabs(4)
            width = options.max_width - len(self.margin)
            rows = line.wrap(console, width, overflow="fold") if console.is_terminal else [line]
            for row in rows or [Text()]:
                row.rstrip()
                margin = Text(self.margin, self.style)
                whole = Text.assemble(margin, row, no_wrap=True, overflow="ignore", end="\n")
                if not row.plain:
                    whole.rstrip()
                yield whole


def rule(title: Text) -> Rule:
    """A line with a title at its left."""
    return Rule(title, align="left", style="dim")


def section(title: str, text: Text, *, full: bool) -> Iterator[RenderableType]:
    """Yield a text under its title, folded unless `full`."""
    yield Text()
    yield rule(Text(title, "bold"))
    yield Block(fold(text, full=full))


def fold(text: Text, *, full: bool = False, way: str = "--full shows them") -> Text:
    """Return the text; a long one (see FOLD_LINES, FOLD_COLUMNS) with counts of what it lacks.

    `way` tells the reader how to see the folded lines; `full` disables folding.
    """
    lines = list(text.split("\n", allow_blank=True))
    if full:
        return text
    for line in lines:
        if len(line) > FOLD_COLUMNS:
            more = len(line) - FOLD_COLUMNS
            line.right_crop(more)
            line.append(f" … {more:,} characters more", "dim")
    if len(lines) > FOLD_LINES:
        half = FOLD_LINES // 2
        count = len(lines) - 2 * half
        lines[half:-half] = [Text(f"… {count:,} lines folded, {way} …", "dim italic")]
    return Text("\n").join(lines)


def code(text: str, language: str) -> Text:
    """Return source code in the colours of its language."""
    highlighted = Syntax("", language, theme="ansi_dark").highlight(safe(text))
    highlighted.rstrip()
    return highlighted


def language_of(path: str) -> str:
    """Return Pygments' name of a file's language; "text" for a path without a suffix."""
    return str(Syntax.guess_lexer(path)) if re.search(r"\.\w+$", path) else "text"


def diff(text: str) -> Text:
    """Return a unified diff in colours."""
    return _styled(safe(text).rstrip("\n"), _DIFF_STYLES)


def changed(path: str, old: str, new: str) -> Text:
    """Return the replacement of `old` by `new` in a file, as a diff with all its context."""
    lines = difflib.unified_diff(
        safe(old).splitlines(), safe(new).splitlines(), n=1000, lineterm=""
    )
    body = "\n".join(list(lines)[3:])  # without file names and meaningless line numbers
    return Text.assemble((safe(path), "bold"), "\n", diff(body))


def output(text: str) -> Text:
    """Return a program's output; diffs, tracebacks and test results stand out."""
    text = safe(text).rstrip("\n")
    if re.search(r"^@@ -\d", text, re.MULTILINE):
        return _styled(text, _DIFF_STYLES)
    return _styled(text, _LINE_STYLES)


def _styled(text: str, styles: list[tuple[str, str]]) -> Text:
    result = Text(end="")
    for number, line in enumerate(text.split("\n")):
        style = next((style for pattern, style in styles if re.match(pattern, line)), "")
        result.append("\n" if number else "").append(line, style)
    return result


def short(number: int) -> str:
    """Return a count in a few characters: 950, 12.3k, 4.0M."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.1f}{letter}"
    return str(number)
