"""The Agent Data Protocol (schema 1.5.0), from which its converters make data of many agents.

A directory with `full_std.jsonl` (a trajectory per line), `metadata.json` (the tools) and a card.
Commands are code actions in bash, other calls API actions. An id links a call with its observation;
a call without one, such as `submit`, has no id. The system prompt is among the `details`, because
converters write their own.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from forager.atomic import new_directory
from forager.trajectories.export import AttemptOrigin
from forager.trajectories.export.dataset_files import DatasetFacts
from forager.trajectories.record import Trajectory
from forager.trajectories.show import text_of
from forager.trajectories.steps import Step, opening, reasoning, steps

SCHEMA_VERSION = "1.5.0"
_SHELL = "bash"
_COLUMNS = """\
Trajectories of the Agent Data Protocol 1.5.0: `content` holds actions and observations in turn,
`details` what else is known. `metadata.json` defines the tools."""
_DETAILS = {"instance_id", "attempt", "kind", "repo", "model", "version"}


def write(attempts: Iterable[Trajectory], target: Path, origin: AttemptOrigin) -> int:
    """Write a directory; return the number of trajectories."""
    tally, tools = DatasetFacts(origin), dict[str, dict[str, Any]]()
    with new_directory(target) as part:
        with (part / "full_std.jsonl").open("w", encoding="utf-8") as file:
            for attempt in tally.of(attempts):
                print(json.dumps(trajectory(attempt, origin), ensure_ascii=False), file=file)
                tools |= {tool["function"]["name"]: tool for tool in attempt.tools}
        (part / "metadata.json").write_text(json.dumps(_metadata(tools), indent=2) + "\n")
        card = tally.card("Attempts in the Agent Data Protocol", "full_std.jsonl", _COLUMNS)
        (part / "README.md").write_text(card, encoding="utf-8")
    return tally.attempts


def trajectory(attempt: Trajectory, origin: AttemptOrigin) -> dict[str, Any]:
    """An attempt as a trajectory of the protocol."""
    content = list(_content(attempt))
    actions = [item for item in content if item["class_"].endswith("_action")]
    if actions:
        actions[-1]["reward"] = attempt.outcome.reward
    codes = any(item["class_"] == "code_action" for item in content)
    task = origin.tasks.get(attempt.instance_id)
    system = [text_of(message) for message in opening(attempt) if message["role"] == "system"]
    outcome = attempt.outcome.model_dump(include={"resolved", "suspect", "exit_reason", "answer"})
    details = {**attempt.model_dump(include=_DETAILS), **outcome, "system": "\n".join(system)}
    return {
        "schema_version": SCHEMA_VERSION,
        "id": attempt.id,
        "content": content,
        **({"available_code_languages": [_SHELL]} if codes else {}),
        "details": {**details, "licence": task.licence if task else ""},
    }


def _content(attempt: Trajectory) -> Iterator[dict[str, Any]]:
    for message in opening(attempt):
        if message["role"] != "system":
            yield _seen(text_of(message), "user")
    for number, step in enumerate(steps(attempt), 1):
        id = f"call_{number:06}"
        action = _action(step)
        linked = action["class_"] != "message_action" and bool(step.observations)
        yield {**action, **({"tool_call_id": id} if linked else {})}
        if step.observations:
            text = "\n".join(map(text_of, step.observations))
            yield _seen(text, "environment", id if linked else "")


def _action(step: Step) -> dict[str, Any]:
    call, text, thought = step.call, text_of(step.message), reasoning(step.message)
    more = {"reasoning_content": thought} if thought else {}
    if call is None or not call.tool:
        return {"class_": "message_action", "content": text, **more}
    more |= {"description": text} if text and step.message.get("tool_calls") else {}
    if call.tool == _SHELL and set(call.arguments) == {"command"}:
        code = {"language": _SHELL, "content": call.arguments["command"]}
        return {"class_": "code_action", **code, **more}
    return {"class_": "api_action", "function": call.tool, "kwargs": call.arguments, **more}


def _seen(text: str, source: str, id: str = "") -> dict[str, Any]:
    link = {"tool_call_id": id} if id else {}
    return {"class_": "text_observation", "content": text, "source": source, **link}


def _metadata(tools: dict[str, dict[str, Any]]) -> dict[str, Any]:
    custom = [tool for name, tool in tools.items() if name != _SHELL]
    return {"custom_tools": custom, "code_enabled": [_SHELL], "browser_enabled": False}
