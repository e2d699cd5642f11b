"""What a text of a fix's author says of the bug, apart from what it says of the fix.

A commit's message and a changelog tell both. Each sentence is judged alone: one that orders or
tells a change ("Replace X with Y", "X now uses Y") is about the fix; one that tells a symptom ("X
fails when …", "returns 1 instead of 2") is about the bug; others, such as "Fix style", say nothing.
"""

import re
from collections.abc import Callable, Iterator

from tasks.vocabulary import (
    ALSO_NOUNS,
    ALSO_OF_PROGRAMS,
    CHANGES,
    CHORE,
    FAILURE,
    IRREGULAR,
    SYMPTOM,
    WANTS,
)

_LONGEST = 1 << 16  # characters of a text
_LONGEST_LINE = 2000  # of a sentence; patterns take quadratic time on some texts
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d+[.)]|#\.)\s+")
_HEADING = re.compile(
    r"^(?:#{1,6}\s+(.+?)\s*#*|\*\*(.+?)\*\*:?|([A-Z][\w']*(?:\s[A-Z][\w']*){0,4}):)$"
)
_SHOWN = re.compile(r">>>|\w(?:Error|Exception|Warning)\b|Traceback")
_RULER = re.compile(r"^[-=~*_#]{3,}$")
_OF_THE_FIX = re.compile(
    r"\b(?:solutions?|fix(?:es)?|changes?|changed|chang\w*log|implementation|approach|tests?|testing|plan"
    r"|checklist|notes?|done|added|new|how|todo|improvements?|features?|details)\b",
    re.IGNORECASE,
)
_CODE = re.compile(r"^(?:\s{4,}|\t|>>>|\.\.\. |```|~~~)")
_END = re.compile(r"(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)(?<=[.!?])\s+(?=[A-Z`\"'(\[])")
_PLACE = re.compile(  # what stands before a subject: a type, a scope, a number of an issue
    r"^(?:\[[^\]]{1,30}\]:?\s*|\([^)]{1,30}\):?\s*|(?!\w*(?:Error|Exception|Warning):)[\w./-]{1,40}(?:\([^)]*\))?!?:\s+"
    r"|fix(?:e[sd])?\s*(?:--?|:|–)\s+|(?:(?:fix|close|resolve|address|ref)(?:e?[sd])?|see|for|issue|bug|re)?:?\s*"
    r"(?:gh-|gl-|\w*#|https?://\S+/)\d+\)?[\s:,.-]*)+",
    re.IGNORECASE,
)
_LINK = re.compile(r"\s*\(?(?:(?:see|at|in):?\s*)?<?https?://[^\s)>]+[>)]*", re.IGNORECASE)
_FEATURE = re.compile(
    r"^(?:feat(?:ure)?|refactor|perf|chore|docs?|tests?|style|ci|build|revert)\b[^:]{0,30}:"
)
_NUMBERS = re.compile(
    r"\s*\(?(?<!\w)(?:(?:fix(?:es|ed)?|close[sd]?|resolve[sd]?|targets?|refs?|see|issue)\s+)?"
    r"(?:gh-|\w*#|issue)\d+\)?(?=[\s.,;)]|$)",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"^(?:also|additionally|and|or|but|then|finally|just|simply|properly|correctly|really|better|so"
    r"|please|first(?:ly)?|second(?:ly)?|further(?:more)?|besides|temporarily|explicitly|always|to"
    r"|now|instead|quick|small|minor|(?:we|i)(?:'ve|'ll)?(?: (?:now|can|should|will|have|also))*"
    r"|(?:this|the)(?: \w+)?? (?:commit|change|patch|pr|mr|fix|"
    r"pull request|solution|update|release|version)(?: (?:now|also|will))?|this(?: also)?)\b,?\s+",
    re.IGNORECASE,
)
_ACTOR = re.compile(
    r"^(?:(?:this|the|my) (?:\w+ )?(?:commit|change|patch|pr|mr|pull request|solution|update"
    r"|release|version|fix)\b|instead\b|now\b|to (?:fix|solve|resolve|address)\b)",
    re.IGNORECASE,
)
_AFTER = re.compile(  # tells the state after the fix
    r"\b(?:now|ha(?:s|ve) been|no longer|as of|starting with|from now on|new(?:ly)?"
    r"|any ?more|th(?:is|ese) (?:patch|commit|changes?|pr|pull request)"
    r"|(?:is|are|was|were) (?:\w+ly )?(?:solved|fixed|resolved|addressed|replaced|reworked))\b",
    re.IGNORECASE,
)
_GERUND = re.compile(  # "Parsing dates fails" tells no change; "Parsing dates that …" may
    r"^\w+ing\b(?:(?!\b(?:that|which|tests?)\b)[^.;:])*?\b(?:fails|raises|crash|crashes|breaks|returns"
    r"|gives|hangs|leaks|loses|does|doesn't|is|isn't|was|are|leads|causes|results|could|would)\b"
)
_FIXES_A_BUG = re.compile(rf"\bfix(?:es|ed)? (?:\w+ ){{0,3}}{FAILURE.pattern}", re.IGNORECASE)
_MUST = re.compile(
    r"\b(?:should|must|needs? to|ha(?:s|ve) to|ought to|want to|lets? us|in order to|can"
    r"|(?:fix|solution|idea|trick) (?:is|was) to)\s+(?:now |be |have been |also )*(\w+)",
    re.IGNORECASE,
)
_MEANS = re.compile(  # the part of a sentence from which it may tell how; group 1: it surely does
    r"(?:\s*[,;:(–—]|\s+-+)?\s+(?:((?:by|via|through)\s+(?:\w+ly\s+)?\w+ing)|using|with|via|through"
    r"|thanks to|which)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"(?:\s*[;,:(–—]\s*|\s+-+\s+|\s+)(?:(?:and|but|so|then|thus|therefore|also|now|we|to|it|instead)\s+)*"
    r"([\w']+)"
)
_BREAKS = re.compile(r"[;,:(–—]|\s-+\s|\b(?:so|then|thus|therefore|instead)\b")
_BREAKS_OF_FIX = re.compile(rf"{_BREAKS.pattern}|\b(?:and|but|to)\b")


def about_the_bug(text: str, reveals: Callable[[str, bool], bool]) -> tuple[str, int]:
    """The sentences of a text that tell of the bug, and the number of those left out.

    `reveals` says whether a sentence names what the fix introduces; it is strict (True) about
    sentences that tell what should happen.
    """
    kept: list[str] = []
    known: set[str] = set()  # a squash and a changelog repeat what a subject says
    dropped = 0
    was_kept = False
    for mark, sentences in _blocks(text):
        if _CODE.match(sentences[0]):
            is_seen = was_kept and _SHOWN.search(sentences[0]) and not reveals(sentences[0], False)
            told = [sentences[0] if is_seen else ""]
        else:
            told = [_told(sentence, reveals) for sentence in sentences]
            was_kept = any(told)
        dropped += told.count("")
        new = [said for said in told if said and _key(said) not in known]
        known.update(map(_key, new))
        if new:
            kept.append(mark + " ".join(new))
    joined = "".join(
        ("\n" if block.startswith("- ") and before.startswith("- ") else "\n\n") + block
        for before, block in zip(["", *kept], kept, strict=False)
    )
    return joined.strip(), dropped


def prescriptions(text: str) -> list[str]:
    """The sentences of a text that say what to change."""
    return [
        sentence
        for _, sentences in _blocks(text)
        for sentence in sentences
        if len(sentence) <= _LONGEST_LINE and not _CODE.match(sentence)
        if _is_change(_bare(sentence))
    ]


def _told(sentence: str, reveals: Callable[[str, bool], bool]) -> str:
    """A sentence without what it says of the fix; empty if nothing is left."""
    if len(sentence) > _LONGEST_LINE:
        return ""
    said = _NUMBERS.sub("", _LINK.sub("", sentence)).strip()
    if _FEATURE.match(said):
        return ""
    bare = _bare(said)
    if _is_change(bare):
        return ""
    bare = _without_means(bare, reveals)
    is_wanted = _verb(bare) in WANTS
    if not _says_something(bare) or (is_wanted and not FAILURE.search(bare)):
        return ""
    return "" if reveals(bare, is_wanted) else _capital(bare.rstrip(" ,;"))


def _is_change(bare: str) -> bool:
    """Whether a sentence, without what stands before its subject, orders or tells a change."""
    if _ACTOR.match(bare) and not _FIXES_A_BUG.search(bare):
        return True
    lead = bare
    while (shorter := _LEAD.sub("", lead)) != lead:
        lead = shorter
    if _verb(lead) in CHANGES and not _GERUND.match(lead):
        return True
    if any(
        _base(found) in CHANGES and _base(found) not in ALSO_OF_PROGRAMS
        for found in _MUST.findall(bare)
    ):
        return True
    return bool(_AFTER.search(bare))


def _without_means(bare: str, reveals: Callable[[str, bool], bool]) -> str:
    """Cut a sentence where it begins to tell how: "Fix X by doing Y", "X fails; use Y".

    Empty if what is left is only a condition.
    """
    end = len(bare)
    for found in _MEANS.finditer(bare):
        is_how = _verb(bare) == "fix" and found[1]
        if is_how or reveals(bare[found.start() :], False):
            end = found.start()
            break
    breaks = _BREAKS_OF_FIX if _verb(bare) == "fix" else _BREAKS
    for clause in _CLAUSE.finditer(bare):
        word = clause[1].lower()
        is_broken = breaks.search(clause[0].removesuffix(clause[1]))
        if is_broken and word in CHANGES and word not in ALSO_NOUNS:
            end = min(end, clause.start())
            break
    if end == len(bare):
        return bare
    left = bare[:end].rstrip(" ,;:(-–—")
    return "" if _CONDITION.match(left) and "," not in left else left


_CONDITION = re.compile(r"(?:when|if|while|since|because|as|although|for|in|on|to|not|so)\b", re.I)


def _says_something(bare: str) -> bool:
    words = re.findall(r"\w[\w']*", bare)
    if len(words) < 3 or (len(words) < 14 and CHORE.search(bare)):
        return False
    return _base(words[0]) == "fix" or bool(FAILURE.search(bare) or SYMPTOM.search(bare))


def _bare(sentence: str) -> str:
    """A sentence without a commit's type and scope and numbers of issues before it."""
    return _PLACE.sub("", sentence.lstrip(" ,;:.")).strip()


def _verb(sentence: str) -> str:
    found = re.match(r"[\"'(]*([A-Za-z]+(?:'t)?)", sentence)
    return _base(found[1]) if found else ""


def _base(word: str) -> str:
    """The base form of a verb as far as the lists have it: "replaced" is "replace"."""
    word = word.lower()
    word = IRREGULAR.get(word, word)
    for ending in ("", "s", "es", "ed", "d", "ing", "ies", "ied"):
        stem = word.removesuffix(ending) if ending else word
        if ending and stem == word:
            continue
        undoubled = stem[:-1] if stem[-1:] == stem[-2:-1] else stem
        for base in (stem, f"{stem}e", undoubled, f"{stem}y"):
            if base in _VERBS:
                return base
    return word


_VERBS = {*CHANGES, *WANTS, "fix"}


def _key(sentence: str) -> str:
    return re.sub(r"\W+", " ", sentence).strip().lower()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] if re.match(r"[a-z]+[ ,]", text) else text


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """The paragraphs and bullets of a text as sentences, each with its mark.

    Headings are left out, and with them what stands under one such as "Solution".
    """
    skipped = False
    for paragraph in re.split(r"\n\s*\n", text[:_LONGEST]):
        lines = [line.rstrip() for line in paragraph.split("\n") if line.strip()]
        units: list[tuple[str, list[str]]] = []
        for line in lines:
            if _RULER.match(line.strip()):
                continue
            if len(line) <= _LONGEST_LINE and (heading := _HEADING.match(line.strip())):
                skipped = bool(_OF_THE_FIX.search(next(filter(None, heading.groups()))))
            elif skipped:
                continue
            elif _BULLET.match(line):
                units.append(("- ", [_BULLET.sub("", line)]))
            elif _CODE.match(line) and (not units or units[-1][0] == ""):
                units.append(("", [line])) if not units else units[-1][1].append(line)
            elif units:
                units[-1][1].append(line.strip())
            else:
                units.append(("¶", [line.strip()]))
        for mark, told in units:
            if mark == "":
                yield "", ["\n".join(told)]
            else:
                yield (
                    mark.strip("¶"),
                    [part for part in _END.split(_with_single_blanks(told)) if part],
                )


def _with_single_blanks(lines: list[str]) -> str:
    """The lines as one; patterns try each blank of a run."""
    return " ".join(" ".join(lines).split())
