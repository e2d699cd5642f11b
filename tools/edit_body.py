"""The body of an `edit` written as text: a path and one SEARCH/REPLACE block.

    PATH
    <<<<<<< SEARCH
    lines to replace
    =======
    lines to put in their place
    >>>>>>> REPLACE

Either side may have no lines at all. Text that itself holds a line `=======` is written with
longer markers: any number of characters from seven, the same in all three. Exactly one line of
the block may then be the divider, so a body has one meaning or is refused.
"""

from forager.errors import FormatError
from tools.files import join_lines, split_lines

TEXT_USAGE = """\
PATH
<<<<<<< SEARCH
WHOLE LINES TO REPLACE
=======
LINES TO PUT IN THEIR PLACE
>>>>>>> REPLACE"""

_SHORTEST = 7


def read_body(body: str) -> dict[str, str]:
    """The arguments in a body; raises FormatError with how to write it."""
    lines = body.rstrip().split("\n")
    if len(lines) < 2 or not lines[0].strip() or _width(lines[0]) is not None:
        raise _wrong("The first line must be the path of the file, the second <<<<<<< SEARCH.")
    width = _width(lines[1])
    if width is None:
        raise _wrong("The line after the path must be <<<<<<< SEARCH.")
    if lines[-1].rstrip() != ">" * width + " REPLACE":
        raise _wrong(f"The last line must be {'>' * width} REPLACE.")
    block = lines[2:-1]
    dividers = [n for n, line in enumerate(block) if line.rstrip() == "=" * width]
    if len(dividers) != 1:
        raise _wrong(_divider_fault(len(dividers), width))
    search, replace = block[: dividers[0]], block[dividers[0] + 1 :]
    return {
        "path": lines[0].strip(),
        "search": join_lines(search),
        "replace": join_lines(replace),
    }


def write_body(arguments: dict[str, str]) -> str:
    """The body of these arguments; a last newline that either side lacks is added."""
    search, replace = split_lines(arguments["search"]), split_lines(arguments["replace"])
    taken = {line.rstrip() for line in [*search, *replace]}
    width = _SHORTEST
    while "=" * width in taken:
        width += 1
    return "\n".join(
        [
            arguments["path"],
            "<" * width + " SEARCH",
            *search,
            "=" * width,
            *replace,
            ">" * width + " REPLACE",
        ]
    )


def _width(line: str) -> int | None:
    """The length of the marker that opens a block; None for another line."""
    marker = line.rstrip().removesuffix(" SEARCH")
    opens = len(marker) >= _SHORTEST and marker == "<" * len(marker) and marker != line.rstrip()
    return len(marker) if opens else None


def _divider_fault(found: int, width: int) -> str:
    if not found:
        return f"There is no line {'=' * width} between the two sides."
    return (
        f"There are {found} lines {'=' * width}, so it is not clear which one divides the block. "
        "Edit one place in each call; if the text itself holds such a line, make all three "
        "markers longer, each by the same number of characters."
    )


def _wrong(fault: str) -> FormatError:
    return FormatError(f"{fault} The body of edit is:\n{TEXT_USAGE}", "malformed_body")
