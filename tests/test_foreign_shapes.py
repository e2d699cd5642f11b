"""What Codex, Claude Code and other clients send, replayed through the real gateway.

The agents here are small scripts that send the shapes which the real ones were seen to send.
"""

import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_chat import Script, completion, failure, function, serving
from test_foreign import at_work, script
from zstandard import compress

from forager.agent.conversations import Conversations
from forager.agent.foreign import CommandAgent
from forager.agent.outgoing import plain
from forager.agent.wires import WIRES
from forager.errors import AgentError
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.sandboxes.sandbox import CommandResult
from forager.trajectories.record import AttemptLimits, Message, Sampling

CLIENT = """import http.client, socket
def post(path, body, timeout=60, headers={}):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    host = os.environ["ANTHROPIC_BASE_URL"].partition("//")[2]
    connection = http.client.HTTPConnection(host, timeout=timeout)
    connection.request("POST", path, data, headers)
    reply = connection.getresponse()
    text = reply.read().decode()
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
    return reply.status, [json.loads(line) for line in lines or [text]]
def get(path, method="GET", headers={}):
    host = os.environ["ANTHROPIC_BASE_URL"].partition("//")[2]
    connection = http.client.HTTPConnection(host)
    connection.request(method, path, headers=headers)
    reply = connection.getresponse()
    return reply.status, reply.read().decode()
"""
EXEC = {"type": "function", "name": "exec_command", "parameters": {"type": "object"}}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: hunk+"},
}
SEARCH = {"type": "tool_search", "execution": "client", "parameters": {"type": "object"}}
SUBAGENTS = {
    "type": "namespace",
    "name": "multi_agent",
    "tools": [{"type": "function", "name": "spawn", "parameters": {"type": "object"}}],
}
CODEX = """
said = [{"type": "additional_tools", "role": "developer", "tools": [TOOLS[0]]}]
for role, text in (("developer", "Work."), ("user", "<environment>"), ("user", "Do it.")):
    content = [{"type": "input_text", "text": text}]
    said.append({"type": "message", "role": role, "content": content})
for _ in range(3):
    body = {"model": "any", "input": said, "tools": TOOLS[1:], "stream": True, "store": False}
    status, events = post("/v1/responses", body)
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    print(json.dumps([item for item in done if item["type"] != "message"]))
    said += done
    for item in done:
        kind, result = item["type"], {"call_id": item.get("call_id"), "output": "ok"}
        if kind == "tool_search_call":
            found = {"tools": [SUBAGENTS], "call_id": item["call_id"]}
            said.append({"type": "tool_search_output", "execution": "client", **found})
        elif kind.endswith("_call"):
            said.append({"type": kind + "_output", **result})
"""


@pytest.fixture
def server() -> Iterator[Script]:
    """A scripted server."""
    with serving() as running:
        yield running


def calls(*made: tuple[str, dict[str, Any]]) -> Any:
    """An answer that calls these tools."""
    tool_calls = [
        function(name, json.dumps(words), id=f"call_{number}_{name}")
        for number, (name, words) in enumerate(made)
    ]
    return completion({"content": "", "tool_calls": tool_calls})


def offered(request: dict[str, Any]) -> list[str]:
    """The names of the tools of a request to the server."""
    return [tool["function"]["name"] for tool in request.get("tools", [])]


def program(path: Path, text: str, **values: Any) -> str:
    """The command of an agent that has these values."""
    given = "".join(
        f"{name} = json.loads({json.dumps(value)!r})\n" for name, value in values.items()
    )
    return script(path, f"{CLIENT}{given}{text}")


