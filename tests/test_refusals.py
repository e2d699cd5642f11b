"""What a server's refusal ends: one attempt, or the run; and what servers get to read.

The server is real, and answers what each test scripts.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from test_chat import (
    LATER,
    QUESTION,
    TOOL,
    Answer,
    Script,
    completion,
    failure,
    function,
    serving,
)

from forager.agent.loop import Agent
from forager.agent.model import Reply, ScriptedModel
from forager.agent.outgoing import NO_ANSWER, plain
from forager.agent.syntax import SYNTAXES
from forager.errors import LimitReached, ModelError, ModelRefusal, PromptRefused
from forager.rollout.breaker import HOLDS, LOST_IN_A_ROW, CircuitBreaker
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.trajectories.record import AttemptLimits, Message, Sampling, Usage
from tools import TOOLBOX

CALL = function("bash", '{"command": "true"}', id="a")


@pytest.fixture
def server() -> Iterator[Script]:
    """Run a server; yield its script."""
    with serving() as script:
        yield script


def ended(
    server: Script, *answers: Answer, messages: list[Message] = LATER, **settings: Any
) -> Any:
    """Ask and return the end of the attempt."""
    server.seen.clear()
    with pytest.raises(LimitReached) as caught:
        server.ask(*answers, messages=messages, **settings)
    return caught.value


# The end of an attempt


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Invalid request: Your request exceeded model token limit: 32768 (requested: 33110)"),
        (400, "This model's maximum prompt length is 32768 but the request contains 33110 tokens."),
        (400, "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 3]"),
        (422, "Input validation error: `inputs` must have less than 32768 tokens. Given: 33110"),
        (400, "The sum of prompt length (9.0), query length (0) should not exceed max_num_tokens"),
        (400, "too many tokens: total number of tokens in the prompt exceeds the limit of 32768"),
        (400, "[input_too_large] Current message (33110 tokens) exceeds budget (32768 tokens)"),
        (400, "Prompt too long"),
        (400, "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
        (400, "Input is too long for requested model."),
        (429, "Request too large for m on tokens per min (TPM): Limit 8, Requested 9."),
        (500, "the request exceeds the available context size"),
        (503, "litellm.ContextWindowExceededError: prompt is too long: 9 tokens > 8 maximum"),
    ],
)
def test_words_about_the_length_end_the_attempt(server: Script, status: int, words: str) -> None:
    """One request is enough where the words are known, whatever the status, also with 200."""
    for answer in (
        failure(status, words),
        Answer({"error": {"message": words, "code": status}}),
        Answer({"error": {"message": "Provider error", "metadata": {"raw": words}}}, status),
    ):
        end = ended(server, answer)
        assert (end.reason, end.refusal, len(server.seen)) == ("token_limit", "", 1)


UNKNOWN = [
    failure(400, "Prompt \u8d85\u957f"),
    failure(422, "no"),
    Answer({"error": {"message": "no", "code": 400}}),
    Answer({"choices": [{"error": {"message": "no", "code": "400"}, "message": None}]}),
]


@pytest.mark.parametrize("refusal", UNKNOWN)
def test_a_conversation_that_is_refused_alone_ends_its_attempt(
    server: Script, refusal: Answer
) -> None:
    """Whatever the words: the server takes another conversation under the same settings."""
    sampling = Sampling(temperature=0.5, extra_body={"top_k": 3})
    end = ended(server, refusal, completion(), sampling=sampling)
    assert (end.reason, len(server.seen)) == ("token_limit", 2)
    assert end.refusal in ("Prompt \u8d85\u957f", "no")
    first, second = server.seen
    assert second.pop("messages") == [{"role": "user", "content": "Say yes."}]
    assert first.pop("messages") == LATER
    assert first == second


def test_a_filter_of_contents_has_its_own_exit_reason(server: Script) -> None:
    """A filtered conversation ends, with 400 as with 403."""
    for status in (400, 403):
        answer = failure(status, "The response was filtered", code="content_filter")
        again = [] if status == 400 else [answer]
        assert ended(server, answer, completion(), *again, completion()).reason == "content_filter"


@pytest.mark.parametrize("refusal", [*UNKNOWN, failure(401), failure(403), failure(402)])
def test_a_server_that_refuses_everything_is_a_fault_of_the_run(
    server: Script, refusal: Answer
) -> None:
    """A key that was revoked, or a server that was restarted otherwise, ends no attempt."""
    with pytest.raises(ModelRefusal, match="answers"):
        server.ask(refusal, messages=LATER)


def test_an_error_that_one_conversation_meets_ends_its_attempt(server: Script) -> None:
    """After all tries, another conversation is answered and this one is not, again."""
    three = [failure(500, "boom")] * 3
    end = ended(server, *three, completion(), *three, completion())
    assert (end.reason, end.refusal, len(server.seen)) == ("token_limit", "boom", 8)


def test_an_outage_that_is_over_ends_nothing(server: Script) -> None:
    """The server came back while it was asked something else; if it did not, nothing is known."""
    reply = server.ask(*[failure(502)] * 3, completion(), completion(), messages=LATER)
    assert reply.message["content"] == "hi"
    server.seen.clear()
    with pytest.raises(ModelError, match="answers 502") as caught:
        server.ask(failure(502), messages=LATER)
    assert not isinstance(caught.value, ModelRefusal)


# First prompts


@pytest.mark.parametrize("refusal", [*UNKNOWN, failure(400, "prompt is too long")])
def test_a_first_prompt_is_judged_by_those_of_other_attempts(
    server: Script, refusal: Answer
) -> None:
    """Refused settings are the run's fault; a refused prompt is not, once others are taken."""
    with pytest.raises(PromptRefused):
        server.ask(refusal)
    server.seen.clear()
    server.ask(completion())
    assert ended(server, refusal, completion(), messages=QUESTION).reason == "token_limit"
    server.seen.clear()
    with pytest.raises(PromptRefused):  # these settings are others
        server.ask(refusal, sampling=Sampling(temperature=9))


