"""Runs programs on cases in a sandbox; what is expected of them never goes there.

Many programs with many cases take one command. `forager/programs/cases` says how cases are kept
apart. The sandbox must be a fresh one: it belongs to the programs from then on.
"""

import json
import secrets
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from forager.environments.repository.programs import run_program
from forager.environments.repository.task import TestSetup
from forager.errors import SandboxError
from forager.records import Record
from forager.sandboxes.sandbox import Sandbox
from forager.untrusted import Malformed, Report, unpacked

_COMPILE_SECONDS = 60.0
_OVERHEAD = 1.0  # seconds of a case beyond its limit
_PATIENCE = 4.0  # times its limit that a case may take on a busy machine, see `children.py`
_REPORT = 4096  # bytes around the output of a case
_MOST = 512 << 20  # bytes of all reports

Language = Literal["python", "cpp"]
Library = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.+-]*$")]


class Case(Record):
    """One run of a program: what it gets, and how much it may print."""

    kind: Literal["stdin", "call", "halting", "tests"] = "stdin"
    stdin: str = ""
    files: dict[str, str] = Field({}, description="Texts by the name of a file in its directory.")
    arguments: list[str] | str = Field(
        [], description="Of the program; of a call as Python writes them between the brackets."
    )
    function: str = Field("", description="To call, such as `f` or `Solution().f`.")
    tests: str = Field("", description="Test code in Python.")
    output: int = Field(1 << 20, description="Bytes that it may print.")


class Program(Record):
    """A program and its cases. Seconds and bytes of memory are limits of one case."""

    text: str
    cases: list[Case]
    language: Language = "python"
    preamble: str = Field("", description="Code that runs before it, and before its tests.")
    libraries: list[Library] = Field([], description="To link with, in C++, such as `crypto`.")
    seconds: float = 6.0
    memory: int = 2_000_000_000
    stop: bool = Field(True, description="Leave out the cases after one that did not end well.")


class CaseReport(Report):
    """What the program in the sandbox reports of a case."""

    program: int
    case: int = Field(description="Number of the case; -1 for the compilation.")
    how: Literal["ended", "time", "memory", "output", "compile"]
    code: int = Field(0, description="Exit code; negative for a signal.")
    cpu: float = 0.0
    seconds: float = 0.0
    memory: int = 0
    output: str = Field("", description="Compressed and in base64.")
    error: str = Field("", description="The end of what it wrote to stderr.")


class CaseResult(Record):
    """What a case did: ended (with exit code 0), crash, time, memory, output, compile or missing.

    Cases after one that did not end well may be missing.
    """

    how: Literal["ended", "crash", "time", "memory", "output", "compile", "missing"]
    output: str = ""
    error: str = ""
    code: int = Field(0, description="Exit code; negative for a signal.")
    seconds: float = 0.0
    memory: int = Field(0, description="Bytes at most.")


_REPORTS = TypeAdapter(CaseReport)
_MISSING = CaseResult(how="missing")


def run_cases(
    sandbox: Sandbox, programs: Sequence[Program], python: str = "python3"
) -> list[list[CaseResult]]:
    """Run each program on its cases; `python` is the interpreter.

    Returns the results in the order of the cases. Raises SandboxError if the sandbox is gone, or
    if the reports are not those of forager's program.
    """
    root = sandbox.elevate()
    directory = f"/tmp/forager-{secrets.token_hex(8)}"
    made = sandbox.run(f"mkdir -m 700 {directory}")
    if made.exit_code:
        raise SandboxError(f"cannot make a directory: {made.output.strip()[:200]}")
    request = f"{directory}/request.json"
    jobs = [_job(sandbox, directory, number, program) for number, program in enumerate(programs)]
    sandbox.write(request, json.dumps(jobs).encode())
    sizes = [case.output * 4 // 3 + _REPORT for program in programs for case in program.cases]
    setup = TestSetup(python=python, workdir="/", variables={})
    sandbox.run('export PATH="${AGENT_PATH:-$PATH}"')
    result = run_program(
        sandbox,
        setup,
        "cases",
        {"request": request, "root": root},
        _REPORTS,
        timeout=sum(map(_seconds, programs)) + 30,
        output_limit=min(_MOST, sum(sizes) + (1 << 16)),
        longest=max(sizes, default=_REPORT),
    )
    if result.problem or result.exit_code:
        raise SandboxError(f"the cases did not run: {result.problem or result.ending}")
    return _sorted(programs, result.reports)


def _seconds(program: Program) -> float:
    """Seconds that a program may take, at most."""
    cases = len(program.cases) * (_PATIENCE * program.seconds + _OVERHEAD)
    return cases + (2 * _COMPILE_SECONDS if program.language == "cpp" else _COMPILE_SECONDS)


def _job(sandbox: Sandbox, directory: str, number: int, program: Program) -> dict[str, object]:
    """A program as the sandbox reads it; its tests are files in the directory, which is root's."""
    cases = []
    for place, case in enumerate(program.cases):
        path = f"{directory}/{number}-{place}.py" if case.kind == "tests" else ""
        if path:
            sandbox.write(path, case.tests.encode())
        cases.append({**case.model_dump(exclude={"tests"}), "tests": path})
    fields = program.model_dump(exclude={"cases"})
    return {**fields, "compile_seconds": _COMPILE_SECONDS, "cases": cases}


def _sorted(programs: Sequence[Program], reports: Sequence[CaseReport]) -> list[list[CaseResult]]:
    """The results by program and case."""
    found = [[_MISSING] * len(program.cases) for program in programs]
    for report in reports:
        if not 0 <= report.program < len(programs):
            raise SandboxError(f"a report names program {report.program} of {len(programs)}")
        results = found[report.program]
        if report.how == "compile":
            results[:] = [CaseResult(how="compile", error=report.error)] * len(results)
        elif 0 <= report.case < len(results):
            most = programs[report.program].cases[report.case].output
            results[report.case] = _result(report, most)
    return found


def _result(report: CaseReport, most: int) -> CaseResult:
    how = "crash" if report.how == "ended" and report.code else report.how
    try:
        output = unpacked(report.output, most) if report.output else ""
    except Malformed:  # not UTF-8
        how, output = "crash" if how == "ended" else how, ""
    signal = f"signal {-report.code}" if report.code < 0 else ""
    return CaseResult(
        how=how,
        output=output,
        error=report.error or signal,
        code=report.code,
        seconds=report.seconds,
        memory=report.memory,
    )
