"""Every error that forager raises.

ForagerError
├── UsageError              the user's input is wrong; the message says what to do (exit 2)
│   ├── SourceError         a SOURCE that cannot be fetched or holds nothing to work on
│   │   └── Unreachable     the network does not answer: nothing is said of the source
├── EngineError             no Docker engine answers
├── LoggedError             a program failed; its log has the telling lines
│   ├── BuildError          an image that does not build or whose tests do not pass
│   ├── TrainingError       a training that came to no model
│   ├── Unforeseen          an attempt ended by an error that is none of these: a bug
│   └── ServeError          a model server that does not start, or died
├── SandboxError            infrastructure: the container is gone or does not answer
│   ├── ImageMissing        there is no such image here
│   ├── TaskError           the task does not fit its image
│   └── NodeLost            the node of the cluster that made the attempt is gone
├── ModelError              the model endpoint stays away after the retries
│   └── ModelRefusal        it refuses, and would refuse again
├── BudgetSpent             the run may spend no more tokens, money or time
├── Stopped                 the run is being ended
├── StoreError              the disk does not take or give what a run keeps: full, damaged
└── AttemptEnd              not faults: what ends an attempt, raised inside the agent's loop
    ├── Submitted           the agent called `submit`
    └── LimitReached        turns, tokens or time are used up

`FormatError` is told to the model and ends nothing.
"""


class ForagerError(Exception):
    """Root of the tree. The message is one line for the person at the keyboard."""


class UsageError(ForagerError):
    """The user's input is wrong; the message says what to do."""


class SourceError(UsageError):
    """A SOURCE that cannot be fetched or holds nothing to work on."""


class Unreachable(SourceError):
    """The network does not answer: nothing is said of the source."""


class EngineError(ForagerError):
    """No Docker engine answers."""


class LoggedError(ForagerError):
    """A program failed; `log` holds the telling lines."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class BuildError(LoggedError):
    """An image that does not build, or whose tests do not pass."""


class TrainingError(LoggedError):
    """A training that came to no model."""


class Unforeseen(LoggedError):
    """An attempt was ended by an error that is none of forager's: a bug; `log` is its traceback."""


class ServeError(LoggedError):
    """A model server that does not start, or died."""


class SandboxError(ForagerError):
    """Infrastructure failed: the container is gone or does not answer. Never the model's fault."""


class ImageMissing(SandboxError):
    """There is no such image on this machine."""


class TaskError(SandboxError):
    """The task does not fit its image: no attempt at it can be made."""


class NodeLost(SandboxError):
    """The node of the cluster that made the attempt is gone."""


class ModelError(ForagerError):
    """The model endpoint stays away after all retries."""


class ModelRefusal(ModelError):
    """The model endpoint refuses the request, and would refuse it again."""


class BudgetSpent(ForagerError):
    """The run may spend no more tokens, money or time."""


class Stopped(ForagerError):
    """The run is being ended: an attempt that was under way is not kept."""


class StoreError(ForagerError):
    """The disk does not take or give what a run keeps: it is full, or a file is damaged."""


class AttemptEnd(ForagerError):
    """What ends an attempt; `reason` is its recorded exit reason."""

    reason = "ended"


class Submitted(AttemptEnd):
    """The agent called `submit`."""

    reason = "submitted"


class LimitReached(AttemptEnd):
    """Turns, tokens or time are used up."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FormatError(ForagerError):
    """A tool call that cannot be read; the message is what the model is told.

    `reason` is the same in one word, for `ToolCall.reason`.
    """

    def __init__(self, message: str, reason: str = "malformed") -> None:
        super().__init__(message)
        self.reason = reason
