"""SWE-agent's files: .traj with the turns, .pred with the patch.

TARGET/<attempt>/<instance_id>/<instance_id>.traj: each attempt number is a run directory in
SWE-agent's layout, so its `quick-stats`, `merge-preds` and inspectors read it. `query`, the
messages before each turn, stays empty, because it would make a file grow with the square of the
turns; `history` holds each message once.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from forager.atomic import new_directory
from forager.trajectories.export import file_name, write_once
from forager.trajectories.export.swe_bench import prediction
from forager.trajectories.record import Message, Trajectory
from forager.trajectories.steps import Step, reasoning, steps


def write(attempts: Iterable[Trajectory], target: Path) -> int:
    """Write a directory; return the number of attempts."""
    count = 0
    with new_directory(target) as part:
        for attempt in attempts:
            name = file_name(attempt.instance_id)
            path = part / str(attempt.attempt) / name / name
            write_once(Path(f"{path}.traj"), json.dumps(_document(attempt), indent=2))
            write_once(Path(f"{path}.pred"), json.dumps(prediction(attempt)))
            count += 1
    return count


def _document(attempt: Trajectory) -> dict[str, Any]:
    return {
        "environment": attempt.image,
        "trajectory": [_turn(step) for step in steps(attempt)],
        "history": [_item(message) for message in attempt.messages],
        "info": {
            "exit_status": attempt.outcome.exit_reason,
            "submission": attempt.outcome.answer,
            "model_stats": {
                "instance_cost": 0.0,
                "tokens_sent": attempt.usage.prompt_tokens,
                "tokens_received": attempt.usage.completion_tokens,
                "api_calls": attempt.turns,
            },
            "forager": {"id": attempt.id, "version": attempt.version, **_result(attempt)},
        },
        "replay_config": None,  # SWE-agent cannot replay: it lacks forager's tools
    }


def _result(attempt: Trajectory) -> dict[str, Any]:
    kept = {"resolved", "reward", "similarity", "tests", "suspect", "caveat"}
    info = attempt.outcome.model_dump(include=kept)
    return {**info, "note": attempt.outcome.cause}


def _turn(step: Step) -> dict[str, Any]:
    call = step.call
    text = _text(step.message)
    return {
        "action": _action(step),
        "observation": "\n".join(map(_text, step.observations)),
        "response": text,
        "thought": reasoning(step.message) or text,
        "execution_time": call.seconds if call else 0.0,
        "state": {},
        "query": [],
        "extra_info": call.model_dump(exclude={"message", "seconds"}) if call else {},
    }


def _action(step: Step) -> str:
    """Return the command, or the tool with its arguments as JSON; empty if nothing was executed."""
    call = step.call
    if call is None or not call.tool:
        return ""
    if set(call.arguments) == {"command"}:
        return call.arguments["command"]
    return f"{call.tool} {json.dumps(call.arguments)}"


def _item(message: Message) -> dict[str, Any]:
    kinds = {"assistant": "action", "tool": "observation"}
    item = {
        "role": message["role"],
        "content": _text(message),
        "agent": "main",
        "message_type": kinds.get(message["role"], "observation"),
    }
    if message.get("tool_calls"):
        item["tool_calls"] = message["tool_calls"]
    if message.get("tool_call_id"):
        item["tool_call_ids"] = [message["tool_call_id"]]
    return item


def _text(message: Message) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else json.dumps(content)
