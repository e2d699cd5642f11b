"""The trajectory: everything that one attempt did, enough to train on it and to rerun it."""

from collections.abc import Iterable, Iterator
from posixpath import normpath
from typing import Any

from pydantic import (
    AliasChoices,
    ConfigDict,
    Field,
    FiniteFloat,
    field_serializer,
    field_validator,
)

from forager.environments.environment import CauseKind
from forager.environments.task import REPOSITORY, Labels
from forager.logins import LOGINS
from forager.records import Record
from forager.sandboxes.sandbox import WORKDIR, Limits
from forager.trajectories.earlier import StoredLabels

SCHEMA_VERSION = 2  # `earlier_calls.py` reads version 1

Message = dict[str, Any]  # an OpenAI chat message: role, content, tool_calls, tool_call_id


class Usage(Record):
    """Numbers of tokens, as the server counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
        )

    @classmethod
    def of(cls, calls: Iterable["ModelCall"]) -> "Usage":
        """The tokens of all these calls."""
        return sum((call.usage for call in calls), cls())


class Sampling(Record):
    """How the server samples tokens; with None the server decides."""

    temperature: FiniteFloat | None = Field(None, description="Sampling temperature.")
    top_p: FiniteFloat | None = Field(
        None, ge=0, le=1, description="Nucleus sampling: total probability of the tokens to keep."
    )
    max_tokens: int | None = Field(
        None,
        ge=1,
        description="Maximum number of tokens that the model writes in one call; "
        "--max-tokens bounds prompt and answer together.",
    )
    seed: int | None = Field(
        None, description="Seed of the sampling; attempt i of a task uses seed + i."
    )
    stop: list[str] | None = Field(
        None, description="Text that ends a completion. Can be repeated."
    )
    extra_body: dict[str, Any] = Field(
        {}, description='JSON object to add to each request, such as {"top_k": 20}.'
    )

    def over(self, other: "Sampling") -> "Sampling":
        """These settings, and the others where these leave a choice."""
        given = {name: value for name, value in dict(self).items() if value is not None}
        return Sampling(
            **{**dict(other), **given, "extra_body": other.extra_body | self.extra_body}
        )

    @field_serializer("extra_body", when_used="json")
    def _without_secrets(self, body: dict[str, Any]) -> dict[str, Any]:
        """Records hold no keys and passwords; requests are made from the value itself."""
        hidden: dict[str, Any] = LOGINS.hide_secrets(body)
        return hidden


class AttemptLimits(Record):
    """Limits that end an attempt (defaults: CWM's SWE environment)."""

    turns: int = Field(128, ge=1, description="Maximum number of model calls per attempt.")
    tokens: int = Field(
        131_072,
        ge=1,
        description="Maximum number of tokens of a model call, prompt and "
        "completion together: the attempt ends when its conversation is this long. "
        "--completion-tokens bounds one answer.",
    )
    seconds: FiniteFloat = Field(
        2400,
        gt=0,
        description="Seconds that an attempt may take, without its grading and without waits for "
        "a server.",
    )
    command_seconds: FiniteFloat = Field(
        120, gt=0, description="Seconds that one bash command may take."
    )
    format_errors: int = Field(8, ge=1, description="Maximum number of malformed calls in a row.")


class ModelCall(Record):
    """One request to the model. Token ids and log-probabilities come from the server, or are None.

    `message` is the index of the assistant's answer in the trajectory's messages, and `opens` that
    of the first message of the prompt: foreign agents have several conversations. Within a
    trajectory `prompt_token_ids` holds only new ids: the prompt begins with the first
    `prompt_shared` ids of the previous call's prompt and completion. `Trajectory.prompts` yields
    whole prompts.
    """

    message: int
    opens: int = Field(0, description="Index of the first message of the conversation.")
    usage: Usage
    seconds: float
    waited: float = Field(0.0, description="Seconds before: at its turn, and for faults to pass.")
    finish_reason: str = ""
    prompt_shared: int = Field(0, description="Ids taken from the call before.")
    prompt_token_ids: list[int] | None = None
    completion_token_ids: list[int] | None = None
    logprobs: list[FiniteFloat] | None = None
    policy_version: int | None = Field(
        None, description="In reinforcement learning: steps of the weights that answered."
    )


class FileChange(Record):
    """Whole lines of one file that a call replaced.

    Lines lack their newline; a carriage return stays part of its line. `before` and `after` are the
    lines around the change that the model was shown; None stands for a line too long to show whole.
    """

    path: str = Field(description="As the call names it; relative to the shell's directory.")
    first: int | None = Field(
        None, description="Number of the first line, from 1; None where an old record lacks proof."
    )
    removed: list[str] = []
    added: list[str] = []
    lines: int | None = Field(None, description="Lines in the file now; None as for `first`.")
    before: list[str | None] = []
    after: list[str | None] = []
    created: bool = Field(False, description="Whether there was no such file.")

    @property
    def file(self) -> str:
        """The path; relative to the repository if the call named an absolute path inside it."""
        return normpath(self.path.strip()).removeprefix(f"{WORKDIR}/")


class ToolCall(Record):
    """One executed call. `message` is the index of its observation in the messages."""

    message: int
    tool: str = Field(description="Name of the tool; empty for a call that could not be read.")
    arguments: dict[str, str] = {}
    exit_code: int | None = None
    seconds: float = 0.0
    omitted: int = Field(0, description="Bytes of output left out.")
    timed_out: bool = False
    error: bool = Field(False, description="Whether the tool refused, or the call was malformed.")
    reason: str = Field(
        "", description="Why: `not_found`, `ambiguous`, `no_such_file`, `no_call`, …; else empty."
    )
    output_length: int | None = Field(
        None,
        description="Characters at the start of the observation that a command printed; None for "
        "tools that run no command.",
    )
    change: FileChange | None = None
    turns_left: int | None = Field(None, description="Model calls left, as the observation states.")
    tokens_left: int | None = Field(None, description="Tokens left, as the observation states.")


class Outcome(Record):
    """The result of an attempt. `resolved` is a fact, not a filter.

    `tests` maps each deciding test to passed, failed, error, skipped, timeout or missing. In the
    repository environment `reward` is CWM's: +1 if resolved; else 0 if `similarity` to the
    reference patch is at least 0.5; else -1. Earlier versions wrote `patch` for `answer` and `note`
    for `cause`.

    An attempt that passes all tests, but has reasons in `suspect`, is not resolved and has the
    reward of a failure, unless someone accepts it (see `acceptance.py`).
    """

    model_config = ConfigDict(populate_by_name=True)

    exit_reason: str
    refusal: str = Field(
        "", description="What the server said when it refused to continue, in words of its own."
    )
    answer: str = Field(
        "",
        description="What was graded: a patch, a program or a text.",
        validation_alias=AliasChoices("answer", "patch"),
    )
    resolved: bool = False
    reward: FiniteFloat = -1.0
    similarity: float = 0.0
    tests: dict[str, str] = {}
    left_out: list[str] = Field(
        [], description="Changes of the agent that the answer lacks, each with the reason."
    )
    ignored_files: list[str] = Field([], description="Files of the answer that grading left out.")
    cause: str = Field(
        "",
        description="Why the attempt failed, if not by its tests, in a sentence.",
        validation_alias=AliasChoices("cause", "note"),
    )
    cause_kind: CauseKind = Field(
        "",
        description="What made the attempt fail: `policy` (the answer is wrong), `format` (it "
        "cannot be read) or `time`; empty if resolved, and in records of earlier versions.",
    )
    log: str = Field(
        "", description="Traceback of an error that forager did not foresee: report it as a bug."
    )
    suspect: list[str] = Field(
        [], description="Reasons to think that the answer, which passes all tests, forges this."
    )
    caveat: str = Field(
        "", description="How this verdict could still be forged, where no guard fits the task."
    )

    @property
    def verdict(self) -> str:
        """In words: resolved, not resolved, suspect, or resolved (suspect, accepted)."""
        if self.suspect:
            return "resolved (suspect, accepted)" if self.resolved else "suspect"
        return "resolved" if self.resolved else "not resolved"

    @property
    def patch(self) -> str:
        """The answer, by its name before other environments came; scripts still read it."""
        return self.answer

    @property
    def note(self) -> str:
        """The cause, by its earlier name."""
        return self.cause


class ForeignAgent(Record):
    """The command of `--agent` that made an attempt, and how it ended."""

    command: str
    exit_code: int | None = Field(None, description="None if forager ended it, or nobody knows.")
    log: str = Field("", description="The end of what it printed.")


class Timings(Record):
    """Wall-clock seconds of an attempt, by what it spent them on."""

    total: float = 0.0
    start: float = 0.0
    model: float = 0.0
    tools: float = 0.0
    grading: float = 0.0


class Trajectory(Record):
    """One graded attempt at one task."""

    model_config = ConfigDict(populate_by_name=True)

    schema_version: int = SCHEMA_VERSION
    id: str = Field(description="'<instance_id>.<attempt>', unique in a run.")
    instance_id: str
    attempt: int
    environment: str = Field(REPOSITORY, description="Name of the task's environment.")
    kind: str
    repo: str
    labels: StoredLabels = Field(Labels(), validation_alias=AliasChoices("labels", "mutation"))
    model: str
    syntax: str
    sampling: Sampling = Sampling()
    limits: AttemptLimits = AttemptLimits()
    sandbox_limits: Limits = Limits()
    image: str
    image_digest: str
    started_at: str = Field(description="ISO 8601, UTC.")
    foreign: ForeignAgent | None = Field(
        None, description="The agent, if another than forager's made the attempt."
    )
    tools: list[dict[str, Any]] = Field(
        [], description="Definitions of the tools that went with each request (OpenAI's form)."
    )
    messages: list[Message]
    model_calls: list[ModelCall]
    tool_calls: list[ToolCall]
    outcome: Outcome
    usage: Usage = Field(description="Of the calls that it made itself, not those of its parent.")
    timings: Timings
    version: str = Field(description="Version of forager that made it.")
    parent: str = Field(
        "", description="'RUN/ID' of the attempt that it goes on from; RUN names a directory."
    )
    parent_turn: int | None = Field(
        None, description="The first turn of its own, from 1; those before are the parent's."
    )
    transforms: list[str] = Field(
        [],
        description="Filters that changed it afterwards, in order: turns were left out or joined, "
        "and its token ids with them, so this is not all that happened. Its timings are.",
    )

    @field_validator("model_calls")
    @classmethod
    def _as_extensions(cls, calls: list[ModelCall]) -> list[ModelCall]:
        """Store prompts as extensions; whole ones make a record grow with the turns squared."""
        if any(call.prompt_shared for call in calls):
            return calls
        return list(_extensions(calls))

    @property
    def work(self) -> list[Message]:
        """The first conversation, which is all that was said unless a foreign agent had several."""
        others = (call.opens for call in self.model_calls if call.opens)
        return self.messages[: next(others, None)]

    @property
    def turns(self) -> int:
        """Number of model calls."""
        return len(self.model_calls)

    def prompts(self) -> Iterator[list[int] | None]:
        """Yield each model call's whole prompt as token ids; None if the server gave no ids."""
        before: list[int] = []
        for call in self.model_calls:
            new = call.prompt_token_ids
            prompt = None if new is None else before[: call.prompt_shared] + new
            yield prompt
            before = (prompt or []) + (call.completion_token_ids or [])


def _extensions(calls: list[ModelCall]) -> Iterator[ModelCall]:
    """Yield the calls, each prompt rewritten as an extension of the call before it."""
    before: list[int] = []
    for call in calls:
        prompt = call.prompt_token_ids or []
        shared = _common(before, prompt)
        before = prompt + (call.completion_token_ids or [])
        update = {"prompt_shared": shared, "prompt_token_ids": prompt[shared:]}
        yield call.model_copy(update=update) if shared else call


def _common(ids: list[int], others: list[int]) -> int:
    """Return the length of the lists' common prefix."""
    length = min(len(ids), len(others))
    if ids[:length] == others[:length]:
        return length
    return next(number for number in range(length) if ids[number] != others[number])
