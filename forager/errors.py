"""Every error that forager raises.

ForagerError
├── UsageError              the user's input is wrong; the message says what to do (exit 2)
│   ├── SourceError         a SOURCE that cannot be fetched or holds nothing to work on
│   │   └── Unreachable     the network does not answer; says nothing about the source
├── EngineError             no Docker engine answers
├── LoggedError             a program failed; its log has the lines that say why
│   ├── BuildError          an image does not build, or its tests do not pass
│   ├── TrainingError       a training failed
│   ├── Unforeseen          an error outside this tree ended an attempt: a bug
│   └── ServeError          a model server did not start, or died
├── SandboxError            the container is gone or does not answer
│   ├── SandboxLost         something outside the sandbox did it: infrastructure for certain
│   ├── ImageMissing        the image is not on this machine
│   ├── TaskError           the task does not fit its image
│   └── NodeLost            the node of the cluster that made the attempt is gone
├── AgentError              a foreign agent (`--agent`) ended before it asked its model anything
├── ModelError              the model endpoint does not answer after the retries
│   └── ModelRefusal        the endpoint refuses the request, and would refuse it again
│       └── PromptRefused   the first prompt of one attempt; the endpoint may take others
├── BudgetSpent             the run may spend no more tokens, money or time
├── Stopped                 the run is stopping
├── StoreError              files cannot be written or read: read-only, full, damaged (exit 2)
└── AttemptEnd              the regular ends of an attempt, raised in the agent's loop
    ├── Submitted           the agent called `submit`
    ├── Answered            the task allows no tools: the model's message is the answer
    └── LimitReached        turns, tokens or time are used up

`FormatError` ends nothing: the model reads its message and tries again.
"""


class ForagerError(Exception):
    """Root of the tree. The message is one line for the person at the keyboard."""


class UsageError(ForagerError):
    """The user's input is wrong; the message says what to do."""


class SourceError(UsageError):
    """A SOURCE cannot be fetched, or holds nothing to work on."""


class Unreachable(SourceError):
    """The network does not answer; this says nothing about the source."""


class EngineError(ForagerError):
    """No Docker engine answers."""


class LoggedError(ForagerError):
    """A program failed; `log` holds the lines that say why."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class BuildError(LoggedError):
    """An image does not build, or its tests do not pass."""


class TrainingError(LoggedError):
    """A training failed."""


class Unforeseen(LoggedError):
    """An error from outside forager ended an attempt: a bug; `log` is its traceback."""


class ServeError(LoggedError):
    """A model server did not start, or died."""


class SandboxError(ForagerError):
    """The container is gone or does not answer: infrastructure, or what an agent did inside."""


class SandboxLost(SandboxError):
    """Something outside the sandbox ended it, or it never worked. Never the model's fault."""


class ImageMissing(SandboxError):
    """The image is not on this machine."""


class TaskError(SandboxError):
    """The task does not fit its image: no attempt at it can be made."""


class NodeLost(SandboxError):
    """The node of the cluster that made the attempt is gone."""


class AgentError(ForagerError):
    """A foreign agent ended before it asked its model anything: it does not run here."""


class ModelError(ForagerError):
    """The model endpoint does not answer after all retries."""


class ModelRefusal(ModelError):
    """The model endpoint refuses the request, and would refuse it again."""


class PromptRefused(ModelRefusal):
    """The model endpoint refuses the first prompt of one attempt; it may take others."""


class BudgetSpent(ForagerError):
    """The run may spend no more tokens, money or time."""


class Stopped(ForagerError):
    """The run is stopping; attempts that are running are discarded."""


class StoreError(ForagerError):
    """Files cannot be written or read: a directory is read-only, the disk full, a file damaged."""


class AttemptEnd(ForagerError):
    """The regular end of an attempt; `reason` is its recorded exit reason."""

    reason = "ended"
    refusal = ""


class Submitted(AttemptEnd):
    """The agent called `submit`."""

    reason = "submitted"


class Answered(AttemptEnd):
    """The task allows no tools, so the model's message is the answer."""

    reason = "answered"


class LimitReached(AttemptEnd):
    """Turns, tokens or time are used up; `refusal` is what a server said that ended it."""

    def __init__(self, reason: str, refusal: str = "") -> None:
        super().__init__(reason)
        self.reason, self.refusal = reason, refusal


class FormatError(ForagerError):
    """A tool call cannot be parsed; the message is for the model.

    `reason` is the same in one word, for `ToolCall.reason`.
    """

    def __init__(self, message: str, reason: str = "malformed") -> None:
        super().__init__(message)
        self.reason = reason
