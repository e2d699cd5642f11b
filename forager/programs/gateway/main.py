"""Runs an agent of another maker in a sandbox and takes its model calls, which forager answers.

`serve` is an HTTP server on the loopback device, and the parent of the agent. It puts each request
into a file and holds the connection until there is an answer. `next` says which request is answered
and waits for another, or for the agent's end: forager runs it again and again in the shell of the
sandbox, so that no network is needed. Both meet at a socket in a directory, which is the argument.
There `setup.json` holds the command, the name of the model, and the task.

Processes of the agent may read and change all of this. They can harm their own attempt only.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forager.programs.gateway.waiting import Requests

_VARIABLE = 100_000  # bytes of a variable; Linux takes 131,072
_GRACE = 20.0  # seconds beyond those that `next` waits


def _variables(setup: dict[str, Any], place: Path, port: int) -> dict[str, str]:
    """The environment of the agent: the task, and its model under names that packages read."""
    url, model, prompt = f"http://127.0.0.1:{port}", str(setup["model"]), str(setup["prompt"])
    named = {"FORAGER_MODEL": model, "ANTHROPIC_MODEL": model, "ANTHROPIC_BASE_URL": url}
    named.update(dict.fromkeys(("OPENAI_BASE_URL", "OPENAI_API_BASE"), f"{url}/v1"))
    named.update(dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY"), "forager"))
    named["FORAGER_PROMPT_FILE"] = str(place / "prompt.txt")
    if len(prompt.encode()) < _VARIABLE:
        named["FORAGER_PROMPT"] = prompt
    return {**os.environ, **named}


def _run(requests: Requests, setup: dict[str, Any], port: int) -> None:
    """Run the agent's command, and say how it ended."""
    import subprocess

    with (requests.directory / "log").open("wb") as log:
        agent = subprocess.Popen(
            ["/usr/bin/env", "--default-signal", "/bin/bash", "-c", setup["command"]],
            env=_variables(setup, requests.directory, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    requests.end(agent.wait())


def _serve(directory: Path) -> None:
    """Run the agent and pass on what it asks, until forager kills both."""
    from .server import serve  # which `next` has no need of
    from .waiting import Requests

    setup = json.loads((directory / "setup.json").read_text(encoding="utf-8"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = Requests(directory)
    port = serve(requests, str(setup["model"]))
    control = socket.socket(socket.AF_UNIX)
    control.bind(str(directory / "control"))
    control.listen(1)
    Thread(target=_run, args=(requests, setup, port), daemon=True).start()
    while True:
        connection, _ = control.accept()
        with connection, suppress(OSError, ValueError):
            query = json.loads(connection.makefile().readline())
            event = requests.next(int(query["answered"]), float(query["seconds"]))
            connection.sendall(json.dumps(event).encode() + b"\n")


def _next(directory: Path, answered: int, seconds: float) -> None:
    """Print the next event as a line of JSON."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(seconds + _GRACE)
        control.connect(str(directory / "control"))
        control.sendall(json.dumps({"answered": answered, "seconds": seconds}).encode() + b"\n")
        print(control.makefile().readline().strip())


def main() -> None:
    """Run `serve DIRECTORY`, or `next DIRECTORY ANSWERED SECONDS`."""
    verb, directory, *rest = sys.argv[1:]
    if verb == "serve":
        _serve(Path(directory))
    else:
        _next(Path(directory), int(rest[0]), float(rest[1]))
