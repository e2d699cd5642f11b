"""ShareGPT conversations, as LLaMA-Factory reads them.

Its rules: an optional system text, then turns of the environment (human, observation) alternate
with turns of the model (gpt, function_call), and the model has the last turn. A function_call is
JSON. If the model also wrote text, the text comes first and the JSON follows in <tool_call> tags;
reasoning precedes both in <think> tags. Calls of the text syntax stay text.
"""

import json
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from forager.atomic import new_directory
from forager.trajectories.record import Message, Trajectory
from forager.trajectories.steps import reasoning
from forager.untrusted import json_value

_NAME = "forager"
_INFO = {
    _NAME: {
        "file_name": f"{_NAME}.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system", "tools": "tools"},
    }
}
_OURS = {"gpt", "function_call"}


def write(attempts: Iterable[Trajectory], target: Path) -> int:
    """Write a directory with the conversations and LLaMA-Factory's dataset_info.json.

    Returns the number of conversations.
    """
    count = 0
    with new_directory(target) as part:
        with (part / f"{_NAME}.jsonl").open("w", encoding="utf-8") as file:
            for attempt in attempts:
                print(json.dumps(_conversation(attempt), ensure_ascii=False), file=file)
                count += 1
        (part / "dataset_info.json").write_text(json.dumps(_INFO, indent=2) + "\n")
    return count


def _conversation(attempt: Trajectory) -> dict[str, Any]:
    turns = [_turn(message) for message in attempt.work]
    system = [value for role, value in turns if role == "system"]
    spoken = [turn for turn in turns if turn[0] != "system"]
    while spoken and spoken[-1][0] not in _OURS:  # no answer follows, so nothing to learn
        spoken.pop()
    return {
        "id": attempt.id,
        "conversations": [
            {"from": side[0][0], "value": "\n".join(value for _, value in side)}
            for _, group in groupby(spoken, lambda turn: turn[0] in _OURS)
            for side in [list(group)]
        ],
        "system": "\n".join(system),
        "tools": json.dumps(attempt.tools) if attempt.tools else "",
        "resolved": attempt.outcome.resolved,
        "reward": attempt.outcome.reward,
        "suspect": attempt.outcome.suspect,
    }


def _arguments(call: dict[str, Any]) -> Any:
    return json_value(call["arguments"], len(call["arguments"]))


def _turn(message: Message) -> tuple[str, str]:
    """Return LLaMA-Factory's role for a message, and its text."""
    content = message.get("content") or ""
    text = content if isinstance(content, str) else json.dumps(content)
    if message["role"] != "assistant":
        return {"system": "system", "tool": "observation"}.get(message["role"], "human"), text
    thought = reasoning(message)
    text = f"<think>\n{thought}\n</think>\n\n{text}" if thought else text
    raw = [call["function"] for call in message.get("tool_calls") or []]
    if not raw:
        return "gpt", text
    try:
        calls = [{"name": call["name"], "arguments": _arguments(call)} for call in raw]
    except ValueError:  # malformed arguments; the next observation says so
        return "gpt", "\n".join([text, *map(json.dumps, raw)])
    value = json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False)
    return "function_call", f"{text}\n<tool_call>\n{value}\n</tool_call>" if text else value
