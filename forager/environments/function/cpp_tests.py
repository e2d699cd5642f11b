"""Test code in C++: compiled with the program, so the two are not kept apart.

A test counts as passed if its `main` returned, which the destructor of a local object tells by
printing a token. A second program has the opposite assertions, one of which must fail: whoever
leaves early or prints what passing tests print passes both, and is refused.
"""

import re

_MAIN = re.compile(r"\bint\s+main\s*\([^)]*\)\s*\{")
_NEGATED = re.compile(r"\bif\s*\(\s*!\s*\(")  # of MBXP: if (!(compare(…))) throw …
_DONE = """
namespace {{ struct forager_done {{ ~forager_done() {{ __builtin_puts("\\n{token}"); }} }}; }}
"""
_OPPOSITE = """
#undef assert
#define assert(...) do { if (__VA_ARGS__) __builtin_abort(); } while (0)
"""
CAVEAT = (
    "tests and program ran in one process, which a program that reads its own tests could forge"
)


def with_tests(program: str, tests: str, token: str, *, opposite: bool = False) -> str:
    """The program with its tests. Raises ValueError if the tests have no `int main()`."""
    found = _MAIN.search(tests)
    if not found:
        raise ValueError("the tests have no `int main() {`")
    before, body = tests[: found.start()], tests[found.end() :]
    if opposite:
        body = _NEGATED.sub("if ((", body)
    head = _DONE.format(token=token) + (_OPPOSITE if opposite else "")
    return f"{program}\n{before}{head}{found[0]} forager_done forager_is_done;{body}"


def has_passed(output: str, token: str) -> bool:
    """Whether the tests came to their end."""
    return f"\n{token}\n" in output
