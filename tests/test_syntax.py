"""The two syntaxes of calls: what parses, what is refused, and the messages."""

import json
import random
from typing import Any

import pytest

from forager.agent.syntax import SYNTAXES, FunctionCalling, TextCalls, assistant
from forager.agent.tool import Call
from forager.errors import FormatError
from tools import TOOLBOX

FUNCTIONS, TEXT = FunctionCalling(), TextCalls()
LS = Call("bash", {"command": "ls"})


def text(content: str | None) -> dict[str, Any]:
    """Return an assistant message of text."""
    return {"role": "assistant", "content": content}


def calls(*functions: Any) -> dict[str, Any]:
    """Return an assistant message of calls: pairs of name and arguments, or raw entries."""
    entries = [
        {"id": f"id{n}", "function": {"name": function[0], "arguments": function[1]}}
        if isinstance(function, tuple)
        else function
        for n, function in enumerate(functions)
    ]
    return {"role": "assistant", "content": None, "tool_calls": entries}


# Text


@pytest.mark.parametrize(
    ("content", "call"),
    [
        ("<tool: bash>\nls\n</tool>", LS),
        ("I look.\n\n<tool: bash>\nls\n</tool>\n\n  ", LS),
        ("<tool:bash>\nls\n</tool>", LS),
        ("<tool:  bash >  \nls\n</tool> \t", LS),
        ("<tool: bash>\r\nls\n</tool>\r\n", LS),
        ("Calls look like `<tool: NAME>` here.\n<tool: bash>\nls\n</tool>", LS),
        ("<tool: submit>\n</tool>", Call("submit", {})),
        ("<tool: submit>\n\n</tool>", Call("submit", {})),
        ("<tool: bash>\n\nls\n\n</tool>", Call("bash", {"command": "\nls\n"})),
        ("<tool: bash>\necho '\n</tool>'\n</tool>", Call("bash", {"command": "echo '\n</tool>'"})),
        (
            "<tool: create>\np\n<tool: bash>\n</tool>\n</tool>",
            Call("create", {"path": "p", "content": "<tool: bash>\n</tool>\n"}),
        ),
        (
            "<tool: create>\np\n</tool>\nafter\n</tool>",
            Call("create", {"path": "p", "content": "</tool>\nafter\n"}),
        ),
    ],
)
def test_a_text_call_goes_from_the_first_opening_to_the_last_closing(
    content: str, call: Call
) -> None:
    """Thoughts precede the call, and its body may contain either tag."""
    assert TEXT.read(text(content), TOOLBOX) == call


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no tool call. Write\n<tool: NAME>"),
        (None, "no tool call"),
        ("I am done.", "no tool call"),
        ("</tool>", "no tool call"),
        ("<tool: bash> ls </tool>", "a tag <tool: …> that is not alone on its line"),
        ("See <tool: bash>\nls\n</tool>", "not alone on its line"),
        ("<tool: bash>\nls", "not closed"),
        ("<tool: bash>\nls </tool>", "not closed"),
        ("<tool: bash>\nls\n</tool>\nNow I wait.", "text after the call"),
        ("```\n<tool: bash>\nls\n</tool>\n```", "text after the call"),
        ("<tool: bash>\nls\n</tool>\n<tool: bash>\npwd\n</tool>", "several calls, none was made"),
        ("<tool: bash>\nls\n</tool>\nNow\n<tool: bash>\npwd\n</tool>", "several calls"),
        ("<tool: bash>\nls\n</tool>\n<tool: bash>\npwd", "several calls"),
        ("<tool: view>\na\n</tool>", "no tool 'view'. The tools are: bash, edit, create, submit."),
        ("<tool: >\na\n</tool>", "no tool ''"),
        ("<tool: edit>\np\n</tool>", "The body of edit is:"),
        ("<tool: bash>\n</tool>", "The command is empty"),
    ],
)
def test_what_is_no_text_call_is_told_what_to_do(content: str | None, told: str) -> None:
    """Each mistake has a message that a model can act on; nothing is guessed."""
    with pytest.raises(FormatError) as caught:
        TEXT.read(text(content), TOOLBOX)
    assert told in str(caught.value)


# Functions


