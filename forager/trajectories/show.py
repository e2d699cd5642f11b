"""Shows an attempt turn by turn: thought, call and observation."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from forager.environments.task import REPOSITORY, Task
from forager.text import ending
from forager.trajectories import draw
from forager.trajectories.record import ForeignAgent, Message, ModelCall, ToolCall, Trajectory
from forager.trajectories.show_task import answer_name, answer_text, references
from forager.trajectories.steps import opening, reasoning, steps

_TEXT_CALL = re.compile(r"^<tool: ?", re.MULTILINE)
_SHOWS_FILE = re.compile(r"\s*(?:cat|head|tail|sed -n|nl)\b[^|;&]*\Z")
_FILE = re.compile(r"[\w./-]+\.\w+")


@dataclass(frozen=True, slots=True)
class Turn:
    """One model call and its consequences. `call` is None if nothing was executed."""

    number: int
    thought: str
    model_call: ModelCall
    call: ToolCall | None
    observation: str


def turns(trajectory: Trajectory) -> list[Turn]:
    """Return an attempt's turns, read from its executed calls, whatever their syntax."""
    return [
        Turn(
            number,
            _thought(step.message, step.call, trajectory.syntax),
            step.model_call,
            step.call,
            "\n".join(map(text_of, step.observations)),
        )
        for number, step in enumerate(steps(trajectory), 1)
    ]


def show(
    trajectory: Trajectory, task: Task | None = None, *, full: bool = False
) -> Iterator[RenderableType]:
    """Yield an attempt piece by piece, for a console to print; `full` disables folding.

    With a task, the bug and the reference answer follow the agent's answer, and the outcome counts
    FAIL_TO_PASS and PASS_TO_PASS separately.
    """
    yield _heading(trajectory)
    for message in opening(trajectory):
        yield from _opening(message, full)
    for turn in turns(trajectory):
        yield show_turn(turn, full=full)
    yield from _ending(trajectory, task, full)


def show_turn(turn: Turn, *, full: bool = False) -> RenderableType:
    """Return one turn: a rule with its cost, the thought, the call, the observation."""
    parts: list[RenderableType] = [Text(), draw.rule(_cost(turn))]
    if turn.thought.strip():
        parts.append(draw.Block(draw.fold(Text(draw.safe(turn.thought.strip())), full=full), ""))
    if turn.call is not None and turn.call.arguments:
        parts.append(draw.Block(draw.fold(show_call(turn.call), full=full), "▌ ", "yellow"))
    if turn.observation.strip():
        text = draw.fold(show_observation(turn), full=full)
        failed = turn.call is not None and (turn.call.error or turn.call.timed_out)
        parts.append(draw.Block(text, style="red" if failed else "dim"))
    parts += [Text(note, "yellow") for note in notes(turn)]
    return Group(*parts)


def text_of(message: Message) -> str:
    """Return the text of a message; parts without text appear as JSON."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(map(_part, content if isinstance(content, list) else [content]))


def _part(part: object) -> str:
    text = part.get("text") if isinstance(part, dict) else None
    return text if text and isinstance(text, str) else json.dumps(part)


def _thought(message: Message, call: ToolCall | None, syntax: str) -> str:
    """Return what the model wrote apart from its call, or everything if no call was executed."""
    text = text_of(message)
    thought = reasoning(message)
    if call is None or not call.tool:
        raw = [
            json.dumps(written.get("function", written))
            for written in message.get("tool_calls") or []
        ]
        text = "\n".join([text, *raw])
    elif syntax == "text":
        text = _TEXT_CALL.split(text, maxsplit=1)[0]
    return f"{thought}\n\n{text}" if thought else text


def _cost(turn: Turn) -> Text:
    call = turn.call
    seconds = turn.model_call.seconds + (call.seconds if call else 0.0)
    name = f" {draw.safe(call.tool)}" if call and call.tool else ""
    usage = turn.model_call.usage
    tokens = f" · {usage.prompt_tokens:,} + {usage.completion_tokens:,} tokens"
    return Text.assemble(
        (f"turn {turn.number}", "bold"),
        (name, "bold yellow"),
        (f" · {seconds:.1f} s{tokens if usage.prompt_tokens else ''}", "dim"),
    )


def _any_call(arguments: dict[str, str]) -> Text:
    lines = [f"{name}: {value}" for name, value in arguments.items()]
    return Text(draw.safe("\n".join(lines)))


def _bash_call(arguments: dict[str, str]) -> Text:
    return Text.assemble(("$ ", "bold"), draw.code(arguments.get("command", ""), "bash"))


def _edit_call(arguments: dict[str, str]) -> Text:
    old, new = arguments.get("search", ""), arguments.get("replace", "")
    return draw.changed(arguments.get("path", ""), old, new)


def _create_call(arguments: dict[str, str]) -> Text:
    path = arguments.get("path", "")
    content = draw.code(arguments.get("content", ""), draw.language_of(path))
    return Text.assemble((draw.safe(path), "bold"), "\n", content)


_CALLS: dict[str, Callable[[dict[str, str]], Text]] = {
    "bash": _bash_call,
    "edit": _edit_call,
    "create": _create_call,
}


def show_call(made: ToolCall) -> Text:
    """Return a call as text: a command, an edit as a diff, a new file, or its arguments."""
    return _CALLS.get(made.tool, _any_call)(made.arguments)


def show_observation(turn: Turn) -> Text:
    """Return the observation; a command that only prints a file gets the language's colours."""
    call = turn.call
    if call is not None and call.tool == "bash" and call.exit_code == 0:
        file = _shown_file(call.arguments.get("command", ""))
        if file:
            return draw.code(turn.observation, draw.language_of(file))
    return draw.output(turn.observation)