def test_codex_calls_its_tools_by_their_own_kinds(tmp_path: Path, server: Script) -> None:
    """Tools that take a text, namespaces, and tools that appear later; in one conversation."""
    tools = [EXEC, PATCH, SEARCH, {"type": "web_search"}]
    command = program(tmp_path, CODEX, TOOLS=tools, SUBAGENTS=SUBAGENTS)
    server.answers = [
        calls(("exec_command", {"cmd": "ls"}), ("apply_patch", {"input": "*** Begin Patch"})),
        calls(("tool_search", {"query": "agent"})),
        calls(("multi_agent__spawn", {"message": "hi"})),
    ]
    with at_work(tmp_path, server, command) as agent:
        assert agent.run("Do it.") == "submitted"
    one, two, three = map(json.loads, agent.foreign.log.splitlines())
    assert [item["type"] for item in one] == ["function_call", "custom_tool_call"]
    assert (one[1]["name"], one[1]["input"]) == ("apply_patch", "*** Begin Patch")
    assert (two[0]["type"], two[0]["arguments"]) == ("tool_search_call", {"query": "agent"})
    assert (three[0]["name"], three[0]["namespace"]) == ("spawn", "multi_agent")
    known = ["apply_patch", "tool_search", "exec_command"]
    assert [*map(offered, server.seen)] == [known, known, [*known, "multi_agent__spawn"]]
    assert "start: hunk+" in server.seen[0]["tools"][0]["function"]["description"]
    assert [call.opens for call in agent.model_calls] == [0, 0, 0]
    assert [call.tool for call in agent.tool_calls] == [known[2], *known[:2]]
    assert [tool["function"]["name"] for tool in agent.definitions] == [
        *known,
        "multi_agent__spawn",
    ]
    assert agent.messages[0] == {"role": "system", "content": "Work."}


def test_tools_that_openai_defines_and_the_agent_executes() -> None:
    """`local_shell` has no schema of its own; a choice of it, or among several, is understood."""
    wire, tools = WIRES["responses"], [{"type": "local_shell"}, {"type": "file_search"}]
    choice = {"type": "allowed_tools", "mode": "required", "tools": tools}
    body = {"input": "go", "tools": tools, "tool_choice": choice}
    asked = wire.asked(body)
    assert offered(asked) == ["local_shell"] and asked["tool_choice"] == "required"
    made = calls(("local_shell", {"command": ["ls"], "timeout_ms": 9})).body
    answer = wire.answered(made, body)
    (item,) = answer["output"]
    assert (item["type"], item["call_id"]) == ("local_shell_call", "call_0_local_shell")
    assert item["action"] == {"type": "exec", "env": {}, "command": ["ls"], "timeout_ms": 9}
    result = {"type": "local_shell_call_output", "call_id": item["call_id"], "output": "a.py"}
    said, heard = wire.asked({"input": [item, result]})["messages"]
    assert said["tool_calls"] == made["choices"][0]["message"]["tool_calls"]
    assert heard == {"role": "tool", "tool_call_id": item["call_id"], "content": "a.py"}


CLAUDE = """
system = [{"type": "text", "text": "You are an agent."}, {"type": "text", "text": "Work."}]
said = [
    {"role": "user", "content": [{"type": "text", "text": "Do it."}]},
    {"role": "system", "content": [{"type": "text", "text": "# Environment"}]},
]
for _ in range(3):
    body = {"model": "any", "system": system, "messages": said, "tools": TOOLS, "stream": True}
    body |= {"max_tokens": 99, "thinking": {"type": "adaptive"}, "output_config": {"effort": "x"}}
    status, events = post("/v1/messages?beta=true", body)
    starts = [event["content_block"] for event in events if "content_block" in event]
    parts = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    inputs = [json.loads(part["partial_json"]) for part in parts if "partial_json" in part]
    blocks = [block for block in starts if block["type"] == "tool_use"]
    for block, given in zip(blocks, inputs):
        block["input"] = {"replace_all": False, **given}
    ok = {"type": "tool_result", "content": "ok"}
    results = [{**ok, "tool_use_id": block["id"]} for block in blocks]
    if blocks and blocks[0]["name"] == "ToolSearch":
        results[0]["content"] = [{"type": "tool_reference", "tool_name": "WebFetch"}]
    said += [{"role": "assistant", "content": blocks}, {"role": "user", "content": results[::-1]}]
    print(status, post("/v1/messages/count_tokens", {"messages": said})[0])
"""