def test_refused_first_prompts_end_a_run_later_than_other_refusals() -> None:
    """The next prompt may be shorter: ten in a row are too many, with short pauses."""
    breaker = CircuitBreaker(0.001)
    for _ in range(LOST_IN_A_ROW + HOLDS - 1):
        breaker.lost(float("inf"), PromptRefused("too long"))
        assert breaker.wait() <= 0.001
    with pytest.raises(PromptRefused):
        breaker.lost(float("inf"), PromptRefused("too long"))


# What servers read


@pytest.mark.parametrize("given", [{"content": None}, {"content": ""}, {}])
def test_calls_without_text_go_back_as_they_came(server: Script, given: dict[str, Any]) -> None:
    """Servers that refuse an empty text give null, or no content at all."""
    message = {"role": "assistant", "tool_calls": [CALL], **given}
    server.answers = [Answer({"choices": [{"message": message}]}), completion()]
    reply = server.model().query(QUESTION, [])
    server.model().query([*QUESTION, reply.message], [TOOL])
    assert server.seen[1]["messages"][1] == message
    server.model().query([*QUESTION, reply.message], [])  # nobody answers a call without tools
    assert server.seen[2]["messages"][1] == {"role": "assistant", "content": NO_ANSWER}


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_an_empty_answer_is_not_sent_as_it_is(server: Script, content: str | None) -> None:
    """A word stands for it, except where the ids of the next prompt must extend those before."""
    reply = server.ask(completion({"content": content, "reasoning_content": "hm"}))
    assert reply.message["content"] == content
    server.model().query([*QUESTION, reply.message], [])
    sent = server.seen[1]["messages"][1]
    assert sent == {"role": "assistant", "content": NO_ANSWER, "reasoning_content": "hm"}
    server.model(token_ids=True).query([*QUESTION, reply.message], [])
    assert server.seen[2]["messages"][1] == reply.message


