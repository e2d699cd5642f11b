"""The words by which sentences about a fix and sentences about a bug differ.

In the lists, `*` stands for any letters and `_` for a space.
"""

import re


def words_of(text: str) -> frozenset[str]:
    """The words of a list."""
    return frozenset(text.split())


def _any_of(text: str) -> re.Pattern[str]:
    """A pattern of the words of a list."""
    words = (re.escape(word).replace(r"\*", r"\w*").replace("_", r"\s") for word in text.split())
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)


CHANGES = words_of("""
    add adjust align alter annotate append apply assign assume autoconfigure bring build bump
    cache calculate call cast change check clarify clean cleanup coerce compile compute
    configure consider consolidate convert correct create decode deduplicate default defer
    define delegate delete deprecate derive detect disable do document drop dynamically emit
    enable encode enforce enhance escape exclude expand explain expose extend extract factor
    fetch filter finish flatten force forward gate generalize generate get give guard hoist
    implement import improve include increase inherit initialize inline insert instead introduce
    invoke isolate join let limit load lock log look lower make mark match mention merge migrate
    mirror modify move normalize omit only optimize overhaul override parametrize parse pass
    patch pin populate port prefer prepare propagate provide put quote raise read rebase
    recognize recompute record redirect reduce refactor register reinstate relax release remove
    rename reorder reorganise reorganize replace report represent require reset resort restore
    restrict restructure retry return reuse revert rework rewrite round run separate serialize
    set shorten show simplify simulate singularize skip sort speed speedup split start stop
    store strip subtract support suppress swap switch sync take tell test tidy track treat trim
    truncate try tweak type unify unwrap update upgrade use validate verify warn work workaround
    wrap write
""")
"""What the author of a fix does to code, as base forms."""

WANTS = words_of("""
    accept allow always avoid catch continue cover deal don't ensure handle honor honour ignore
    keep never permit preserve prevent reject respect
""")
"""What the author of a fix makes the program do."""

ALSO_OF_PROGRAMS = words_of(
    "work configure do emit get give match raise report return show support"
)
"""Verbs of CHANGES that programs do as well: "it should return 1" tells no change."""

ALSO_NOUNS = words_of("""
    cache call check default do filter format get import lock log mark match only patch raise
    release report result return round run set show start support type
""")
"""Words of CHANGES that are nouns as well, so that they begin no clause."""

IRREGULAR = {  # base forms of verbs
    "made": "make", "put": "put", "took": "take", "wrote": "write", "written": "write",
    "rewrote": "rewrite", "gave": "give", "ran": "run", "got": "get", "kept": "keep",
    "brought": "bring", "built": "build", "caught": "catch", "sent": "send", "did": "do",
    "does": "do", "done": "do",
}  # fmt: skip

FAILURE = _any_of("""
    *error *errors *exception *exceptions *recursion *warning *warnings break* broken bug bugs
    buggy corrupt* crash* duplicate* fail* hang* incorrect* infinite* leak* lose loses losing
    loss lost raise raises raising regress* timeout* traceback* wrong*
""")
"""What goes wrong."""

SYMPTOM = _any_of("""
    *n't NaN None always although before but cannot double even_though expect* gave gives has_no
    however if ignore ignored inconsistent* instead_of invalid* issue mangl* miss* never no_such
    not previously problem* produc* raised recurs* return returned returns should still too
    truncated twice unable unexpected* used_to was were when* without
""")
"""What tells that something goes wrong, if nothing is named that does."""

CHORE = _any_of("""
    annotation* appveyor black* changelog changes ci cleanup comment* conflict* copyright
    coverage doc docs docstring* doctest* documentation flake* flow format formatting gha
    grammar import imports indent* isort lint* merge mypy news pep8 pre-commit pytest readme
    release review ruff setup spelling style suggestion* test tested testing tests tox travis
    type_hint* typing typo* unittest* version warning* whitespace wip build
""")
"""What a commit is about that changes nothing for a user."""
