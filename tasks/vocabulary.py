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
    abort add adjust align alter annotate append apply assign assume autoconfigure bring build
    bump bypass cache calculate call cancel cast change check clarify clean cleanup clear coerce
    compare compile compute configure consider consolidate convert copy correct create decode
    deduplicate default defer define delay delegate delete deprecate derive detach detect
    disable do document drop dynamically embed emit emulate enable encode enforce enhance escape
    evaluate exclude expand explain expose extend extract factor fetch filter finish flatten
    flush force forward free gate generalize generate get give guard hash hide hoist implement
    import improve include increase inherit initialize inline insert instead introduce
    invalidate invoke isolate iterate join let limit load lock log look lookup lower make mark
    match memoize mention merge migrate mirror mock modify move normalize omit only optimize
    overhaul override parameterize parametrize parse pass patch pin populate port preallocate
    prefer prepare propagate provide pull push put quote raise read rebase recognize recompute
    record redirect reduce refactor refuse register reimplement reinstate relax release reload
    rely remove rename reorder reorganise reorganize replace report represent require reset
    resolve resort restore restrict restructure retry return reuse revert rework rewrite round
    run sanitise sanitize search select send separate serialize set shield shorten show simplify
    simulate singularize skip sort specify speed speedup split start stop store strip substitute
    subtract support suppress swap switch sync tag take tell test throttle throw tidy track
    treat trim truncate try tweak type unify unquote unregister unset unwrap update upgrade use
    validate verify wait warn work workaround wrap write
""")
"""What the author of a fix does to code, as base forms."""

WANTS = words_of("""
    accept allow always avoid catch continue cover deal don't ensure handle honor honour ignore
    keep never permit preserve prevent reject respect
""")
"""What the author of a fix makes the program do."""

ALSO_OF_PROGRAMS = words_of("""
    compare configure do emit evaluate get give match raise report resolve return send show support
    throw wait work
""")
"""Verbs of CHANGES that programs do as well: "it should return 1" tells no change."""

ALSO_NOUNS = words_of("""
    cache call check copy default delay do filter format get hash import lock log lookup mark
    match only patch raise release report result return round run search set show start support
    tag type
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
