"""The guesses of a model at exercises, and what the katas' `./try` would say of each."""

import ast
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from places import SYSTEM, TRIALS, Place, said

from forager.agent.syntax import SYNTAXES
from forager.errors import FormatError
from forager.learning.serve import ModelServer, ServeSettings
from forager.threads import in_order
from tools import TOOLBOX

Guesses = list[tuple[str, str]]
"""Commands, and what each says."""
TOGETHER = 32  # requests
SAMPLING: Any = {"temperature": 0.6, "max_tokens": 80}  # as in an evaluation: what it would repeat


class Guesser:
    """A model on a server of vLLM; a context manager."""

    def __init__(self, model: Path) -> None:
        self._stack = ExitStack()
        self._model = model

    def __enter__(self) -> Self:
        from openai import OpenAI

        logs = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        settings = ServeSettings(
            max_model_len=1024, dtype="autocast", arguments=["--block-size", "32"]
        )
        server = self._stack.enter_context(ModelServer(self._model, settings, logs))
        self._name = server.name
        self._client = OpenAI(base_url=server.urls[0], api_key="none")
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def play(self, places: Iterable[tuple[Place, int]]) -> Iterator[tuple[Place, Guesses]]:
        """The places with the model's wrong guesses at each, up to a number of them."""
        with ThreadPoolExecutor(TOGETHER) as pool:
            for (at, _), guesses in in_order(pool, self._guesses, places, 2 * TOGETHER):
                yield at, guesses

    def _guesses(self, given: tuple[Place, int]) -> Guesses:
        """Guesses, some of them repeated; none after one that is right or that nobody can read.

        A model that never sees what to do after a repeated guess goes on repeating it.
        """
        at, most = given
        messages: list[Any] = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": at.statement},
        ]
        found: Guesses = []
        for turn in range(most):
            chat = self._client.chat.completions.create(
                model=self._name, messages=messages, **SAMPLING
            )
            command = _command(chat.choices[0].message.content or "")
            call = at.call(turn, len(messages) + 1, command, "failed")
            if not TRIALS.file(call) or (word := answer(at, command)) == "passed":
                break
            found.append((command, word))
            messages += said(call, word)
        return found


def answer(at: Place, command: str) -> str:
    """What a well-formed guess says: passed, failed or unchanged."""
    _, path, script = command.split(" ", 2)
    if path != at.path:
        return "failed"
    text = "\n" * at.first + "\n".join(at.bug.bug) + "\n"
    # It edits no file: `s` without flags is all that the form of a guess allows.
    run = ["sed", "--sandbox", script.strip("'")]
    edited = subprocess.run(run, input=text, capture_output=True, text=True, check=False)
    if edited.returncode:
        return "failed"
    if edited.stdout == text:
        return "unchanged"
    return "passed" if _same(edited.stdout, "\n".join(at.bug.fix)) else "failed"


def _same(code: str, other: str) -> bool:
    try:
        return ast.dump(ast.parse(code)) == ast.dump(ast.parse(other))
    except (SyntaxError, ValueError):
        return False


def _command(text: str) -> str:
    """The command of a message; empty if there is none."""
    try:
        call = SYNTAXES["text"].read({"role": "assistant", "content": text}, TOOLBOX)
    except FormatError:
        return ""
    return call.arguments["command"] if call.tool == "bash" else ""