def test_claude_code_works_in_one_conversation(tmp_path: Path, server: Script) -> None:
    """It sends messages of the system in between, completes arguments, and loads tools."""
    schema: dict[str, Any] = {"input_schema": {"type": "object"}}
    tools = [{"name": name, **schema} for name in ("Bash", "Edit", "ToolSearch")]
    tools += [{"name": "WebFetch", "defer_loading": True, **schema}]
    command = program(tmp_path, CLAUDE, TOOLS=tools)
    server.answers = [
        calls(("Bash", {"command": "ls"}), ("Edit", {"file_path": "a"})),
        calls(("ToolSearch", {"query": "web"})),
        completion(),
    ]
    with at_work(tmp_path, server, command) as agent:
        agent.run("Do it.")
    assert agent.foreign.log == "200 200\n" * 3
    assert len(server.seen) == 3, "counting tokens asks nobody"
    known = ["Bash", "Edit", "ToolSearch"]
    assert [*map(offered, server.seen)] == [known, known, [*known, "WebFetch"]]
    assert [call.opens for call in agent.model_calls] == [0, 0, 0]
    assert [(call.tool, call.message) for call in agent.tool_calls] == [
        *(("Edit", 4), ("Bash", 5), ("ToolSearch", 7))
    ]
    assert agent.tool_calls[0].arguments == {"file_path": "a"}, "as the model said it"
    roles = [message["role"] for message in agent.messages]
    assert "".join(role[0] for role in roles) == "susattata", "s: system, u: user, t: tool"
    assert agent.messages[0]["content"] == "You are an agent.\nWork."


def test_a_strict_server_gets_an_agents_messages_in_turn(tmp_path: Path, server: Script) -> None:
    """It refuses the system in the middle, and takes the same in its own form."""
    server.answers = [failure(400, "System message must be at the beginning."), completion()]
    command = program(tmp_path, CLAUDE.replace("range(3)", "range(1)"), TOOLS=[])
    with at_work(tmp_path, server, command) as agent:
        agent.run("Do it.")
    assert agent.foreign.log == "200 200\n"
    assert [message["role"] for message in server.seen[0]["messages"]] == [
        "system",
        "user",
        "system",
    ]
    assert [message["role"] for message in server.seen[1]["messages"]] == ["system", "user"]
    assert server.seen[1]["messages"][1]["content"] == "Do it.\n\n# Environment"
    assert [message["role"] for message in agent.messages[:3]] == ["system", "user", "system"]


AROUND = """
print(get("/api/hello", "HEAD")[0], get("/v1/models/m")[0], get("/v1/models")[0], end=" ")
print(get("/v1/responses", headers={"Upgrade": "websocket"})[0], end=" ")
print(post("/api/event_logging/batch", {"events": []})[0], end=" ")
print(post("/v1/messages/batches", {"messages": []})[0], end=" ")
print(post("/v1/responses/input_tokens", {"input": "x" * 400})[1][0]["input_tokens"])
"""


def test_requests_around_the_work_are_not_counted(tmp_path: Path, server: Script) -> None:
    """Greetings, lists of models, web sockets, telemetry and token counts ask no model."""
    with at_work(tmp_path, server, program(tmp_path, AROUND)) as agent:
        agent.run("Do it.")
    *codes, tokens = agent.foreign.log.split()
    assert codes == ["200", "200", "200", "426", "404", "404"]
    assert 90 < int(tokens) < 130
    assert not agent.model_calls and not server.seen


BODIES = """
for number, (encoding, data) in enumerate(BODIES):
    headers = {"Content-Encoding": encoding} if encoding else {"Transfer-Encoding": "chunked"}
    body = bytes.fromhex(data)
    chunks = b"%x\\r\\n%b\\r\\n0\\r\\n\\r\\n" % (len(body), body)
    print(post("/v1/chat/completions", body if encoding else chunks, headers=headers)[0], end=" ")
"""


