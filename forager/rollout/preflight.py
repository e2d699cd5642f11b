"""What a run asks its endpoints before the first attempt: the list of models, and one tool call.

Without this a server that is dead or refuses the key shows after minutes of retries, and one that
answers without tool calls shows as attempts that all end with `format_errors`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from forager.agent.chat import ChatModel
from forager.agent.endpoint import ChatEndpoint, RequestRefused
from forager.agent.faults import ErrorReply, GarbledReply, does_not_answer
from forager.agent.syntax import SYNTAXES, Syntax
from forager.agent.tool import Toolbox
from forager.agent.traffic import NoLimit
from forager.environments.environment import has_tools
from forager.environments.registry import environment_of
from forager.environments.task import Task
from forager.errors import AttemptEnd, FormatError, ModelError, ModelRefusal
from forager.rollout.attempt import beginning_of
from forager.rollout.settings import RunSettings
from forager.rollout.worker import Job, ModelFactory
from forager.trajectories.record import Message
from forager.trajectories.show import text_of

Note = Callable[[str], None]

LIST_SECONDS = 5.0  # for the list of models
_CALL_SECONDS = 60.0  # for a first message: models may think, and servers load models on demand
_SHORT: Message = {"role": "user", "content": "Say yes."}
_LEAKED = re.compile(  # how models write calls where no parser of the server takes them
    r"<tool_call>|<function=|<function_call>|<tool_use>|<invoke |\[TOOL_CALLS\]|<\|python_tag\|>"
    r"|<\|tool_call|<｜tool▁call|<\|channel\|>commentary|^<tool: |\"(arguments|parameters)\"\s*:",
    re.MULTILINE,
)
_REMEDY = (
    "start vLLM with --enable-auto-tool-choice and the --tool-call-parser of this model, run with "
    "--syntax text, or give --no-preflight"
)


def preflight(
    tasks: Sequence[Task],
    settings: RunSettings,
    make_model: ModelFactory,
    toolbox: Toolbox,
    on_note: Note,
) -> None:
    """Check the models of a run that need a server. Raises ModelError: no attempt can succeed.

    The request is the first one of an attempt, so its settings and its length are checked too.
    `on_note` gets what a run may survive. Tasks without tools need no tool call, and other agents
    may write their calls as text.
    """
    with_tools = next((task for task in tasks if has_tools(environment_of(task), task)), None)
    task = with_tools or tasks[0]
    for number in range(len(settings.models)):
        model = make_model(Job(task, number), NoLimit())
        if isinstance(model, ChatModel):
            if model.endpoint.api != "litellm":
                check_listing(model.endpoint, on_note)
            if with_tools and not settings.agent:
                messages, tools = beginning_of(task, settings, toolbox)
                check_tool_call(model, messages, tools, SYNTAXES[settings.syntax], on_note)


def check_listing(endpoint: ChatEndpoint, on_note: Note) -> None:
    """List the models at each address. Raises ModelError if none answers, or none takes the key.

    Servers need not have such a list, so other answers pass.
    """
    urls, faults = (endpoint.url, *endpoint.others), list[ModelError]()
    for url in urls:
        try:
            replace(endpoint, url=url, others=(), timeout=LIST_SECONDS).models()
        except ModelError as error:
            cause = error.__cause__
            if getattr(cause, "status_code", None) == 401 or does_not_answer(cause):
                faults.append(error)
    if len(faults) == len(urls):
        raise faults[0]
    for fault in faults:
        on_note(str(fault))


def check_tool_call(
    model: ChatModel, messages: Sequence[Message], tools: Toolbox, syntax: Syntax, on_note: Note
) -> None:
    """Ask for a tool call; where none comes, say so and ask again, as in an attempt.

    Raises ModelError if the server refuses, or if the second answer has no call either.
    """
    model = replace(model, endpoint=replace(model.endpoint, tries=1, timeout=_CALL_SECONDS))
    conversation = list(messages)
    for last in (False, True):
        try:
            reply = model.query(conversation, syntax.definitions(tools))
        except AttemptEnd:
            return
        except ModelError as error:
            _judge(error, model, bool(syntax.definitions(tools)), on_note)
            return
        try:
            syntax.read(reply.message, tools)
            return
        except FormatError as error:
            if error.reason != "no_call" or syntax.name == "text":
                return
            if leaked := _LEAKED.search(text_of(reply.message)):
                how = f"writes its tool calls as text ({leaked[0].strip()})"
                raise _no_calls(model, how) from error
            if last:
                raise _no_calls(model, "answers in prose, without a tool call") from error
            conversation += [reply.message, *syntax.answers(reply.message, str(error))]


def _judge(error: ModelError, model: ChatModel, with_tools: bool, on_note: Note) -> None:
    """Raise the error, unless it may pass or concerns one prompt alone."""
    refused = error.__cause__
    if isinstance(refused, RequestRefused):
        if refused.overflow:
            on_note(str(error))
            return
        if with_tools and _answers(model):
            raise _no_calls(model, f"refuses tool calls ({refused.said})") from error
    garbled = isinstance(refused, GarbledReply) and not isinstance(refused, ErrorReply)
    if garbled or isinstance(error, ModelRefusal):
        raise error
    on_note(str(error))


def _answers(model: ChatModel) -> bool:
    """Whether the server takes a short request without tools."""
    try:
        model.query([_SHORT], [])
    except (ModelError, AttemptEnd):
        return False
    return True


def _no_calls(model: ChatModel, how: str) -> ModelRefusal:
    return ModelRefusal(f"{model.name} at {model.endpoint.url} {how}: {_REMEDY}")
