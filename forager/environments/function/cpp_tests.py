"""Test code in C++: compiled with the program, so the two are not kept apart.

Each assertion is counted, by functions whose names hold a secret and that stand before the program,
whose macros end where the tests begin. A test counts as passed if its `main` returned and all
assertions held, which the destructor of a local object tells by printing the secret. A second
program has the opposite assertions, one of which must fail: whoever leaves early or prints what
passing tests print passes both, and is refused.
"""

import re

_MAIN = re.compile(r"\bint\s+main\s*\([^)]*\)\s*\{")
_NEGATED = re.compile(r"\bif\s*\(\s*!\s*\(")  # of MBXP: if (!(compare(…))) throw …
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include\b.*$", re.MULTILINE)
_NAME = re.compile(r"\b[a-z]\w*")
_KEPT = {  # what no program may define, and macros that the tests may use
    *("and", "and_eq", "bitand", "bitor", "compl", "defined", "not", "not_eq", "or", "or_eq"),
    *("xor", "xor_eq", "assert", "errno", "offsetof", "setjmp", "va_arg", "va_end", "va_start"),
}
_CHECKS = """
namespace {{
int forager_{token}_held, forager_{token}_wrong;
template <class Truth> bool forager_{token}_not(const Truth &truth) {{
  const bool fails = (truth ? true : false) == {opposite};
  ++(fails ? forager_{token}_wrong : forager_{token}_held);
  return fails;
}}
template <class Truth> void forager_{token}_assert(const Truth &truth) {{
  if (!forager_{token}_not(truth)) return;
  __builtin_puts("\\n{token} wrong");
  __builtin_exit(1);
}}
struct forager_{token} {{
  ~forager_{token}() {{
    if (forager_{token}_held && !forager_{token}_wrong) __builtin_puts("\\n{token}");
  }}
}};
}}
"""
_ASSERT = "\n#undef assert\n#define assert(...) ::forager_{token}_assert((__VA_ARGS__))\n"
CAVEAT = (
    "tests and program ran in one process, which a program that reads its own tests could forge"
)


def with_tests(program: str, tests: str, token: str, *, opposite: bool = False) -> str:
    """The program with its tests. Raises ValueError if the tests have no `int main()`."""
    found = _MAIN.search(tests)
    if not found:
        raise ValueError("the tests have no `int main() {`")
    checks = _CHECKS.format(token=token, opposite=str(opposite).lower())
    ended = "".join(f"#undef {name}\n" for name in sorted({*_NAME.findall(tests)} - _KEPT))
    before, body = tests[: found.start()], tests[found.end() :]
    *_, place = [0, *(include.end() for include in _INCLUDE.finditer(before))]
    return (
        f"{checks}{program}\n{ended}{before[:place]}{_ASSERT.format(token=token)}{before[place:]}"
        f"{found[0]} forager_{token} forager_{token}_end;"
        + _NEGATED.sub(f"if (::forager_{token}_not(", body)
    )


def has_passed(output: str, token: str) -> bool:
    """Whether the tests came to their end, and all assertions held."""
    return f"\n{token}\n" in output


def has_failed(output: str, token: str) -> bool:
    """Whether an assertion did not hold."""
    return f"\n{token} wrong\n" in output
