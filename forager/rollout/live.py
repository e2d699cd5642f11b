"""Tells those who watch a run what is under way (see `trajectories/live.py`).

A thread looks at the attempts once a second and writes what has changed; they know nothing of it
and never wait for it. Where nothing can be written nothing is told.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread

from forager.agent.loop import Agent
from forager.agent.traffic import TRAFFIC
from forager.atomic import replacing
from forager.errors import StoreError
from forager.trajectories import live
from forager.trajectories.record import Trajectory

_CALL = 200  # characters of a call that are told


class Shown:
    """An attempt that is shown. `agent` is set when it begins to act, `grading` before the end."""

    def __init__(self, base: Trajectory) -> None:
        self.base = base
        self.agent: Agent | None = None
        self.grading = self.ended = False
        self._began = self._since = time.monotonic()
        self._doing = ""
        self._written = -1

    def told(self) -> live.UnderWay:
        """What it does now."""
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
            tokens=sum(one.prompt_tokens + one.completion_tokens for one in usages),
        )

    def so_far(self) -> Trajectory | None:
        """The attempt as far as it is, without token ids; None where it was given before."""
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
            "usage": agent.usage(),
        }
        return self.base.model_copy(update=update)


class Live:
    """The attempts of this process, told in the directory of their run."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._process = f"{socket.gethostname()}-{os.getpid()}"
        self._beat = 0
        self._shown: list[Shown] = []
        self._lock, self._stop = Lock(), Event()
        self._thread: Thread | None = None

    @contextmanager
    def attempt(self, base: Trajectory) -> Iterator[Shown]:
        """Show an attempt while it is made; `base` is what is known of it at its beginning."""
        shown = Shown(base)
        self._shown.append(shown)
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._tell, name="live", daemon=True)
                self._thread.start()
        try:
            yield shown
        finally:
            self._shown.remove(shown)
            shown.ended = True
            self._remove(shown)

    def close(self) -> None:
        """Tell nothing any more."""
        self._stop.set()
        if self._thread:
            self._thread.join()
        for shown in list(self._shown):
            self._remove(shown)
        _unlink(self._status)
        with suppress(OSError):  # others still tell something
            live.directory(self._run).rmdir()

    @property
    def _status(self) -> Path:
        return live.directory(self._run) / f"{self._process}.status.json"

    def _tell(self) -> None:
        while not self._stop.wait(live.SECONDS):
            with suppress(StoreError):
                self._write()

    def _write(self) -> None:
        under_way = list(self._shown)
        for shown in under_way:
            trajectory = shown.so_far()
            if trajectory:
                _replace(live.attempt_path(self._run, trajectory.id), trajectory.model_dump_json())
            if shown.ended:  # after its file was removed, perhaps
                self._remove(shown)
        self._beat += 1
        status = live.Status(
            process=self._process,
            beat=self._beat,
            attempts=[shown.told() for shown in under_way],
            endpoints=[live.EndpointState.model_validate(one) for one in TRAFFIC.told()],
        )
        _replace(self._status, status.model_dump_json())

    def _remove(self, shown: Shown) -> None:
        _unlink(live.attempt_path(self._run, shown.base.id))


def clear(run: Path) -> None:
    """Remove what a killed batch has left."""
    for path in live.directory(run).glob("*.json*"):
        _unlink(path)


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _replace(path: Path, text: str) -> None:
    with replacing(path, durable=False) as part:
        part.write_text(text)
