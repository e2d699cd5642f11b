"""Writes the live files of a run for `forager watch` (see `trajectories/live.py`).

Once a second a thread writes what has changed; attempts never wait for it. If the disk takes
nothing, there are no live files, and the attempts go on.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread

from forager.agent.loop import Acting
from forager.agent.traffic import TRAFFIC
from forager.atomic import replacing
from forager.errors import StoreError
from forager.trajectories import live
from forager.trajectories.record import Trajectory, Usage

_CALL = 200  # characters of a call that are written


class LiveAttempt:
    """A running attempt. Set `agent` when it begins to act, `grading` before its grading."""

    def __init__(self, base: Trajectory) -> None:
        self.base = base
        self.agent: Acting | None = None
        self.grading = self.ended = False
        self._began = self._since = time.monotonic()
        self._doing = ""
        self._written = -1

    def state(self) -> live.UnderWay:
        """What the attempt does now."""
        agent = self.agent
        calls, turns = (list(agent.tool_calls), list(agent.model_calls)) if agent else ([], [])
        doing = "model" if len(turns) == len(calls) else "tool"
        doing = "grading" if self.grading else doing if agent else "starting"
        if (now := f"{doing}{len(turns)}") != self._doing:
            self._doing, self._since = now, time.monotonic()
        call = " ".join([calls[-1].tool, *calls[-1].arguments.values()]) if calls else ""
        usages = [turn.usage for turn in turns]
        return live.UnderWay(
            id=self.base.id,
            seconds=round(time.monotonic() - self._began, 1),
            turn=len(turns),
            doing=doing,
            doing_seconds=round(time.monotonic() - self._since, 1),
            call=call[:_CALL],
            tokens=sum(usage.prompt_tokens + usage.completion_tokens for usage in usages),
        )

    def so_far(self) -> Trajectory | None:
        """The attempt so far, without token ids; None if it has not changed since the last call."""
        agent = self.agent
        if agent is None or len(agent.messages) == self._written:
            return None
        calls, turns = list(agent.tool_calls), list(agent.model_calls)  # before their messages
        messages = list(agent.messages)
        self._written = len(messages)
        bare = {"prompt_token_ids": None, "completion_token_ids": None, "logprobs": None}
        update = {
            "messages": messages,
            "tool_calls": calls,
            "model_calls": [turn.model_copy(update={**bare, "prompt_shared": 0}) for turn in turns],
            "foreign": agent.foreign,
            "tools": agent.definitions,
            "usage": Usage.of(turns),
        }
        return self.base.model_copy(update=update)


class Live:
    """Writes the live files of this process's attempts into the directory of their run."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._process = f"{socket.gethostname()}-{os.getpid()}"
        self._beat = 0
        self._attempts: list[LiveAttempt] = []
        self._lock, self._stop = Lock(), Event()
        self._thread: Thread | None = None

    @contextmanager
    def attempt(self, base: Trajectory) -> Iterator[LiveAttempt]:
        """Show an attempt while it runs; `base` is the part known at its start."""
        attempt = LiveAttempt(base)
        self._attempts.append(attempt)
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._keep_writing, name="live", daemon=True)
                self._thread.start()
        try:
            yield attempt
        finally:
            self._attempts.remove(attempt)
            attempt.ended = True
            self._remove(attempt)

    def close(self) -> None:
        """Stop, and remove the files of this process."""
        self._stop.set()
        if self._thread:
            self._thread.join()
        for attempt in list(self._attempts):
            self._remove(attempt)
        _unlink(self._status)
        with suppress(OSError):  # other processes have files there
            live.directory(self._run).rmdir()

    @property
    def _status(self) -> Path:
        return live.directory(self._run) / f"{self._process}.status.json"

    def _keep_writing(self) -> None:
        while not self._stop.wait(live.SECONDS):
            with suppress(StoreError):
                self._write()

    def _write(self) -> None:
        under_way = list(self._attempts)
        for attempt in under_way:
            trajectory = attempt.so_far()
            if trajectory:
                _replace(live.attempt_path(self._run, trajectory.id), trajectory.model_dump_json())
            if attempt.ended:  # perhaps this wrote a file that was removed
                self._remove(attempt)
        self._beat += 1
        status = live.Status(
            process=self._process,
            beat=self._beat,
            attempts=[attempt.state() for attempt in under_way],
            endpoints=[live.EndpointState.model_validate(state) for state in TRAFFIC.states()],
        )
        _replace(self._status, status.model_dump_json())

    def _remove(self, attempt: LiveAttempt) -> None:
        _unlink(live.attempt_path(self._run, attempt.base.id))


def clear(run: Path) -> None:
    """Remove the files that a killed batch has left."""
    for path in live.directory(run).glob("*.json*"):
        _unlink(path)


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _replace(path: Path, text: str) -> None:
    with replacing(path, durable=False) as part:
        part.write_text(text)
