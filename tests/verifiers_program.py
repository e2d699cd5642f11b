"""Steps one episode of forager's environment by `verifiers`; run by test_verifiers.py.

The arguments are a file of one task and a directory for what it wrote. A scripted server plays the
model: it applies the task's own patch, and submits. Prints the traces as JSON.
"""

import asyncio
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import verifiers.v1 as vf

import forager_verifiers
from forager.environments.repository.task import RepositoryTask
from forager.records import read_records


class Scripted(BaseHTTPRequestHandler):
    """Answers with a call of bash that applies the patch, then with a call of submit."""

    patch = ""

    def do_POST(self) -> None:
        """A chat completion."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        first = all(message["role"] != "assistant" for message in asked["messages"])
        command = f"git apply <<'END'\n{self.patch}END"
        function = (
            {"name": "bash", "arguments": json.dumps({"command": command})}
            if first
            else {"name": "submit", "arguments": "{}"}
        )
        call = {"id": f"call_{first:d}", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        answer = {
            **{"id": "1", "object": "chat.completion", "created": 1, "model": asked["model"]},
            **{"choices": [choice], "usage": usage},
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


async def episode(file: str, url: str) -> dict[str, Any]:
    """Load the environment and play its only task once."""
    env = forager_verifiers.load_environment(file, turns=5)
    (task,) = env.taskset
    config = vf.EvalClientConfig(base_url=url, api_key_var="FORAGER_NO_KEY")
    context = vf.ModelContext(model="scripted", client=config)
    async with env.serving():
        done = await env.run_episode(task, context)
    (trace,) = done.traces
    return {
        "ok": done.ok,
        "errors": [error.message for error in (*done.errors, *trace.errors)],
        "key": task.key,
        "info": trace.info,
        "rewards": {name: reward.value for name, reward in trace.rewards.items()},
        "metrics": trace.metrics,
        "roles": [message.role for message in trace.branches[-1].messages],
        "recorded": trace.model_dump_json(),
    }


def main() -> None:
    """Play the episode."""
    file = sys.argv[1]
    (task,) = read_records(Path(file), RepositoryTask)
    handler = type("Knowing", (Scripted,), {"patch": task.patch})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps(asyncio.run(episode(file, f"http://127.0.0.1:{server.server_port}/v1"))))


if __name__ == "__main__":
    main()
