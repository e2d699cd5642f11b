"""Asks a model for a text, once: what it wrote is kept, so that a second run does not pay again."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Self

from forager.agent.model import Model
from forager.environments.repository.mutation import ModelCost
from forager.errors import LimitReached
from forager.records import Record, RecordWriter, read_records
from forager.trajectories.record import Message, Usage


class Written(Record):
    """What a model wrote, and what it cost."""

    question: str
    """Digest of the model's name and the messages."""
    model: str
    text: str
    cut: bool = False
    """Whether the answer broke off at the most tokens that it may have."""
    usage: Usage = Usage()
    seconds: float = 0.0

    def cost(self, what: str) -> ModelCost:
        """What it cost, for the record of a task."""
        return ModelCost(
            what=what,
            model=self.model,
            prompt_tokens=self.usage.prompt_tokens,
            completion_tokens=self.usage.completion_tokens,
            seconds=round(self.seconds, 3),
        )


class Author:
    """A model that may be asked from several threads, and the file of what it wrote.

    `model` must not keep state between questions, unless one thread alone asks.
    """

    def __init__(self, name: str, model: Model, path: Path) -> None:
        self._name = name
        self._model = model
        self._lock = Lock()
        known = read_records(path, Written) if path.exists() else ()
        self._known = {written.question: written for written in known}
        self._file = RecordWriter(path)
        self.paid = Usage()
        """The tokens of this process's own questions."""

    def ask(self, messages: list[Message]) -> Written:
        """The answer to a conversation, the stored one if there is one.

        Raises ModelError if no server answers.
        """
        asked = json.dumps([self._name, messages], sort_keys=True)
        question = hashlib.sha256(asked.encode()).hexdigest()
        with self._lock:
            known = self._known.get(question)
        return known or self._new(question, messages)

    def text(
        self, question: str, problem: Callable[[str], str], tries: int = 3
    ) -> tuple[str, list[ModelCost]]:
        """A text for a question, and what was paid; empty if `problem` refuses every try.

        `problem` returns what is wrong with a text, or nothing; the model reads it and tries again.
        """
        messages: list[Message] = [{"role": "user", "content": question}]
        costs: list[ModelCost] = []
        for _ in range(tries):
            try:
                written = self.ask(messages)
            except LimitReached:  # the conversation does not fit the model's context
                break
            costs.append(written.cost("statement"))
            text = written.text.strip()
            wrong = "It breaks off." if written.cut else problem(text)
            if not wrong:
                return text, costs
            messages = [
                *messages,
                {"role": "assistant", "content": written.text},
                {"role": "user", "content": f"{wrong} Write it again."},
            ]
        return "", costs

    def _new(self, question: str, messages: list[Message]) -> Written:
        started = time.monotonic()
        reply = self._model.query(messages, [])
        written = Written(
            question=question,
            model=self._name,
            text=str(reply.message.get("content") or ""),
            cut=reply.finish_reason == "length",
            usage=reply.usage,
            seconds=time.monotonic() - started,
        )
        self._file.append(written)
        with self._lock:
            self._known[question] = written
            self.paid += reply.usage
        return written

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
