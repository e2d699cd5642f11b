"""The encoding of a file's text: models write UTF-8, old files hold other bytes."""

import codecs
import re

UTF_8 = "utf-8"
LATIN_1 = "iso8859-1"

# Those that keep ASCII and are decoded in time that grows with the text.
_KNOWN = {
    *(f"iso8859-{number}" for number in (*range(1, 12), *range(13, 17))),
    *(f"cp{number}" for number in (*range(1250, 1259), 437, 850, 852, 866, 932, 949, 950)),
    *("koi8-r", "koi8-u", "mac-roman", "gbk", "gb2312", "gb18030", "big5", "euc_kr", "euc_jp"),
    *("shift_jis", "shift_jis_2004", "euc_jis_2004"),
}
_DECLARED = re.compile(rb"\A(?:[^\n]*\n)?[^\n]{0,200}?coding[:=][ \t]*([-\w.]{1,40})")
_OF_UTF_8 = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)


def encoding_of(content: bytes) -> str:
    """UTF-8, the encoding that the text declares, or Latin-1.

    Text in UTF-8 with some other bytes counts as UTF-8, though it cannot be decoded.
    """
    if _decodes(content, UTF_8):
        return UTF_8
    declared = _declared(content)
    if declared in _KNOWN and _decodes(content, declared):
        return declared
    return UTF_8 if _OF_UTF_8.search(content) else LATIN_1


def _declared(content: bytes) -> str:
    """The name that Python's codecs have for the declared encoding; empty without any."""
    found = _DECLARED.match(content[:1000])
    try:
        return codecs.lookup(found[1].decode()).name if found else ""
    except (LookupError, ValueError):
        return ""


def _decodes(content: bytes, encoding: str) -> bool:
    """Whether the content is text in this encoding, and comes back byte for byte."""
    try:
        return content.decode(encoding).encode(encoding) == content
    except ValueError:
        return False
