"""Text that a program or a model wrote, made fit for a terminal, an error or a note."""

import json
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[ -/]*[0-~])?")
_UNSEEN = {*range(32), *range(127, 160)} - {ord("\n"), ord("\t")}
# Characters that turn the reading direction can make text look like another text.
_UNSEEN |= {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_UNSEEN |= {0x2028, 0x2029, *range(0xD800, 0xE000)}  # line breaks for some; not to be encoded
_HIDDEN_IN_JSON = {code: f"\\u{code:04x}" for code in _UNSEEN if code > 31}
_CONTROL = dict.fromkeys(_UNSEEN, "\N{REPLACEMENT CHARACTER}")
_LINES, _COLUMNS = 3, 200  # of the end of a text


def safe(text: str) -> str:
    """The text without escape sequences; other control characters become visible."""
    plain = _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return plain.translate(_CONTROL)


def safe_json(text: str) -> str:
    """A JSON text that shows characters as escapes which a terminal might obey."""
    return text.translate(_HIDDEN_IN_JSON)


def json_text(value: Any) -> str:
    """A value as JSON for people and terminals."""
    return safe_json(json.dumps(value, indent=2, ensure_ascii=False))


def known_words(word: str, known: Iterable[str], *, most: int | None = None) -> str:
    """What a message about an unknown word ends with: the one that was meant, or all there are.

    At most `most` are listed.
    """
    words = list(known)
    close = get_close_matches(word, words, 1)
    if close:
        return f"did you mean {close[0]!r}?"
    more = ", …" if most is not None and len(words) > most else ""
    return f"there are {', '.join(words[:most])}{more}"


def without_middle(text: str, most: int) -> str:
    """The text; one of more than `most` characters loses its middle."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters left out …]\n{text[-half:]}"


def ending(text: str) -> str:
    """The last lines that are not blank, in one line of at most 600 characters."""
    lines = [" ".join(line.split()) for line in safe(text).split("\n")]
    last = [line for line in lines if line][-_LINES:]
    return " | ".join(line[:_COLUMNS] for line in last) or "it printed nothing"
