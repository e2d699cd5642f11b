"""The repository task: a superset of a SWE-bench instance (data set card at swebench.com)."""

from typing import Any

from pydantic import Field, TypeAdapter, field_validator, model_validator

from forager.environments.repository.labels import repository_labels
from forager.environments.repository.logs import PARSERS
from forager.environments.repository.mutation import Fix, Mutation
from forager.environments.repository.services import checked
from forager.environments.task import Task
from forager.literals import read_literal
from forager.records import Record
from forager.sandboxes.sandbox import WORKDIR


class TestSetup(Record):
    """How to run the tests of an image; each of its tasks has a copy."""

    __test__ = False  # tells pytest that this is not a test class

    workdir: str = Field(WORKDIR, description="Directory of the repository in the container.")
    python: str = Field("/opt/venv/bin/python", description="Interpreter that runs the tests.")
    arguments: list[str] = Field([], description="Arguments of pytest, test paths among them.")
    variables: dict[str, str] = Field({}, description="Environment variables of the test run.")
    services: list[str] = Field(
        [], description="Services that run during the tests, as in services.SERVICES."
    )
    protected: list[str] = Field(
        [], description="Paths of the tests and their configuration; a patch to them is ignored."
    )
    timeout: float = Field(300, description="Seconds that the whole suite may take.")
    memory: int = Field(2 << 30, description="Most bytes of memory that the tests need.")
    command: str = Field(
        "",
        description="Shell command that runs the tests instead of python and arguments, for tasks "
        "of data sets with their own evaluation.",
    )
    parser: str = Field("pytest", description="Reader of the command's log; see logs.PARSERS.")

    @field_validator("services")
    @classmethod
    def _services(cls, value: list[str]) -> list[str]:
        return checked(value)

    @field_validator("parser")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in PARSERS:
            raise ValueError(f"there is no parser {value!r}; there are {', '.join(PARSERS)}")
        return value


class Guards(Record):
    """FAIL_TO_PASS tests with changed expected values, which must fail on right code."""

    changed_tests: str = Field("", description="Diff that changes the tests.")
    by_value: list[str] = Field([], description="Tests whose changed values make them fail.")
    by_end: list[str] = Field([], description="Tests that fail only by a statement at their end.")
    insensitive: dict[str, str] = Field({}, description="Tests that could not be changed, and why.")
    rewritten: list[str] = Field(
        [], description="Doctests whose examples the project itself writes while it runs."
    )

    @property
    def sensitive(self) -> list[str]:
        """The tests that the change makes fail."""
        return [*self.by_value, *self.by_end]


class RepositoryTask(Task):
    """A broken repository: an image, its state for the agent, and the tests that decide.

    `setup_patch` turns the image's repository into what the agent sees; in mutate-fix it is the
    bug. `patch` is the reference solution and applies to that state. Only grading applies
    `test_patch`.
    """

    base_commit: str = ""
    patch: str
    test_patch: str = ""
    FAIL_TO_PASS: list[str]
    PASS_TO_PASS: list[str]
    version: str = ""
    created_at: str = ""
    hints_text: str = ""
    environment_setup_commit: str = ""

    repo: str
    kind: str = "issue-fix"
    setup_patch: str = ""
    setup: TestSetup = TestSetup()
    guards: Guards | None = None
    mutation: Mutation | None = None
    fix: Fix | None = None

    @field_validator("FAIL_TO_PASS", "PASS_TO_PASS", mode="before")
    @classmethod
    def _decode(cls, value: Any) -> Any:
        """Decode the text of a list that SWE-bench's published rows contain instead of lists."""
        return read_literal(value) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _label(cls, given: Any) -> Any:
        """Fill in missing labels."""
        if not isinstance(given, dict) or given.get("labels"):
            return given
        kind = given.get("kind", cls.model_fields["kind"].default)
        mutation = _MUTATION.validate_python(given.get("mutation"))
        labels = repository_labels(
            kind, str(given.get("repo", "")), mutation, str(given.get("patch", ""))
        )
        return {**given, "labels": labels}

    def test_groups(self) -> dict[str, list[str]]:
        """FAIL_TO_PASS and PASS_TO_PASS."""
        return {"FAIL_TO_PASS": self.FAIL_TO_PASS, "PASS_TO_PASS": self.PASS_TO_PASS}


_MUTATION: TypeAdapter[Mutation | None] = TypeAdapter(Mutation | None)
