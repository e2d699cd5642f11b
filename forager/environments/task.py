"""The task: a superset of a SWE-bench instance (https://www.swebench.com, data set card)."""

import json
from typing import Any

from pydantic import ConfigDict, Field, field_validator

from forager.environments.repository.logs import PARSERS
from forager.records import Record
from forager.sandboxes.sandbox import WORKDIR


class TestSetup(Record):
    """How the tests of an image are run; copied into each of its tasks."""

    __test__ = False  # not a test class, whatever pytest makes of its name

    workdir: str = Field(WORKDIR, description="Directory of the repository in the container.")
    python: str = Field("/opt/venv/bin/python", description="Interpreter that runs the tests.")
    arguments: list[str] = Field([], description="Arguments of pytest, test paths among them.")
    variables: dict[str, str] = Field({}, description="Environment variables of the test run.")
    protected: list[str] = Field(
        [], description="Paths of the tests and their configuration; a patch to them is ignored."
    )
    timeout: float = Field(300, description="Seconds that the whole suite may take.")
    memory: int = Field(2 << 30, description="Bytes of memory that the tests need at most.")
    command: str = Field(
        "",
        description="Shell text that runs the tests instead (python and arguments are not used); "
        "for tasks of data sets that say how they are evaluated.",
    )
    parser: str = Field("pytest", description="Reader of the command's log; see logs.PARSERS.")

    @field_validator("parser")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in PARSERS:
            raise ValueError(f"there is no parser {value!r}; there are {', '.join(PARSERS)}")
        return value


class Difficulty(Record):
    """What can be said of how hard a bug is to find; filters choose by it."""

    failing: int = Field(0, description="Tests that fail.")
    share: float = Field(0.0, description="Share of all tests that fail.")
    calls: int | None = Field(
        None, description="Calls between the nearest failing test and the changed function."
    )
    files: int | None = Field(None, description="Files on that way, the test's own not counted.")
    patch_lines: int = Field(0, description="Lines that the bug removed and added.")
    in_traceback: bool | None = Field(
        None, description="Whether a traceback of the failing tests names the changed function."
    )
    at_import: bool = Field(False, description="Whether tests cannot even be loaded.")


class Part(Record):
    """One of several bugs that make one task."""

    family: str
    operator: str
    file: str
    function: str
    line: int


class ModelCost(Record):
    """What a model was paid for one thing that it wrote."""

    what: str = Field(description="The family of the bug, or `statement`.")
    model: str
    requests: int = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = Field(0.0, description="Wall time of the requests.")


class Mutation(Record):
    """Where a mutate-fix bug came from."""

    family: str
    operator: str
    file: str
    function: str = Field(
        description="Qualified name of the function or class; '<module>' for code outside them."
    )
    line: int = Field(description="First changed line, 1-based, in the right code.")
    seed: int
    proof: str = Field("", description="What was run in a clean container: files, full or none.")
    difficulty: Difficulty | None = None
    parts: list[Part] = Field([], description="The bugs, where they are several.")
    statement: str = Field(
        "", description="How problem_statement was made: cwm, shown, issue, model."
    )
    costs: list[ModelCost] = []


class Fix(Record):
    """Where an issue-fix task came from."""

    commit: str = Field(description="The commit of the fix; of a release, its version.")
    pull: int = Field(0, description="The pull request that it merges, or 0.")
    issues: list[int] = Field([], description="The issues that it closes.")
    statement: str = Field(
        "",
        description="Where problem_statement is from: issue, commit, changelog, failures, model.",
    )
    proof: str = Field("", description="The tests that were run: files (that it changes) or full.")
    costs: list[ModelCost] = []


class Task(Record):
    """One problem to solve: an image, the state it is put in, and the tests that decide.

    `setup_patch` turns the image's repository into what the agent sees (the bug, for mutate-fix);
    `patch` is the reference solution and applies to that state; `test_patch` is applied at
    grading only.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a SWE-bench row loads as it is

    instance_id: str
    repo: str
    base_commit: str = ""
    problem_statement: str
    patch: str
    test_patch: str = ""
    FAIL_TO_PASS: list[str]
    PASS_TO_PASS: list[str]
    version: str = ""
    created_at: str = ""
    hints_text: str = ""
    environment_setup_commit: str = ""

    kind: str = "issue-fix"
    image: str = Field("", description="Docker reference of the image.")
    image_digest: str = ""
    setup_patch: str = ""
    setup: TestSetup = TestSetup()
    mutation: Mutation | None = None
    fix: Fix | None = None
    source: str = Field("", description="The SOURCE the image was built from.")
    licence: str = ""
    contaminated: str = Field(
        "", description="Why it is kept out of training sets, where it was made all the same."
    )

    @field_validator("FAIL_TO_PASS", "PASS_TO_PASS", mode="before")
    @classmethod
    def _decode(cls, value: Any) -> Any:
        """SWE-bench's published rows hold these lists as JSON text."""
        return json.loads(value) if isinstance(value, str) else value
