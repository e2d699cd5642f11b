"""A tiny agent of another maker: it asks its model in one of three forms, and runs what it says.

It takes the form, and knows nothing of forager but the variables of its environment.
"""

import json
import os
import subprocess
import sys
import urllib.request
from typing import Any

FORM = sys.argv[1]
TOOL = {"type": "object", "properties": {"command": {"type": "string"}}}
CHAT = [{"type": "function", "function": {"name": "sh", "parameters": TOOL}}]
RESPONSES = [{"type": "function", "name": "sh", "parameters": TOOL}]
MESSAGES = [{"name": "sh", "input_schema": TOOL}]


def post(path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a stream, or the answer alone."""
    base = os.environ["ANTHROPIC_BASE_URL"] if FORM == "messages" else os.environ["OPENAI_BASE_URL"]
    data = json.dumps({"model": "any", **body}).encode()
    request = urllib.request.Request(base + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        text = reply.read().decode()
    if not body.get("stream"):
        return [json.loads(text)]
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def sh(arguments: str) -> str:
    """Run a command."""
    made = subprocess.run(json.loads(arguments)["command"], shell=True, capture_output=True)
    return (made.stdout + made.stderr).decode()


def chat(said: list[dict[str, Any]]) -> bool:
    """One turn with chat completions, streamed."""
    events = post("/chat/completions", {"messages": said, "tools": CHAT, "stream": True})
    message = events[0]["choices"][0]["delta"]
    said.append({"role": "assistant", "content": message["content"]})
    calls = message.get("tool_calls") or []
    if calls:
        said[-1]["tool_calls"] = calls
    for call in calls:
        told = sh(call["function"]["arguments"])
        said.append({"role": "tool", "tool_call_id": call["id"], "content": told})
    return bool(calls)


def responses(said: list[dict[str, Any]]) -> bool:
    """One turn with responses, streamed."""
    body = {"input": said, "tools": RESPONSES, "stream": True, "instructions": "Work."}
    items = post("/responses", body)[-1]["response"]["output"]
    said += items
    calls = [item for item in items if item["type"] == "function_call"]
    for call in calls:
        output = {"call_id": call["call_id"], "output": sh(call["arguments"])}
        said.append({"type": "function_call_output", **output})
    return bool(calls)


def messages(said: list[dict[str, Any]]) -> bool:
    """One turn with messages; without a stream."""
    body = {"messages": said, "tools": MESSAGES, "max_tokens": 99, "system": "Work."}
    blocks = post("/v1/messages", body)[0]["content"]
    said.append({"role": "assistant", "content": blocks})
    calls = [block for block in blocks if block["type"] == "tool_use"]
    told = [
        {
            "type": "tool_result",
            "tool_use_id": call["id"],
            "content": sh(json.dumps(call["input"])),
        }
        for call in calls
    ]
    said.append({"role": "user", "content": told})
    return bool(calls)


said = [{"role": "user", "content": os.environ["FORAGER_PROMPT"]}]
while {"chat": chat, "responses": responses, "messages": messages}[FORM](said):
    pass
print("the agent is done")
