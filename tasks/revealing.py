"""How much of a fix and of its hidden tests a problem statement reveals.

What a solver has to know does not count: values, and the names that the tests use of the project.
What is left of the fix are the names and phrases that it introduces; what is left of the tests is
their own wording, such as helpers, local names and comments.
"""

import ast
import builtins
import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from forager.environments.repository.mutation import Revealed
from forager.mutation.names import telling_lines
from tasks.settings import IssueFixSettings
from tasks.vocabulary import words_of

_WORD = re.compile(r"[A-Za-z_]\w*")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_TOKEN = re.compile(  # a string, which is a value; else a word or number
    r"""(?<!\w)[rbfuRBFU]{0,2}(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")|\w+"""
)
_ENDINGS = ("ically", "ations", "ation", "ingly", "ions", "ally", "ings", "ion", "ing", "ies",
            "ely", "ed", "es", "er", "ly", "al", "ic", "e", "s", "y")  # fmt: skip
_SHORTEST = 4  # letters of a word that can tell something
_PHRASE = 3  # words in a row that make a phrase
_LONGEST = 40  # words; longer runs are not told apart
_COMMON = words_of("""
    about above after again against all also and any are because been before being below
    between both but call called can cannot case check code could current currently
    different does done down each else error errors even every exact exactly example
    expected fail fails false file first fix fixed fixes for from function further given
    handle has have here how into its just know last like line list make many may method
    might more most must need needs never new none not now object old one only other
    otherwise over own pass passed passing please possible result results return returned
    returns same self several should since some still string such support test tests than
    that the their them then there these they this those through time true two type under
    until use used user uses using value values very want was way well were what when where
    whether which while will with without work working works would wrong you
""")


class FixWords:
    """The words that a fix introduces, and those of its hidden tests."""

    def __init__(
        self, patch: str, test_patch: str, *, old: str = "", tests: Mapping[str, str]
    ) -> None:
        """`old` is the code before the fix, `tests` are the fixed test files by path."""
        self._added = "\n".join(_lines(patch, "+"))
        self._quotable = telling_lines("\n".join(f"+{line}" for line in _lines(patch, "+")))
        self._old = "\n".join([old, *_lines(patch, " -")])
        self._hidden = "\n".join(_lines(test_patch, "+"))
        self._needed = {name for text in tests.values() for name in _foreign(text)}
        self.names = (
            _code_words(self._added) - set(_WORD.findall(self._old)) - self._needed - _KEYWORDS
        )
        """The names that the fix introduces and that the tests do not need."""

    @cached_property
    def _said(self) -> set[str]:
        """The stems in what the tests need: names and texts."""
        texts = filter(_is_string, _TOKEN.findall(self._hidden))
        return set(_stems(" ".join([*self._needed, *texts])))

    @cached_property
    def _new_stems(self) -> set[str]:
        known = {*_stems(self._old), *self._said, *_COMMON_STEMS}
        return {stem for stem in _stems(self._added) if len(stem) >= _SHORTEST - 1} - known

    @cached_property
    def _new_phrases(self) -> set[tuple[str, ...]]:
        known = set(_phrases(self._old))
        found = {phrase for line in self._added.split("\n") for phrase in _phrases(line)}
        return {phrase for phrase in found - known if not self._said.issuperset(phrase)}

    def named(self, text: str) -> list[str]:
        """The names of the fix in a text; a plain word counts where it stands as code."""
        found = dict.fromkeys(word for word in _WORD.findall(text) if word in self.names)
        return [name for name in found if not _is_plain(name) or _stands_as_code(name, text)]

    def quoted(self, text: str) -> Sequence[str]:
        """The lines of the fix in a text."""
        flat = " ".join(text.split())
        return [line for line in self._quotable if line in flat]

    def reveals(self, sentence: str, strict: bool) -> bool:
        """Whether a sentence names or paraphrases the fix; strictly, one word is enough."""
        if self.named(sentence) or self.quoted(sentence):
            return True
        if not self._new_phrases.isdisjoint(_phrases(sentence)):
            return True
        return len(self._new_stems.intersection(_stems(sentence))) > (0 if strict else 1)

    def measure(self, text: str) -> Revealed:
        """How much a text reveals."""
        share = len(self.named(text)) / len(self.names) if self.names else 0.0
        return Revealed(
            names=round(share, 3),
            fix_run=_longest_run(_tokens(text), _tokens(self._added), _tokens(self._old)),
            test_run=_longest_run(self._free(text), self._free(self._hidden), []),
        )

    def problem(self, text: str, limits: IssueFixSettings, *, before_tests: bool = False) -> str:
        """What a text reveals beyond the limits, as a message to its author; "" if nothing.

        A text that is older than the tests may share their words: the tests have them from it.
        """
        found = self.measure(text)
        if found.names > limits.max_fix_names:
            return f"It uses names that only the change has: {', '.join(self.named(text))}."
        if found.fix_run > limits.max_fix_run:
            return f"It repeats {found.fix_run} words of the change in a row."
        if not before_tests and found.test_run > limits.max_test_run:
            return f"It repeats {found.test_run} words of the tests' code in a row."
        return ""

    def _free(self, text: str) -> list[str]:
        """The tokens of a text, without values and needed names."""
        needed = self._needed | {"True", "False", "None"}
        return [token for token in _tokens(text) if token not in needed]