ODD: list[Message] = [
    *QUESTION,
    {"role": "assistant", "content": "", "reasoning": "hm", "tool_calls": [CALL, CALL]},
    {"role": "tool", "tool_call_id": "a", "content": "one"},
    {"role": "tool", "tool_call_id": "a", "content": "two"},
    {"role": "assistant", "content": None, "reasoning_content": "hm"},
    {"role": "user", "content": "no call"},
    {"role": "assistant", "content": "x", "tool_calls": [function("bash<|end|>", '{"', id="a")]},
    {"role": "tool", "tool_call_id": "a", "content": "three"},
]


def test_the_plain_form_is_what_the_strictest_servers_take() -> None:
    """Ids are unique and belong together, names are identifiers, nothing is empty or unknown."""
    true = CALL["function"]
    assert plain(ODD) == [
        *QUESTION,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call00000", "type": "function", "function": true},
                {"id": "call00001", "type": "function", "function": true},
            ],
        },
        {"role": "tool", "tool_call_id": "call00000", "content": "one"},
        {"role": "tool", "tool_call_id": "call00001", "content": "two"},
        {"role": "assistant", "content": NO_ANSWER},
        {"role": "user", "content": "no call"},
        {
            "role": "assistant",
            "content": "x",
            "tool_calls": [function("bash__end__", "{}", id="call00002")],
        },
        {"role": "tool", "tool_call_id": "call00002", "content": "three"},
    ]
    assert plain(plain(ODD)) == plain(ODD)


def test_a_refused_conversation_is_asked_once_more_in_plain_form(server: Script) -> None:
    """Servers refuse fields that others give; an attempt goes on where the plain form helps."""
    reply = server.ask(failure(400, "extra inputs"), completion(), messages=ODD)
    assert reply.message["content"] == "hi"
    assert [request["messages"] for request in server.seen][1] == plain(ODD)
    end = ended(server, failure(400), failure(400), completion(), messages=ODD)
    assert (end.reason, len(server.seen)) == ("token_limit", 3)


# What the model reads


def told(tmp_path: Path, syntax: str, replies: Sequence[Message | Reply]) -> list[str]:
    """What the model reads after each of these replies."""
    with LocalSandbox(tmp_path) as sandbox:
        limits = AttemptLimits(format_errors=2)
        agent = Agent(ScriptedModel(replies), sandbox, TOOLBOX, SYNTAXES[syntax], limits)
        assert agent.run("go") == "format_errors"
    return [str(said["content"]) for said in agent.messages[2:] if said["role"] != "assistant"]


def test_a_model_reads_that_its_answer_was_cut_off(tmp_path: Path) -> None:
    """The refusal of half a call says why it is half; a whole call is made."""
    half: Message = {"role": "assistant", "content": None, "tool_calls": [function("bash", '{"c')]}
    usage = Usage(completion_tokens=4096)
    first, second = told(
        tmp_path, "functions", [Reply(half, usage, "length"), Reply(half, usage, "stop")]
    )
    assert first.startswith("Your message was cut off after 4,096 tokens, at the limit of its")
    assert "The arguments are not valid JSON" in first
    assert second.startswith("The arguments are not valid JSON")
    nothing: Message = {"role": "assistant", "content": None, "reasoning_content": "Let me"}
    whole: Message = {"role": "assistant", "content": "<tool: bash>\necho one\n</tool>"}
    first, second, third = told(
        tmp_path,
        "text",
        [
            Reply(whole, finish_reason="length"),
            Reply(nothing, finish_reason="max_tokens"),
            Reply(nothing, finish_reason="content_filter"),
        ],
    )
    assert first.startswith("one\n[exit code 0]\n[Your message was cut off, at the limit")
    assert second.startswith("Your message was cut off, at the limit of its length: write less in ")
    assert "Your message holds no tool call." in second
    assert third.startswith("A filter of the server cut your message off. Your message holds no ")