@pytest.mark.parametrize(
    ("name", "arguments", "call"),
    [
        ("bash", '{"command": "ls"}', LS),
        (" bash ", '{"command": "ls"}', LS),
        ("submit", "{}", Call("submit", {})),
        ("submit", "", Call("submit", {})),
        ("submit", None, Call("submit", {})),
        (
            "create",
            '{"content": "</tool>\\u0000", "path": "p"}',
            Call("create", {"path": "p", "content": "</tool>\0"}),
        ),
    ],
)
def test_a_function_call_is_read(name: str, arguments: str | None, call: Call) -> None:
    """Arguments are a JSON object of strings, and may be omitted if empty."""
    assert FUNCTIONS.read(calls((name, arguments)), TOOLBOX) == call


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (text("hello"), "no tool call: each turn takes exactly one. Call one of: bash, edit"),
        (text("<tool: bash>\nls\n</tool>"), "no tool call"),
        ({"role": "assistant", "content": "", "tool_calls": []}, "no tool call"),
        (calls(("bash", "{}"), ("submit", "{}")), "holds 2 calls, none was made"),
        (calls(("view", "{}")), "There is no tool 'view'. The tools are: bash, edit"),
        (calls({"id": "a"}), "There is no tool ''"),
        (calls({"function": {"name": None}}), "There is no tool ''"),
        (calls(("bash", '{"command": "ls')), "not valid JSON (EOF while parsing a string"),
        (calls(("bash", "[" * 100_000)), "not valid JSON"),
        (calls(("bash", '["ls"]')), "not a JSON object. bash takes a JSON object with: command."),
        (calls(("bash", "{}")), "Wrong arguments: 'command' is missing. bash takes"),
        (calls(("bash", '{"cmd": "ls"}')), "'command' is missing, 'cmd' is unknown."),
        (calls(("bash", '{"command": ["ls"]}')), "'command' is not a string."),
        (calls(("bash", '{"command": null}')), "'command' is not a string."),
        (calls(("submit", '{"path": "a"}')), "'path' is unknown. submit takes a JSON object with"),
    ],
)
def test_what_is_no_function_call_is_told_what_to_do(message: Any, told: str) -> None:
    """Malformed calls, from model or server, get a message and never crash."""
    with pytest.raises(FormatError) as caught:
        FUNCTIONS.read(message, TOOLBOX)
    assert told in str(caught.value)


# Answers, definitions, instructions


def test_every_function_call_is_answered() -> None:
    """Servers require an answer per id, even if all calls were refused."""
    assert FUNCTIONS.answers(calls(("bash", "{}"), ("submit", "{}")), "one only") == [
        {"role": "tool", "tool_call_id": "id0", "content": "one only"},
        {"role": "tool", "tool_call_id": "id1", "content": "one only"},
    ]
    assert FUNCTIONS.answers(text("hello"), "call") == [{"role": "user", "content": "call"}]
    assert TEXT.answers(text("hello"), "call") == [{"role": "user", "content": "call"}]


def test_definitions_go_with_functions_and_instructions_with_text() -> None:
    """Either the request or the system prompt describes the tools, not both."""
    assert [
        definition["function"]["name"] for definition in FUNCTIONS.definitions(TOOLBOX)
    ] == list(TOOLBOX)
    assert TEXT.definitions(TOOLBOX) == []
    assert "bash, edit, create, submit" in FUNCTIONS.instructions(TOOLBOX)
    for tool in TOOLBOX.values():
        assert tool.description in TEXT.instructions(TOOLBOX)
        assert f"<tool: {tool.name}>\n{tool.text_usage}\n</tool>" in TEXT.instructions(TOOLBOX)


def test_what_is_written_is_read_back() -> None:
    """In both syntaxes, whatever the lines: only a closing and then an opening tag is no text."""
    generator = random.Random(3)
    lines = ["", "a", "  b ", "=======", "<<<<<<< SEARCH", "</tool>", "<tool: bash", "é'\"\\"]

    def some() -> str:
        return "".join(line + "\n" for line in generator.choices(lines, k=generator.randrange(5)))

    for _ in range(1000):
        steps = [
            Call("bash", {"command": "x" + some()}),
            Call("edit", {"path": "a b", "search": some(), "replace": some()}),
            Call("create", {"path": "a b", "content": some()}),
            Call("submit", {}),
        ]
        for syntax in SYNTAXES.values():
            messages = assistant(syntax, TOOLBOX, steps)
            assert [syntax.read(message, TOOLBOX) for message in messages] == steps
            assert json.loads(json.dumps(messages)) == messages


def test_thoughts_come_before_the_call() -> None:
    """A thought is the message's text, and does not prevent parsing."""
    for syntax in SYNTAXES.values():
        message = syntax.write("I look around.", LS, TOOLBOX)
        assert message["content"].startswith("I look around.")
        assert syntax.read(message, TOOLBOX) == LS