def _lines(patch: str, marks: str) -> Iterator[str]:
    """The lines of a patch's hunks that have one of the marks, without it."""
    for line in patch.split("\n"):
        if line[:1] and line[0] in marks and not line.startswith(("+++ ", "--- ")):
            yield line[1:]


def _tokens(text: str) -> list[str]:
    """The words of a text, without strings and numbers."""
    found = _TOKEN.findall(text)
    return [token for token in found if not token[0].isdigit() and token[-1] not in "'\""]


def _is_string(token: str) -> bool:
    return token[-1] in "'\""


def _code_words(text: str) -> set[str]:
    """The words of code, without comments, strings and keywords; the lines may be incomplete."""
    bare = _TOKEN.sub(lambda found: "''" if _is_string(found[0]) else found[0], text)
    return set(_WORD.findall(re.sub(r"#.*", "", bare))) - _KEYWORDS


_KEYWORDS = frozenset([*keyword.kwlist, *dir(builtins), "self", "cls"])


def _stems(text: str) -> list[str]:
    """The stems of a text's words; names are taken apart: `maxSize_of` has three."""
    return [_stem(part.lower()) for part in _PART.findall(text)]


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST - 1:
            return word.removesuffix(ending)
    return word


_COMMON_STEMS = frozenset(map(_stem, _COMMON))


def _phrases(text: str) -> list[tuple[str, ...]]:
    """The runs of words in a text that have at least two words that are not common."""
    stems = _stems(text)
    runs = zip(*(stems[start:] for start in range(_PHRASE)), strict=False)
    return [run for run in runs if len({*run} - _COMMON_STEMS) > 1]


def _is_plain(name: str) -> bool:
    return name.isalpha() and (name.islower() or name.istitle())


def _stands_as_code(name: str, text: str) -> bool:
    return bool(re.search(rf"[`'\".=(\[]{name}\b|\b{name}(?:[`'\"=(\[]|\.\w)", text))


def _foreign(text: str) -> set[str]:
    """The names that a test file uses and does not define: imports, attributes, keywords."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):
        return set()
    used: set[str] = set()
    own: set[str] = set()
    for node in nodes:
        match node:
            case ast.Name(id=name):
                (used if isinstance(node.ctx, ast.Load) else own).add(name)
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                own.add(name)
            case ast.arg(arg=name):
                own.add(name)
            case ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                used.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                used.update(part for alias in names for part in alias.name.split("."))
            case _:
                pass
    return used - own


def _longest_run(text: Sequence[str], source: Sequence[str], known: Sequence[str]) -> int:
    """Length of the longest run that a text shares with the source and not with `known`."""
    longest = 0
    all_tokens = (text, source, known)
    starts = [list(range(len(tokens))) for tokens in all_tokens]
    for length in range(1, _LONGEST + 1):
        grams = [
            {start: tuple(tokens[start : start + length]) for start in places}
            for tokens, places in zip(all_tokens, starts, strict=True)
        ]
        shared = {gram for gram in grams[0].values() if len(gram) == length}
        shared &= set(grams[1].values())
        if not shared:
            break
        if shared - set(grams[2].values()):
            longest = length
        starts = [[start for start, gram in found.items() if gram in shared] for found in grams]
    return longest
