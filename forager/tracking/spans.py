"""An attempt as OpenTelemetry's spans, by the semantic conventions for generative AI.

    invoke_agent AGENT            the attempt, by forager or foreign (`--agent`)
      chat MODEL                  a request to the model
      execute_tool NAME           a call of a tool
      grade                       grading

A record holds durations. So a span begins where the one before ended, in the order of the messages,
and time that nobody recorded lies before `grade`. Texts of messages and arguments of calls, which
the conventions make optional, are left out. Ids follow from the attempt: whoever gets a span twice
can tell.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any

from forager.agent import SERVERLESS
from forager.tracking.tracker import PROJECT, Subject
from forager.trajectories.record import ModelCall, ToolCall, Trajectory
from forager.version import VERSION

_PROVIDERS = {"messages": "anthropic"}  # the others speak OpenAI's protocol


def spans_of(attempt: Trajectory, subject: Subject, resource: Any) -> Iterator[Any]:
    """Yield the spans (`ReadableSpan`), the whole attempt first."""
    made = _Spans(attempt, subject, resource)
    total = attempt.timings.total
    agent = "foreign" if attempt.foreign else PROJECT
    attributes = _of_attempt(attempt, made.provider, agent)
    yield made.span(f"invoke_agent {agent}", 0.0, total, attributes)
    at = attempt.timings.start
    for call in _calls(attempt):
        if isinstance(call, ModelCall):
            at += call.waited
            yield made.span(f"chat {attempt.model}", at, at + call.seconds, made.of_model(call))
        else:
            name = call.tool or "unreadable"
            attributes, error = _of_tool(call, name)
            yield made.span(f"execute_tool {name}", at, at + call.seconds, attributes, error)
        at += call.seconds
    if grading := attempt.timings.grading:
        yield made.span("grade", max(at, total - grading), max(at + grading, total), {})


def _calls(attempt: Trajectory) -> list[ModelCall | ToolCall]:
    """The calls that the attempt made itself, in the order of their messages."""
    first = attempt.parent_turn or 1
    requests = attempt.model_calls[first - 1 :]
    begin = requests[0].message if requests else len(attempt.messages)
    calls: list[ModelCall | ToolCall] = [
        *requests,
        *(call for call in attempt.tool_calls if call.message >= begin or first == 1),
    ]
    return sorted(calls, key=lambda call: (call.message, isinstance(call, ToolCall)))


@dataclass
class _Spans:
    attempt: Trajectory
    subject: Subject
    resource: Any
    provider: str = field(init=False)
    _number: int = 0

    def __post_init__(self) -> None:
        api = str(self.subject.settings.get("api", ""))
        own = self.attempt.model in SERVERLESS
        self.provider = PROJECT if own else _PROVIDERS.get(api, "openai")

    def of_model(self, call: ModelCall) -> dict[str, Any]:
        sampling = self.attempt.sampling
        return {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self.provider,
            "gen_ai.request.model": self.attempt.model,
            "gen_ai.request.temperature": sampling.temperature,
            "gen_ai.request.top_p": sampling.top_p,
            "gen_ai.request.max_tokens": sampling.max_tokens,
            "gen_ai.request.seed": sampling.seed,
            "gen_ai.response.finish_reasons": [call.finish_reason] if call.finish_reason else None,
            "gen_ai.usage.input_tokens": call.usage.prompt_tokens,
            "gen_ai.usage.output_tokens": call.usage.completion_tokens,
        }

    def span(
        self,
        name: str,
        begin: float,
        end: float,
        attributes: Mapping[str, Any],
        error: str = "",
    ) -> Any:
        """The next span, `begin` and `end` in seconds after the start of the attempt."""
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.status import Status, StatusCode

        started = datetime.fromisoformat(self.attempt.started_at).timestamp()
        number, self._number = self._number, self._number + 1
        known = {key: value for key, value in attributes.items() if value is not None}
        return ReadableSpan(
            name,
            context=self._context(number),
            parent=self._context(0) if number else None,
            resource=self.resource,
            attributes=known | ({"error.type": error} if error else {}),
            kind=SpanKind.CLIENT if name.startswith("chat ") else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, error) if error else Status(StatusCode.UNSET),
            start_time=int((started + begin) * 1e9),
            end_time=int((started + end) * 1e9),
            instrumentation_scope=InstrumentationScope(PROJECT, VERSION),
        )

    def _context(self, number: int) -> Any:
        from opentelemetry.trace import SpanContext, TraceFlags

        trace = f"{self.subject.id} {self.attempt.id}"
        return SpanContext(
            trace_id=_digest(trace, 16),
            span_id=_digest(f"{trace} {number}", 8),
            is_remote=False,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        )


def _of_attempt(attempt: Trajectory, provider: str, agent: str) -> dict[str, Any]:
    outcome = attempt.outcome
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": provider,
        "gen_ai.agent.name": agent,
        "gen_ai.conversation.id": attempt.id,
        "gen_ai.request.model": attempt.model,
        "gen_ai.usage.input_tokens": attempt.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": attempt.usage.completion_tokens,
        "forager.task.id": attempt.instance_id,
        "forager.task.kind": attempt.kind,
        "forager.attempt.resolved": outcome.resolved,
        "forager.attempt.reward": outcome.reward,
        "forager.attempt.exit_reason": outcome.exit_reason,
        "forager.attempt.cause_kind": outcome.cause_kind or None,
    }


def _of_tool(call: ToolCall, name: str) -> tuple[dict[str, Any], str]:
    """The attributes of a call, and its kind of error."""
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.type": "function",
        "forager.tool.exit_code": call.exit_code,
    }
    error = "timeout" if call.timed_out else (call.reason or "error") if call.error else ""
    return attributes, error


def _digest(text: str, size: int) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=size).digest())
