"""Plays an episode of forager's environment by OpenEnv's own client; run by test_openenv.py.

The argument is a file of one task. The client applies the task's own patch, and submits; then it
leaves a second episode in the middle. Prints what it saw as JSON.
"""

import json
import socket
import sys
import threading
import time
from pathlib import Path

import uvicorn
from openenv.core import GenericEnvClient

import forager_openenv
from forager.environments.repository.task import RepositoryTask
from forager.records import read_records


def serve(file: str) -> tuple[uvicorn.Server, str]:
    """Start the environment's server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = forager_openenv.make_app(file, turns=5)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return server, f"http://127.0.0.1:{port}"


def plays() -> bool:
    """Whether an episode goes on."""
    return any(thread.name == forager_openenv.EPISODE for thread in threading.enumerate())


def main() -> None:
    """Play."""
    (task,) = read_records(Path(sys.argv[1]), RepositoryTask)
    server, url = serve(sys.argv[1])
    apply = {"tool": "bash", "arguments": {"command": f"git apply <<'END'\n{task.patch}END"}}
    with GenericEnvClient(base_url=url).sync() as client:
        first = client.reset()
        second = client.step(apply)
        state = client.state()
        last = client.step({"tool": "submit", "text": "Done."})
        again = client.reset(seed=3)
        unknown = client.step({"tool": "no_such_tool"})
    deadline = time.monotonic() + 60
    while plays() and time.monotonic() < deadline:
        time.sleep(0.05)
    server.should_exit = True
    told = {
        "roles": [message["role"] for message in first.observation["messages"]],
        "tools": [tool["function"]["name"] for tool in first.observation["tools"]],
        "answered": [message["role"] for message in second.observation["messages"]],
        "state": {"task": state["task"], "step_count": state["step_count"]},
        "done": [first.done, second.done, last.done],
        "reward": last.reward,
        "again": again.observation["messages"] == first.observation["messages"],
        "left": plays(),
        "unknown": unknown.observation["messages"][-1]["content"],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
