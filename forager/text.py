"""Text that a program or a model wrote, made fit for a terminal, an error or a note."""

import re

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[ -/]*[0-~])?")
_UNSEEN = {*range(32), *range(127, 160)} - {ord("\n"), ord("\t")}
# Characters that turn the reading direction can make text look like another text.
_UNSEEN |= {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_CONTROL = dict.fromkeys(_UNSEEN, "\N{REPLACEMENT CHARACTER}")
_LINES, _COLUMNS = 3, 200  # of the end of a text


def safe(text: str) -> str:
    """The text without escape sequences; other control characters become visible."""
    plain = _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return plain.translate(_CONTROL)


def ending(text: str) -> str:
    """The last lines that are not blank, in one line of at most 600 characters."""
    lines = [" ".join(line.split()) for line in safe(text).split("\n")]
    last = [line for line in lines if line][-_LINES:]
    return " | ".join(line[:_COLUMNS] for line in last) or "it printed nothing"