def _shown_file(command: str) -> str:
    """The file that a command prints and does nothing else with; empty for other commands."""
    last = command.rpartition("&&")[2]
    word = (last.split() or [""])[-1] if _SHOWS_FILE.match(last) else ""
    return word if _FILE.fullmatch(word) else ""


def notes(turn: Turn) -> Iterator[str]:
    """Yield remarks on a call that its output lacks, such as its exit code."""
    call = turn.call
    if call is None:
        yield "(nothing was executed)"
        return
    if not call.tool:
        yield "(a call that could not be read)"
    if call.timed_out:
        yield f"(ended by its time limit after {call.seconds:.0f} s)"
    elif call.exit_code:
        yield f"(exit code {call.exit_code})"
    if call.omitted:
        yield f"({call.omitted:,} bytes of output were left out)"


def _heading(trajectory: Trajectory) -> RenderableType:
    labels = trajectory.labels
    origin = "/".join(filter(None, (labels.family, labels.operator)))
    if labels.location:
        origin += f" in {labels.location}"
    rows = [
        ("attempt", trajectory.id),
        ("model", f"{trajectory.model}, calls written as {trajectory.syntax}"),
        ("task", f"{origin}, {trajectory.repo}"),
        ("image", trajectory.image),
        ("started", trajectory.started_at),
    ]
    if trajectory.foreign:
        rows.insert(2, ("agent", trajectory.foreign.command))
    lines = [Text.assemble((f"{name:<8} ", "dim"), draw.safe(value)) for name, value in rows]
    return draw.Block(Text("\n").join(lines), "")


def _opening(message: Message, full: bool) -> Iterator[RenderableType]:
    """Yield a message from before the first turn; a long system prompt is cut unless `full`."""
    role = str(message.get("role", ""))
    yield Text()
    yield draw.rule(Text(draw.safe(role), "bold"))
    lines = draw.safe(text_of(message)).strip().split("\n")
    text = Text("\n".join(lines))
    if role == "system" and len(lines) > 3 and not full:
        text = Text("\n".join(lines[:2]))
        text.append(f"\n… {len(lines) - 2:,} lines folded, --full shows them …", "dim italic")
    yield draw.Block(draw.fold(text, full=full))


def _ending(trajectory: Trajectory, task: Task | None, full: bool) -> Iterator[RenderableType]:
    outcome = trajectory.outcome
    drawn = answer_text(trajectory.environment, outcome.answer)
    answer = drawn if outcome.answer.strip() else Text("(empty)", "dim")
    yield from draw.section(answer_name(trajectory.environment), answer, full=full)
    for title, text in references(task) if task else ():
        yield from draw.section(title, text, full=full)
    yield Text()
    yield draw.rule(Text("outcome", "bold"))
    yield draw.Block(Text("\n").join(show_outcome(trajectory, task)), "")


def show_outcome(trajectory: Trajectory, task: Task | None) -> Iterator[Text]:
    """Yield the outcome of an attempt, line by line."""
    came = trajectory.outcome
    is_patch = trajectory.environment == REPOSITORY
    colour = "bold green" if came.resolved else "bold yellow" if came.suspect else "bold red"
    yield Text.assemble((came.verdict, colour), f", ended by: {draw.safe(came.exit_reason)}")
    rows = [
        ("the server", f"refused to continue: {came.refusal}" if came.refusal else ""),
        ("reward", f"{came.reward:+g}"),
        ("similarity", f"{came.similarity:.2f} to the reference patch" if is_patch else ""),
        ("tests", _test_counts(came.tests, task) if is_patch or came.tests else ""),
        ("not passed", _not_passed(came.tests)),
        ("left out", "; ".join(came.left_out)),
        ("ignored", ", ".join(came.ignored_files)),
        ("cause", came.cause),
        ("failed by", came.cause_kind),
        ("the agent", _last_words(trajectory.foreign)),
        *(("suspect", reason) for reason in came.suspect),
        ("caveat", came.caveat),
        ("turns", f"{trajectory.turns} of at most {trajectory.limits.turns}"),
        ("tokens", f"{trajectory.usage.prompt_tokens:,} in all prompts, "
                   f"{trajectory.usage.completion_tokens:,} in all completions"),
        ("seconds", _seconds(trajectory)),
        ("goes on", f"from {trajectory.parent}, at turn {trajectory.parent_turn}"
                    if trajectory.parent else ""),
    ]  # fmt: skip
    for name, value in rows:
        if value:
            yield Text.assemble((f"{name:<11}", "dim"), draw.safe(value))


def _last_words(agent: ForeignAgent | None) -> str:
    """How an agent of another maker failed; empty for one that ended by itself, and for ours."""
    if agent is None or not agent.exit_code:
        return ""
    return f"exit code {agent.exit_code}: {ending(agent.log)}"


def _test_counts(tests: dict[str, str], task: Task | None) -> str:
    """Return, say, "FAIL_TO_PASS 1 of 1 passed, PASS_TO_PASS 40 of 42 passed"."""
    if not tests:
        return "none run"
    groups = (task.test_groups() if task else {}) or {"all": list(tests)}
    return ", ".join(
        f"{name} {sum(tests.get(test) == 'passed' for test in group):,} of {len(group):,} passed"
        for name, group in groups.items()
    )


def _not_passed(tests: dict[str, str]) -> str:
    names = [f"{name} ({status})" for name, status in tests.items() if status != "passed"]
    more = f", … {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _seconds(trajectory: Trajectory) -> str:
    timings = trajectory.timings
    return (
        f"{timings.total:.1f}: start {timings.start:.1f}, model {timings.model:.1f}, "
        f"tools {timings.tools:.1f}, grading {timings.grading:.1f}"
    )