def test_bodies_come_compressed_and_in_chunks(tmp_path: Path, server: Script) -> None:
    """As clients may send them; what cannot be read is refused, also a bomb."""
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
    forms = {
        "gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "zstd": compress(body),
        "": body,
        "br": body,
        "x-gzip": gzip.compress(bytes(32 << 20)),
    }
    given = [(encoding, data.hex()) for encoding, data in forms.items()]
    server.answers = [completion()]
    with at_work(tmp_path, server, program(tmp_path, BODIES, BODIES=given)) as agent:
        agent.run("Do it.")
    assert agent.foreign.log.split() == ["200", "200", "200", "200", "400", "400"]
    assert len(server.seen) == 4


AGAIN = """
said = [{"role": "user", "content": "go"}]
for wait in (0.3, 60):
    try:
        status, (answer,) = post("/v1/chat/completions", {"messages": said, "n": wait}, wait)
    except OSError:
        print("waited in vain")
said.append(answer["choices"][0]["message"])
post("/v1/chat/completions", {"messages": [*said, said[0]]})
"""


def test_an_agent_that_asks_again_gets_the_same_answer(tmp_path: Path, server: Script) -> None:
    """The model is asked once, and the conversation goes on."""
    slow = completion({"content": "late"})
    slow.delay = 1.0
    server.answers = [slow, completion()]
    with at_work(tmp_path, server, program(tmp_path, AGAIN)) as agent:
        agent.run("Do it.")
    assert agent.foreign.log == "waited in vain\n"
    assert len(server.seen) == 2
    assert [call.opens for call in agent.model_calls] == [0, 0]
    assert [message["content"] for message in agent.messages] == ["go", "late", "go", "hi"]


class BrokenOnce(LocalSandbox):
    """The first command that fetches an event breaks as `how` says."""

    how = ""
    broken = 0

    def run(
        self, command: str, *, timeout: float = 120.0, output_limit: int = 65536
    ) -> CommandResult:
        """Run a command."""
        if " next " in command and not self.broken:
            self.broken += 1
            command = self.how.format(command)
        return super().run(command, timeout=timeout, output_limit=output_limit)


@pytest.mark.parametrize("how", ["timeout -s KILL 0.3 {}", "{} >/dev/null"])
def test_a_command_that_breaks_does_not_end_the_agent(
    tmp_path: Path, server: Script, how: str
) -> None:
    """A loaded machine may kill what waits for a request, or lose its output; the next gets it."""
    server.answers = [completion()]
    sandbox = BrokenOnce(tmp_path)
    sandbox.how = how
    command = script(tmp_path, 'import time; time.sleep(1); print(ask("go")["content"])')
    agent = CommandAgent(command, server.model(), "m", sandbox, AttemptLimits())
    try:
        assert agent.run("Do it.") == "submitted"
    finally:
        sandbox.close()
    assert sandbox.broken and agent.foreign.log == "hi\n" and len(server.seen) == 1


def test_events_are_returned_until_they_are_answered(tmp_path: Path) -> None:
    """The command that fetched one may have broken: the end is never waited for in vain."""
    from forager.programs.gateway.waiting import Requests

    requests = Requests(tmp_path)
    mine, theirs = socket.socketpair()
    with mine, theirs:
        assert requests.hold("/v1/messages", "", b"{}", mine)
        first, again = requests.next(0, 1), requests.next(0, 1)
        assert (first["kind"], first["number"]) == ("request", 1) and again == first
        theirs.close()
        answered = [requests.next(1, 0.1) for _ in range(2)]
        assert [(event["kind"], event["lost"]) for event in answered] == [("waiting", True)] * 2
        requests.end(3)
        assert [requests.next(0, 0.1).get("code") for _ in range(2)] == [3, 3]


def test_an_agent_that_kills_its_gateway_has_failed(tmp_path: Path, server: Script) -> None:
    """Its exit code is unknown; without a request the attempt is lost."""
    server.answers = [completion()]
    command = script(tmp_path, 'ask("go")') + "; kill -9 $PPID"
    with at_work(tmp_path, server, command) as agent:
        assert agent.run("Do it.") == "agent_failed"
    assert agent.foreign.exit_code is None
    with (
        at_work(tmp_path, server, "kill -9 $PPID") as agent,
        pytest.raises(AgentError, match="gateway in the sandbox ended before"),
    ):
        agent.run("Do it.")


