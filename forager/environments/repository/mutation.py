"""The origin of the bugs of repository tasks: an injected mutation, or a fix in a history."""

from pydantic import Field

from forager.records import Record


class Difficulty(Record):
    """Measures of how hard a bug is to find; filters choose by them."""

    failing: int = Field(0, description="Tests that fail.")
    share: float = Field(0.0, description="Share of all tests that fail.")
    calls: int | None = Field(
        None, description="Calls between the nearest failing test and the changed function."
    )
    files: int | None = Field(None, description="Files on that path, without the test's own.")
    patch_lines: int = Field(0, description="Lines that the bug removed and added.")
    in_traceback: bool | None = Field(
        None, description="Whether a traceback of the failing tests names the changed function."
    )
    at_import: bool = Field(False, description="Whether tests fail while they load.")


class Part(Record):
    """One of several bugs of one task."""

    family: str
    operator: str
    file: str
    function: str
    line: int


class ModelCost(Record):
    """The cost of one text that a model wrote."""

    what: str = Field(description="The family of the bug, or `statement`.")
    model: str
    requests: int = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = Field(0.0, description="Wall time of the requests.")


class Mutation(Record):
    """The origin of a mutate-fix bug."""

    family: str
    operator: str
    file: str
    function: str = Field(
        description="Qualified name of the function or class; '<module>' for code outside them."
    )
    line: int = Field(description="First changed line, 1-based, in the original code.")
    seed: int
    proof: str = Field("", description="What ran in a clean container: files, full or none.")
    difficulty: Difficulty | None = None
    parts: list[Part] = Field([], description="The bugs, if there are several.")
    statement: str = Field(
        "", description="How problem_statement was made: cwm, shown, issue, model."
    )
    costs: list[ModelCost] = []


class Revealed(Record):
    """How much of the fix and of the hidden tests a problem statement reveals."""

    names: float = Field(
        0.0, description="Share of the names that the fix introduces and the tests do not need."
    )
    fix_run: int = Field(0, description="Most words in a row shared with lines of the fix.")
    test_run: int = Field(
        0, description="Most words in a row shared with lines of the tests; values do not count."
    )
    left_out: int = Field(0, description="Sentences of the author that were left out.")
    refused: list[str] = Field(
        [], description="Texts that were not used because they reveal more: their origins."
    )


class Fix(Record):
    """The origin of an issue-fix task."""

    commit: str = Field(description="The commit of the fix, or the version of the release.")
    pull: int = Field(0, description="The merged pull request, or 0.")
    issues: list[int] = Field([], description="The issues that the fix closes.")
    statement: str = Field(
        "",
        description="Origin of problem_statement: issue, commit, changelog, failures, model.",
    )
    revealed: Revealed | None = None
    proof: str = Field("", description="The tests that ran: files (changed by the fix) or full.")
    costs: list[ModelCost] = []
