"""forager's tasks as an environment of OpenEnv, for TRL and other trainers that step one.

An action is a call of a tool, or a text that ends the attempt where no tool does. The attempt
itself is `forager run`'s: it works in a thread of this process and asks whoever steps the
environment where it would ask a model. So sandboxes, tools, limits, guards and grading are
forager's, and the reward of the last observation is the grade.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple
from uuid import uuid4

from openenv.core.env_server import Environment, create_fastapi_app
from openenv.core.env_server.types import Action, EnvironmentMetadata, Observation, State

from forager.agent.model import Reply
from forager.agent.syntax import SYNTAXES
from forager.agent.tool import Call
from forager.environments.task import Task, no_tasks
from forager.errors import Stopped, UsageError
from forager.records import locate_records, parse_record
from forager.rollout.once import attempt
from forager.rollout.settings import RunSettings
from forager.trajectories.record import AttemptLimits, Message, ToolCall, Trajectory
from forager.version import VERSION
from tools import load_toolbox

__all__ = ["ForagerAction", "ForagerEnvironment", "ForagerObservation", "make_app"]

EPISODE = "forager-episode"
"""The name of the threads in which attempts work."""
_SYNTAX = SYNTAXES["functions"]


class ForagerAction(Action):  # type: ignore[misc]
    """A call of a tool with its arguments, and what the agent thinks; without a tool, an answer."""

    tool: str = ""
    arguments: dict[str, str] = {}
    text: str = ""


class ForagerObservation(Observation):  # type: ignore[misc]
    """What was said since the last action, as OpenAI chat messages.

    The first one has the prompt and the definitions of the tools; the last one has the reward, 1 or
    0, and in its metadata exit reason, cause and the reward on the scale of the task's environment.
    """

    messages: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] = []


class ForagerState(State):  # type: ignore[misc]
    """The episode: which task, and how many actions so far."""

    task: str = ""


class _Turn(NamedTuple):
    """What the agent is asked."""

    messages: list[Message]
    tools: list[dict[str, Any]]


class _Stepped:
    """A Model whose answers are actions of somebody else."""

    def __init__(self, events: "SimpleQueue[_Turn | Trajectory | Exception]") -> None:
        self._events = events
        self.answers: SimpleQueue[Message | None] = SimpleQueue()
        self._seen = 0

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        """Wait for the next action; that time is not the attempt's. Raises Stopped at the end."""
        del calls
        began = time.monotonic()
        self._events.put(_Turn(list(messages[self._seen :]), list(tools)))
        self._seen = len(messages) + 1  # its own answer, too
        answer = self.answers.get()
        if answer is None:
            raise Stopped("the episode was closed")
        return Reply(answer, waited=time.monotonic() - began)


class _Episode:
    """An attempt that works in a thread."""

    def __init__(self, task: Task, settings: RunSettings) -> None:
        self._events: SimpleQueue[_Turn | Trajectory | Exception] = SimpleQueue()
        self._model = _Stepped(self._events)
        self._thread = Thread(target=self._play, args=(task, settings), name=EPISODE, daemon=True)
        self._thread.start()

    def _play(self, task: Task, settings: RunSettings) -> None:
        try:
            self._events.put(attempt(task, self._model, load_toolbox(), settings))
        except Exception as error:
            self._events.put(error)

    def next(self) -> _Turn | Trajectory:
        """The agent's next turn, or the graded attempt. Raises what ended the attempt."""
        event = self._events.get()
        if isinstance(event, Exception):
            raise event
        return event

    def answer(self, message: Message | None) -> None:
        """Go on with this message; None ends the attempt."""
        self._model.answers.put(message)

    def close(self) -> None:
        """End the attempt, and wait until its sandbox is gone."""
        self.answer(None)
        self._thread.join()


class _TaskFile:
    """The tasks of a file by number and id; their records stay in the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        for offset, length, task in locate_records(path, Task):
            self._places[task.instance_id] = offset, length
        if not self._places:
            raise no_tasks(path)
        self._ids, self._turns = list(self._places), count()

    def choose(self, seed: int | None, id: str) -> Task:
        """The task of this id, or of this seed, or the next one. Raises UsageError."""
        if not id:
            id = self._ids[(next(self._turns) if seed is None else seed) % len(self._ids)]
        if id not in self._places:
            raise UsageError(f"{self._path} holds no task {id!r}")
        offset, length = self._places[id]
        with self._path.open("rb") as file:
            file.seek(offset)
            return parse_record(Task, file.read(length))


class ForagerEnvironment(Environment):  # type: ignore[misc]
    """One episode at a time; `reset` ends the one before."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, tasks: _TaskFile, settings: RunSettings) -> None:
        super().__init__()
        self._tasks, self._settings = tasks, settings
        self._episode: _Episode | None = None
        self._state = ForagerState()

    def reset(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        task: str = "",
        **more: Any,
    ) -> ForagerObservation:
        """Open a task: the one named, or that of the seed, or the next of the file."""
        del more
        self.close()
        chosen = self._tasks.choose(seed, task)
        self._state = ForagerState(
            episode_id=episode_id or uuid4().hex, step_count=0, task=chosen.instance_id
        )
        self._episode = _Episode(chosen, self._settings)
        return self._observed()

    def step(
        self, action: ForagerAction, timeout_s: float | None = None, **more: Any
    ) -> ForagerObservation:
        """Make a call, or give an answer. The attempt's limits bound it, not `timeout_s`.

        Raises UsageError without an episode, and SandboxError, which says nothing about the agent.
        """
        del timeout_s, more
        if self._episode is None:
            raise UsageError("the episode is over, or none has begun: reset the environment")
        self._state.step_count += 1
        message: Message = {"role": "assistant", "content": action.text}
        if action.tool:
            message = _SYNTAX.write(action.text, Call(action.tool, action.arguments), {})
        self._episode.answer(message)
        return self._observed()

    def _observed(self) -> ForagerObservation:
        assert self._episode
        try:
            event = self._episode.next()
        except BaseException:
            self.close()
            raise
        if isinstance(event, _Turn):
            tools = event.tools if not self._state.step_count else []
            return ForagerObservation(messages=event.messages, tools=tools)
        self.close()
        kept = {"resolved", "reward", "cause", "exit_reason"}
        outcome = event.outcome.model_dump(include=kept)
        return ForagerObservation(
            done=True, reward=float(event.outcome.resolved), metadata={"forager": outcome}
        )

    @property
    def state(self) -> ForagerState:
        """The episode."""
        return self._state

    def get_metadata(self) -> EnvironmentMetadata:
        """What OpenEnv shows of an environment."""
        about = "Tasks with tests, solved with tools in a sandbox."
        return EnvironmentMetadata(name="forager", description=about, version=VERSION)

    def close(self) -> None:
        """End the episode, if there is one."""
        episode, self._episode = self._episode, None
        if episode:
            episode.close()


def make_app(
    tasks: str | Path, *, sessions: int = 8, sandbox: str = "docker", **limits: Any
) -> Any:
    """A FastAPI application over a file of tasks, for `uvicorn.run`.

    At most `sessions` clients at a time have an episode each. `limits` are fields of AttemptLimits,
    such as `turns=50`. Raises UsageError if the file holds no tasks.
    """
    settings = RunSettings(
        models=["openenv"], sandbox=sandbox, limits=AttemptLimits.model_validate(limits)
    )
    make: Callable[[], ForagerEnvironment] = partial(
        ForagerEnvironment, _TaskFile(Path(tasks)), settings
    )
    return create_fastapi_app(make, ForagerAction, ForagerObservation, max_concurrent_envs=sessions)
