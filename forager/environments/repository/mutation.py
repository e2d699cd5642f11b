"""Where the bugs of repository tasks come from: an injected mutation, or a fix in a history."""

from pydantic import Field

from forager.records import Record


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