FULL = """
said = [{"role": "user", "content": "go"}, {"role": "assistant", "content": "hi"}]
print(post("/v1/messages", {"messages": [*said, said[0]], "max_tokens": 9})[1][0]["error"])
"""


def test_an_agent_learns_that_its_conversation_is_too_long(tmp_path: Path, server: Script) -> None:
    """Claude Code shortens it when it reads Anthropic's words for that; Codex gives up."""
    server.answers = [failure(400, "maximum context length is 9", code="context_length_exceeded")]
    with at_work(tmp_path, server, program(tmp_path, FULL)) as agent:
        assert agent.run("Do it.") == "token_limit"
    assert "no room left" in agent.refusal
    assert "'invalid_request_error'" in agent.foreign.log
    assert "prompt is too long: " in agent.foreign.log


TIGHT = """
said = [{"role": "user", "content": "go"}]
for _ in range(2):
    print(post("/v1/messages", {"messages": said, "max_tokens": 32000})[0], end=" ")
"""


def test_an_agent_that_asks_for_more_than_fits_is_answered(tmp_path: Path, server: Script) -> None:
    """Claude Code asks for 32,000 tokens of a context that may have no more; the rest is left."""
    server.answers = [failure(400, "max_tokens is too large: 32000"), completion()]
    with at_work(tmp_path, server, program(tmp_path, TIGHT)) as agent:
        agent.run("Do it.")
    assert agent.foreign.log == "200 200 "
    assert ["max_tokens" in request for request in server.seen] == [True, False, False]


LATER = """
go, hi = {"role": "user", "content": "go"}, {"role": "assistant", "content": "hi"}
for _ in range(3):
    print(post("/v1/messages", {"messages": [go, hi, go], "max_tokens": 9})[0], end=" ")
"""


def test_a_conversation_that_is_too_long_keeps_the_agents_limit(
    tmp_path: Path, server: Script
) -> None:
    """The limit was not at fault: without it the question was refused as well."""
    full = failure(400, "maximum context length is 9", code="context_length_exceeded")
    server.answers = [completion(), full, full, completion()]
    with at_work(tmp_path, server, program(tmp_path, LATER)) as agent:
        agent.run("Do it.")
    assert agent.foreign.log == "200 400 200 "
    assert ["max_tokens" in request for request in server.seen] == [True, True, False, True]


