"""ATIF 1.8, Harbor's interchange format for trajectories of agents.

A step holds the model's answer, its calls and their observations. The format has no fields for exit
codes, durations, rewards and patches; `extra` holds them.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from forager.atomic import new_directory
from forager.trajectories.export import file_name, write_once
from forager.trajectories.record import Message, ModelCall, Trajectory
from forager.trajectories.steps import Step, opening, reasoning, steps
from forager.untrusted import json_object


def write(attempts: Iterable[Trajectory], target: Path) -> int:
    """Write a directory with one file per attempt, named after its id; return their number."""
    count = 0
    with new_directory(target) as part:
        for attempt in attempts:
            text = json.dumps(document(attempt), ensure_ascii=False)
            write_once(part / f"{file_name(attempt.id)}.json", text + "\n")
            count += 1
    return count


def document(attempt: Trajectory) -> dict[str, Any]:
    """Return an attempt as an ATIF document, ready for `json.dumps`."""
    first = [
        {"source": "system" if message["role"] == "system" else "user", "message": _text(message)}
        for message in opening(attempt)
    ]
    acts = [
        _act(step, prompt) for step, prompt in zip(steps(attempt), attempt.prompts(), strict=True)
    ]
    return {
        "schema_version": "ATIF-v1.8",
        "trajectory_id": attempt.id,
        "agent": {
            "name": "forager",
            "version": attempt.version,
            "model_name": attempt.model,
            **({"tool_definitions": attempt.tools} if attempt.tools else {}),
            "extra": attempt.model_dump(include={"syntax", "sampling", "limits", "sandbox_limits"}),
        },
        "steps": [{"step_id": number, **step} for number, step in enumerate(first + acts, 1)],
        "final_metrics": {
            "total_prompt_tokens": attempt.usage.prompt_tokens,
            "total_completion_tokens": attempt.usage.completion_tokens,
            "total_steps": len(first) + len(acts),
        },
        "extra": attempt.model_dump(include=_EXTRA),
    }


_EXTRA = {"instance_id", "attempt", "kind", "repo", "labels", "image", "image_digest"}
_EXTRA |= {"started_at", "outcome", "timings", "parent", "parent_turn"}


def _act(step: Step, prompt: list[int] | None) -> dict[str, Any]:
    """Return a step of the agent; `prompt` is the whole prompt's token ids, if known."""
    calls = _calls(step)
    thought = reasoning(step.message)
    return {
        "source": "agent",
        "message": _text(step.message),
        **({"reasoning_content": thought} if thought else {}),
        **({"tool_calls": calls} if calls else {}),
        **({"observation": {"results": _results(step, calls)}} if step.observations else {}),
        "metrics": _metrics(step.model_call, prompt),
        "llm_call_count": 1,
        "extra": {
            **step.model_call.model_dump(include={"seconds", "waited", "finish_reason"}),
            # A call that ended the attempt has no observation to hold these facts.
            **({} if step.observations or not step.call else {"call": _facts(step)}),
        },
    }


def _calls(step: Step) -> list[dict[str, Any]]:
    """Return the calls that the model wrote; in the text syntax, the call that was executed."""
    written = step.message.get("tool_calls") or []
    if not written and step.call and step.call.tool:
        call = step.call
        return [{"tool_call_id": "call_0", "function_name": call.tool, "arguments": call.arguments}]
    return [
        {"tool_call_id": call["id"], "function_name": call["function"]["name"], **_arguments(call)}
        for call in written
    ]


def _arguments(call: dict[str, Any]) -> dict[str, Any]:
    text = call["function"]["arguments"]
    arguments = json_object(text)
    if arguments is not None:
        return {"arguments": arguments}
    return {"arguments": {}, "extra": {"arguments": text}}


def _results(step: Step, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ids = [call["tool_call_id"] for call in calls]
    results = []
    for message in step.observations:
        id = message.get("tool_call_id") or (ids[0] if len(ids) == 1 else None)
        source = {"source_call_id": id} if id in ids else {}
        results.append({**source, "content": _text(message), "extra": _facts(step)})
    return results


def _facts(step: Step) -> dict[str, Any]:
    """Return exit code, duration and the like of the executed call; empty without a call."""
    return step.call.model_dump(exclude={"message", "tool", "arguments"}) if step.call else {}


def _metrics(call: ModelCall, prompt: list[int] | None) -> dict[str, Any]:
    ids = {
        "prompt_token_ids": prompt,
        "completion_token_ids": call.completion_token_ids,
        "logprobs": call.logprobs,
    }
    given = {name: value for name, value in ids.items() if value is not None}
    return {**call.usage.model_dump(), **given}


def _text(message: Message) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else json.dumps(content)
