"""Asks a model for texts and keeps its answers in a file, so a second run does not pay again."""

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


class ModelAnswer(Record):
    """A model's answer with its cost."""

    question: str
    """SHA-256 of the model's name and the messages."""
    model: str
    text: str
    cut: bool = False
    """Whether the answer reached its token limit."""
    usage: Usage = Usage()
    seconds: float = 0.0

    def cost(self, what: str) -> ModelCost:
        """The cost as a task records it; `what` is a family or "statement"."""
        return ModelCost(
            what=what,
            model=self.model,
            prompt_tokens=self.usage.prompt_tokens,
            completion_tokens=self.usage.completion_tokens,
            seconds=round(self.seconds, 3),
        )


class Author:
    """A model that several threads may ask, and the file of its answers.

    If several threads ask, `model` must not keep state between questions.
    """

    def __init__(self, name: str, model: Model, path: Path) -> None:
        self._name = name
        self._model = model
        self._lock = Lock()
        self._file = RecordWriter(path)
        self._known = {written.question: written for written in read_records(path, ModelAnswer)}
        self.paid = Usage()
        """Tokens that this process paid for; answers from the file are free."""

    def ask(self, messages: list[Message]) -> ModelAnswer:
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
            except LimitReached:  # the conversation exceeds the model's context
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

    def _new(self, question: str, messages: list[Message]) -> ModelAnswer:
        started = time.monotonic()
        reply = self._model.query(messages, [])
        written = ModelAnswer(
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
