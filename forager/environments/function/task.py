"""A programming problem: write a program that passes all cases."""

from typing import Literal

from pydantic import Field

from forager.environments.function.running import Language, Library
from forager.environments.task import Task
from forager.records import Record

CODING = "coding"


class JudgedCase(Record):
    """What a program gets, and what is expected of it.

    A program reads `stdin` and prints `expected`. A function gets `arguments` and returns
    `returns`, both as Python writes them.
    """

    stdin: str = ""
    expected: str = ""
    arguments: str = ""
    returns: str = ""


class Checker(Record):
    """A program that judges an output: `checker INPUT OUTPUT EXPECTED`, three names of files.

    Exit code 0 accepts (as with testlib), 1 and 2 refuse; any other one is the checker's fault.
    """

    text: str
    language: Language = "python"


class CodingTask(Task):
    """A problem with cases, or with test code."""

    environment: str = CODING
    language: Language = "python"
    starter_code: str = Field("", description="Signature that the program must use.")
    preamble: str = Field("", description="Code that runs before the program, such as imports.")
    libraries: list[Library] = Field([], description="To link with, in C++, such as `crypto`.")
    cases: list[JudgedCase] = []
    function: str = Field(
        "", description="To call, such as `f` or `Solution().f`; for programs empty."
    )
    tests: str = Field(
        "",
        description="Instead of cases: Python with assertions about `candidate` and other names of "
        "the program, or C++ with a `main`.",
    )
    comparison: Literal["lines", "exact", "checker"] = Field(
        "lines",
        description="How outputs are compared: stripped lines, whose words may be equal as decimal "
        "numbers (CWM), to the byte, or by the checker.",
    )
    checker: Checker | None = None
    seconds: float = Field(6.0, gt=0, description="Time limit of a case.")
    memory: int = Field(2_000_000_000, gt=0, description="Bytes of memory of a case.")
    file: str = Field(
        "", description="File that an agent with tools leaves; empty: the program is a message."
    )
    solution: str = Field("", description="A right program, if one is known.")

    def test_groups(self) -> dict[str, list[str]]:
        """The cases, by number."""
        return {"cases": [case_name(number) for number in range(len(self.cases) or 1)]}


def case_name(number: int) -> str:
    """The name of a case in a grade."""
    return f"case {number + 1}"