def test_a_slow_stream_shows_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients give up on a server that sends nothing; an error still arrives."""
    from http.client import HTTPConnection

    from forager.programs.gateway import server as gateway
    from forager.programs.gateway.waiting import Requests

    monkeypatch.setattr(gateway, "_PULSE", 0.1)
    requests = Requests(tmp_path)
    connection = HTTPConnection("127.0.0.1", gateway.serve(requests, "m"), timeout=20)
    connection.request("POST", "/v1/messages", b'{"stream": true}')
    event = requests.next(0, 20)
    time.sleep(0.3)
    (tmp_path / "1.answer").write_bytes(b'400 application/json\n{"type": "error"}')
    threading.Thread(target=requests.next, args=(event["number"], 0.1)).start()
    text = connection.getresponse().read().decode()
    assert text.startswith('event: ping\ndata: {"type": "ping"}\n\n')
    assert text.endswith('event: error\ndata: {"type": "error"}\n\n')


PICTURE = "data:image/png;base64,AAAA"
SHOWN: Message = {
    "role": "user",
    "content": [
        {"type": "text", "text": "See."},
        {"type": "image_url", "image_url": {"url": PICTURE}},
    ],
}
ASKED: dict[str, Any] = {
    "messages": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "See.", "cache_control": {"type": "ephemeral"}},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                    },
                ],
            }
        ]
    },
    "responses": {
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "See."},
                    {"type": "input_image", "image_url": PICTURE},
                ],
            }
        ]
    },
    "chat": {"messages": [SHOWN]},
}


@pytest.mark.parametrize("form", WIRES)
def test_pictures_pass_through_in_each_form(form: str) -> None:
    """Read from an agent and written to a server, they stay; what servers do not take is named."""
    wire = WIRES[form]
    asked = wire.asked(ASKED[form])
    assert asked["messages"] == [SHOWN]
    assert wire.asked(wire.request(asked))["messages"] == [SHOWN]
    sent = json.dumps(ASKED[form]).replace('"image', '"sound').replace("input_image", "input_audio")
    assert "[left out: " in json.dumps(wire.asked(json.loads(sent))["messages"])


def test_a_picture_in_a_result_follows_it() -> None:
    """Results of tools are texts for chat completions."""
    part = {"type": "input_image", "image_url": PICTURE}
    output = {"type": "function_call_output", "call_id": "1", "output": [part]}
    asked = WIRES["responses"].asked({"input": [output, output, {"role": "user", "content": "?"}]})
    assert [message["role"] for message in asked["messages"]] == ["tool", "tool", "user", "user"]


def test_strict_servers_get_the_roles_in_turn() -> None:
    """One message of the system at first; results belong to their calls in whatever order."""
    call = {"type": "function", "function": {"name": "sh", "arguments": "{}"}}
    messages: list[Message] = [
        {"role": "system", "content": "a"},
        {"role": "system", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "system", "content": "d"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{**call, "id": "x"}, {**call, "id": "y"}],
        },
        {"role": "tool", "tool_call_id": "y", "content": "of y"},
        {"role": "tool", "tool_call_id": "x", "content": "of x"},
    ]
    made = plain(messages)
    assert [(message["role"], message.get("content")) for message in made[:2]] == [
        *(("system", "a\n\nb"), ("user", "c\n\nd"))
    ]
    ids = [call["id"] for call in made[2]["tool_calls"]]
    assert [message["tool_call_id"] for message in made[3:]] == ids[::-1]


def test_settings_of_one_form_do_not_reach_a_server_of_another(server: Script) -> None:
    """Codex asks for an effort and Claude Code for thinking, by names of their providers."""
    from forager.agent.endpoint import ChatEndpoint

    effort, thinking = {"reasoning_effort": "high"}, {"thinking": {"type": "adaptive"}}
    theirs = Sampling(seed=1, extra_body={**effort, **thinking, "tool_choice": "auto"})
    model = server.model(endpoint=ChatEndpoint(server.url, "secret", api="messages"))
    kept = model.tuned(theirs).sampling
    assert kept == Sampling(extra_body={**thinking, "tool_choice": "auto"})
    kept = server.model().tuned(theirs).sampling
    assert kept == Sampling(seed=1, extra_body={**effort, "tool_choice": "auto"})


def test_one_of_two_like_conversations_is_continued_by_its_words() -> None:
    """Ids of calls tell them apart only where the words do not."""
    said = Conversations()
    start: Message = {"role": "user", "content": "go"}
    answers = [
        {"role": "assistant", "tool_calls": [{**function("sh", words), "id": "0"}]}
        for words in ('{"a": 1}', '{"a": 2}')
    ]
    talks = []
    for answer in answers:
        talks.append(said.continued([start], [], 0))
        talks[-1].say(answer)
    result = {"role": "tool", "tool_call_id": "0", "content": "ok"}
    assert said.continued([start, answers[1], result], [], 0) is talks[1]


def test_an_empty_answer_may_be_left_out() -> None:
    """Claude Code drops it and asks for words; the conversation goes on, and keeps the answer."""
    said = Conversations()
    start, more = ({"role": "user", "content": text} for text in ("go", "Say something."))
    talk = said.continued([start], [], 0)
    talk.say({"role": "assistant", "content": "", "reasoning_content": "Hm."})
    assert said.continued([start], [], 0) is not talk, "the same question anew"
    assert said.continued([start, more], [], 0) is talk
    assert [message["role"] for message in talk.messages] == ["user", "assistant", "user"]
    talk.say({"role": "assistant", "content": "Well."})
    assert said.continued([start, more, talk.messages[-1], more], [], 0) is talk
