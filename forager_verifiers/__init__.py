"""forager's tasks as an environment of `verifiers` 0.4, for prime-rl and its `eval`.

The taskset reads a file of tasks. The harness makes an attempt as `forager run` does, in this
process: the task opens in forager's sandbox, each model call goes through the endpoint with which
verifiers records tokens, and the answer is graded in a fresh sandbox. So the reward is forager's,
and so are tools, limits and guards. verifiers' own runtime stays empty; `subprocess` is enough.
"""

import asyncio
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import verifiers.v1 as vf
from verifiers.v1.utils import loaders

from forager.agent.chat import ChatModel
from forager.agent.endpoint import ChatEndpoint
from forager.environments.registry import environment_of
from forager.environments.task import Task, no_tasks
from forager.errors import UsageError
from forager.records import read_records
from forager.rollout.once import attempt
from forager.rollout.settings import RunSettings
from forager.trajectories.record import AttemptLimits, Trajectory
from tools import load_toolbox

__all__ = ["ForagerHarness", "ForagerTaskset", "load_environment"]

_ID = "forager_verifiers"
_OUTCOME = "forager"  # key in a trace's info


class ForagerTasksetConfig(vf.TasksetConfig):  # type: ignore[misc]
    """Where the tasks are."""

    tasks: Path = Path("tasks.jsonl")
    limit: int | None = None


class ForagerData(vf.TaskData):  # type: ignore[misc]
    """Names a task. Its record stays in the file, because traces would show hidden tests."""

    file: str


class ForagerTask(vf.Task[ForagerData]):  # type: ignore[misc]
    """A task whose reward is the grade of the attempt."""

    @property
    def key(self) -> str:
        """The task's own id."""
        return str(self.data.id)

    @vf.reward  # type: ignore[untyped-decorator]
    async def resolved(self, trace: vf.Trace) -> float:
        """1 if the answer resolves the task, else 0."""
        return float(trace.info[_OUTCOME]["resolved"])

    @vf.metric  # type: ignore[untyped-decorator]
    async def forager_reward(self, trace: vf.Trace) -> float:
        """The reward on the scale of the task's environment."""
        return float(trace.info[_OUTCOME]["reward"])


class ForagerTaskset(vf.Taskset[ForagerTask, ForagerTasksetConfig]):  # type: ignore[misc]
    """The tasks of a file."""

    def load(self) -> Iterator[ForagerTask]:
        """Yield the tasks. Raises UsageError if the file holds none."""
        file, count = self.config.tasks.resolve(), 0
        for task in islice(read_records(file, Task), self.config.limit):
            count += 1
            prompt = environment_of(task).prompt(task)
            data = ForagerData(id=task.instance_id, prompt=prompt, file=str(file))
            yield ForagerTask(data, self.config.task)
        if not count:
            raise no_tasks(file)


class ForagerHarnessConfig(vf.HarnessConfig):  # type: ignore[misc]
    """How attempts are made."""

    id: str = _ID
    sandbox: Literal["docker", "bubblewrap"] = "docker"
    syntax: Literal["functions", "text"] = "functions"
    turns: int = AttemptLimits().turns
    tokens: int | None = None
    seconds: float | None = None


class ForagerHarness(vf.Harness[ForagerHarnessConfig]):  # type: ignore[misc]
    """Makes attempts in forager's sandboxes, with forager's loop and tools."""

    EXECUTES_CODE = False  # on the host: commands run in forager's sandboxes
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: ForagerData,
    ) -> vf.ProgramResult:
        """Make one attempt and keep its outcome with the trace."""
        del runtime, mcp_urls
        model = ChatModel(ctx.model, ChatEndpoint(url=endpoint, key=secret))
        made = await asyncio.to_thread(self._attempt, data, model)
        kept = {"resolved", "reward", "cause", "exit_reason", "answer"}
        trace.info[_OUTCOME] = made.outcome.model_dump(include=kept)
        return vf.ProgramResult(exit_code=0, stdout="", stderr="")

    def _attempt(self, data: ForagerData, model: ChatModel) -> Trajectory:
        task = _task(data.file, str(data.id))
        given = {name: getattr(self.config, name) for name in ("turns", "tokens", "seconds")}
        limits = AttemptLimits(**{name: value for name, value in given.items() if value})
        settings = RunSettings(
            models=[model.name],
            syntax=self.config.syntax,
            sandbox=self.config.sandbox,
            limits=limits,
        )
        return attempt(task, model, load_toolbox(), settings)


def _task(file: str, id: str) -> Task:
    """The task of this id. Raises UsageError if the file has lost it."""
    found = (task for task in read_records(Path(file), Task) if task.instance_id == id)
    if (task := next(found, None)) is None:
        raise UsageError(f"{file} no longer holds {id}")
    return task


def load_environment(tasks: str | Path, *, limit: int | None = None, **harness: Any) -> vf.Env:
    """The environment over a file of tasks, with one agent that verifiers runs.

    `harness` are fields of ForagerHarnessConfig, such as `turns=50` or `sandbox="bubblewrap"`.
    """
    agent = {"harness": {"id": _ID, **harness}, "runtime": {"type": "subprocess"}}
    taskset = {"id": _ID, "tasks": str(tasks), "limit": limit}
    config = loaders.resolve_env_config({"taskset": taskset, "agent": agent})
    return loaders.load_environment(config)
