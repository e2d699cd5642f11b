"""Requests and answers in three forms, against a server that answers in each, and back."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from test_chat import TOOL, Answer, Script, failure, serving

from forager.agent.endpoint import Api, ChatEndpoint
from forager.agent.wires import WIRES, stream
from forager.errors import LimitReached, ModelError
from forager.trajectories.record import Message, Sampling, Usage

ASKED: list[Message] = [
    {"role": "system", "content": "You repair code."},
    {"role": "user", "content": "go"},
]
THINKING = {"type": "thinking", "thinking": "Hm, look.", "signature": "c2ln"}
HIDDEN = {"type": "redacted_thinking", "data": "eHh4"}
REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Hm, look."}],
    "encrypted_content": "Z2Vo",
}
ANSWERS: dict[str, dict[str, Any]] = {
    "messages": {
        "type": "message",
        "role": "assistant",
        "content": [
            THINKING,
            HIDDEN,
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 90, "output_tokens": 7},
    },
    "responses": {
        "object": "response",
        "status": "completed",
        "output": [
            REASONING,
            {"type": "message", "role": "assistant", "content": [{"text": "I look."}]},
            {
                "type": "function_call",
                "call_id": "toolu_1",
                "name": "bash",
                "arguments": '{"command": "ls"}',
            },
        ],
        "usage": {"input_tokens": 95, "output_tokens": 7},
    },
}
DETAILS = {"messages": [THINKING, HIDDEN], "responses": [REASONING]}


@pytest.fixture
def server() -> Iterator[Script]:
    """A scripted server."""
    with serving() as script:
        yield script


def endpoint(server: Script, api: Api) -> ChatEndpoint:
    """A server that is asked in this form."""
    return ChatEndpoint(server.url, "secret", timeout=5, tries=2, backoff=0.01, api=api)


@pytest.mark.parametrize("api", ["messages", "responses"])
def test_an_answer_is_read_whole_and_sent_back(server: Script, api: Api) -> None:
    """Text, call, usage, and the reasoning as the provider needs it: unchanged, in its place."""
    server.answers = [Answer(ANSWERS[api])]
    model = server.model(endpoint=endpoint(server, api), sampling=Sampling(max_tokens=50))
    reply = model.query(ASKED, [TOOL])
    assert reply.message["content"] == "I look."
    assert reply.message["tool_calls"][0]["function"] == {
        "name": "bash",
        "arguments": '{"command": "ls"}',
    }
    assert reply.message["reasoning_details"] == DETAILS[api]
    assert reply.message["reasoning_content"] == "Hm, look."
    assert (reply.usage, reply.finish_reason) == (
        Usage(prompt_tokens=95, completion_tokens=7),
        "tool_calls",
    )
    told = {"role": "tool", "tool_call_id": "toolu_1", "content": "core.py"}
    model.query([*ASKED, reply.message, told], [TOOL])
    sent = server.seen[1]
    if api == "messages":
        assert sent["path"] == "/v1/messages" and sent["max_tokens"] == 50
        assert server.headers[1]["x-api-key"] == "secret"
        assert "authorization" not in server.headers[1]
        assert sent["messages"][1]["content"] == ANSWERS[api]["content"]
        (result,) = sent["messages"][2]["content"]
        assert result["tool_use_id"] == "toolu_1" and result["content"] == "core.py"
        assert sent["system"][0]["text"] == "You repair code."
    else:
        assert sent["path"] == "/v1/responses" and sent["max_output_tokens"] == 50
        assert sent["input"][2] == REASONING and not sent["store"]
        assert [item.get("type") for item in sent["input"][2:]] == [
            *("reasoning", None, "function_call", "function_call_output")
        ]


@pytest.mark.parametrize("api", ["messages", "responses"])
def test_a_cut_answer_is_said_to_be_cut(server: Script, api: Api) -> None:
    """The model reads then that its message was not whole."""
    cut: dict[str, dict[str, Any]] = {
        "messages": {"stop_reason": "max_tokens"},
        "responses": {
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
        },
    }
    server.answers = [Answer({**ANSWERS[api], **cut[api]})]
    model = server.model(endpoint=endpoint(server, api))
    assert model.query(ASKED, [TOOL]).finish_reason == "length"


@pytest.mark.parametrize("api", ["messages", "responses"])
def test_faults_mean_the_same_in_each_form(server: Script, api: Api) -> None:
    """Overload is waited for, a long conversation ends the attempt, garbage is no answer."""
    model = server.model(endpoint=endpoint(server, api))
    server.answers = [failure(529, "Overloaded"), Answer(ANSWERS[api])]
    assert model.query(ASKED, []).message["content"] == "I look."
    server.seen, server.answers = [], [failure(400, "prompt is too long: 210000 tokens > 200000")]
    with pytest.raises(LimitReached):
        model.query([*ASKED, {"role": "assistant", "content": "hi"}, ASKED[1]], [])
    server.seen, server.answers = [], [Answer({"output": 3, "content": "x"})]
    with pytest.raises(ModelError):
        model.query(ASKED, [])


@pytest.mark.parametrize("form", WIRES)
def test_what_an_agent_is_answered_it_can_send_back(form: str) -> None:
    """Written as an answer and read in the next request, a message is the same."""
    wire = WIRES[form]
    kinds = {"messages": DETAILS["messages"], "responses": DETAILS["responses"]}
    function = {"name": "bash", "arguments": '{"command": "ls"}'}
    message: Message = {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
    }
    if form in kinds:
        message |= {"reasoning_content": "Hm, look.", "reasoning_details": kinds[form]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    answer = wire.answered({"model": "m", "choices": [choice], "usage": usage}, {})
    if form == "responses":
        said = {"input": answer["output"]}
    elif form == "messages":
        said = {"messages": [{"role": "assistant", "content": answer["content"]}]}
    else:
        said = {"messages": [answer["choices"][0]["message"]]}
    assert wire.asked(said)["messages"] == [message]
    text = stream(wire, answer, {"stream_options": {"include_usage": True}})
    assert ('"choices": []' in text) == (form == "chat")
    assert '"choices": []' not in stream(wire, answer, {}), "clients read the first choice of each"
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert "I look." in text and len(events) >= 3
    last = events[-1]
    assert form != "responses" or last["response"] == answer
    assert form != "messages" or last == {"type": "message_stop"}
    assert form != "chat" or last["usage"] == usage
