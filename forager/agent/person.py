"""The person at the keyboard, who types calls to the tools; a Model like any other.

A line is a tool's name and its argument: `bash pytest -q`, `submit`. Calls with several arguments
are written in $EDITOR, in the text syntax of the tool. Tab completes names, paths and words that
have occurred. The attempt's clock stops while the person thinks.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from forager.agent.model import Reply
from forager.agent.syntax import Syntax
from forager.agent.tool import Call, Tool, Toolbox
from forager.errors import FormatError, Stopped
from forager.trajectories import draw
from forager.trajectories.record import Message, ToolCall
from forager.trajectories.show import show_call, text_of

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completer
    from prompt_toolkit.document import Document

Paths = Callable[[], list[str]]
Editor = Callable[[str], str | None]

_HELP = """\
TOOL ARGUMENT   call a tool that takes one argument, such as: bash pytest -q
TOOL PATH       call one that takes several: the rest is written in $EDITOR
TOOL            without an argument it is written in $EDITOR, in several lines
# TEXT          what you think; it is kept with the next call
Tab completes tools, paths and words; Ctrl-C clears the line; Ctrl-D gives the attempt up."""
_WORD = re.compile(r"[\w./:\[\]-]{4,}")


class Person:
    """Implements Model. One instance drives one attempt.

    `paths` lists the files of the repository for completion; `edit` lets the person write a text
    and returns it, or None if the person did not save it.
    """

    def __init__(
        self, syntax: Syntax, tools: Toolbox, paths: Paths, edit: Editor, console: Console
    ) -> None:
        self._syntax, self._tools, self._paths = syntax, tools, paths
        self._edit, self._console = edit, console
        self._session: PromptSession[str] | None = None
        self._words: set[str] = set()
        self._seen = 0
        self._drafts: dict[str, str] = {}  # by tool: what was written and could not be read

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        """Show the new messages, and ask. Raises Stopped when the person gives up."""
        del tools, calls  # the toolbox is known, and the person reads the messages
        began = time.monotonic()
        for message in messages[self._seen :]:
            self._show(message)
        self._seen = len(messages) + 1  # its own answer, too
        answer = self._ask(sum(message["role"] == "assistant" for message in messages) + 1)
        return Reply(answer, waited=time.monotonic() - began)

    def _ask(self, turn: int) -> Message:
        """The message of the next call."""
        thoughts: list[str] = []
        while True:
            name, _, rest = self._line(turn).strip().partition(" ")
            if name.startswith("#"):
                thoughts.append(f"{name[1:]} {rest}".strip())
            elif name in self._tools:
                try:
                    return self._message(thoughts, self._tools[name], rest)
                except FormatError as error:
                    self._console.print(Text(draw.safe(str(error)), "red"))
            elif name:
                self._console.print(f"{_HELP}\nThe tools are: {', '.join(self._tools)}.")

    def _line(self, turn: int) -> str:
        from prompt_toolkit import PromptSession

        if self._session is None:
            self._session = PromptSession(
                completer=completer(self), enable_open_in_editor=True, complete_while_typing=False
            )
        try:
            return self._session.prompt(f"turn {turn}, tool> ")
        except KeyboardInterrupt:
            return ""
        except EOFError:
            raise Stopped("given up at the keyboard; nothing of the attempt is kept") from None

    def _message(self, thoughts: list[str], tool: Tool, rest: str) -> Message:
        """The call as a message that can be read back. Raises FormatError."""
        call = Call(tool.name, self._arguments(tool, rest.strip()))
        message = self._syntax.write("\n".join(thoughts), call, self._tools)
        self._syntax.read(message, self._tools)
        self._drafts.pop(tool.name, None)
        return message

    def _arguments(self, tool: Tool, rest: str) -> dict[str, str]:
        names = list(tool.parameters)
        if not names or (rest and len(names) == 1):
            return tool.read_body(rest)
        empty = {name: rest if name == names[0] else "" for name in names}
        text = self._edit(self._drafts.get(tool.name) or tool.write_body(empty))
        if text is None:
            raise FormatError("Nothing was written: save the text in the editor to make the call.")
        self._drafts[tool.name] = text
        return tool.read_body(text.removesuffix("\n"))

    def _show(self, message: Message) -> None:
        """Print a message; the system prompt is left out."""
        text = text_of(message)
        self._words |= set(_WORD.findall(text))
        if message["role"] == "system":
            return
        if message["role"] != "assistant":
            self._console.print(draw.Block(draw.fold(draw.output(text))), soft_wrap=True)
            return
        try:
            call = self._syntax.read(message, self._tools)
        except FormatError:
            self._console.print(draw.fold(Text(draw.safe(text))))
            return
        if self._syntax.name == "functions" and text.strip():
            self._console.print(Text(draw.safe(text.strip())))
        shown = show_call(ToolCall(message=0, tool=call.tool, arguments=call.arguments))
        self._console.print(draw.Block(draw.fold(shown), "▌ ", "yellow"), soft_wrap=True)

    def completions(self, line: str) -> list[str]:
        """Completions of a line's last word: tools for the first word, then paths, else words."""
        word = line.rpartition(" ")[2]
        kinds = [self._paths(), sorted(self._words)] if " " in line else [list(self._tools)]
        for known in kinds:
            if found := [name for name in known if name.startswith(word) and name != word]:
                return found
        return []


def completer(person: Person) -> "Completer":
    """Completes what the person types."""
    from prompt_toolkit.completion import Completer, Completion

    class PersonCompleter(Completer):
        """Completes with the words that the person has seen."""

        def get_completions(
            self, document: "Document", event: "CompleteEvent"
        ) -> Iterator[Completion]:
            del event
            line = document.text_before_cursor
            word = line.rpartition(" ")[2]
            return (Completion(name, -len(word)) for name in person.completions(line.lstrip()))

    return PersonCompleter()
