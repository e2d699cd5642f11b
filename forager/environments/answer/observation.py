"""Next observation: what will the environment answer to this call?

A model reads the beginning of an attempt and a command, and says the exit code and, where the
command ran tests, which of them failed. The truth is what the recorded attempt observed; nothing
runs. This measures a code world model: one that can tell what its actions lead to.
"""

import re

from pydantic import Field

from forager.environments.answer.question import QuestionEnvironment, tagged_answer, verdict
from forager.environments.environment import AttemptAnswer, Grade, OpenedTask
from forager.environments.task import Task
from forager.sandboxes.sandbox import Limits, SandboxFactory

NEXT_OBSERVATION = "next-observation"
NONE = "none"
_LONGEST = 1 << 16  # characters of an answer
_EXIT = re.compile(r"exit code:[ \t]*(-?\d{1,4})[ \t]*$", re.IGNORECASE | re.MULTILINE)
_FAILED = re.compile(r"^[ \t]*failed:(.*)\Z", re.IGNORECASE | re.MULTILINE | re.DOTALL)


class NextObservationTask(Task):
    """The beginning of an attempt with a command, and what it led to."""

    environment: str = NEXT_OBSERVATION
    kind: str = NEXT_OBSERVATION
    exit_code: int
    failed: list[str] | None = Field(
        None, description="Tests that failed, by node id; None if it is not asked."
    )

    def test_groups(self) -> dict[str, list[str]]:
        """What is asked."""
        return {"asked": ["exit code", *(["failed tests"] if self.failed is not None else [])]}


class NextObservationEnvironment(QuestionEnvironment[NextObservationTask]):
    """Implements Environment, ChoosesTools and KnowsReference."""

    task_type = NextObservationTask

    def answer(self, task: NextObservationTask, opened: OpenedTask, text: str) -> AttemptAnswer:
        """The text between the model's last [ANSWER] and [/ANSWER]."""
        del task, opened
        answer = tagged_answer(text)
        return answer.model_copy(update={"text": answer.text[:_LONGEST]})

    def grade(
        self, task: NextObservationTask, answer: str, limits: Limits, sandboxes: SandboxFactory
    ) -> Grade:
        """Compare exit code and failed tests; all that is asked must agree.

        `similarity` is the share of failed tests in common among those that either names.
        """
        del limits, sandboxes
        code = _EXIT.search(answer)
        if not code:
            return verdict("the answer has no line `exit code: N`", "format")
        right = {"exit code": int(code[1]) == task.exit_code}
        alike = float(right["exit code"])
        if task.failed is not None:
            named = _FAILED.search(answer)
            if not named:
                return verdict("the answer has no line `failed: …`", "format")
            given, truth = _names(named[1]), set(task.failed)
            right["failed tests"] = given == truth
            alike = len(given & truth) / len(given | truth) if given | truth else 1.0
        wrong = [name for name, is_right in right.items() if not is_right]
        return verdict(f"wrong: {', '.join(wrong)}" if wrong else "").model_copy(
            update={
                "tests": {
                    name: "passed" if is_right else "failed" for name, is_right in right.items()
                },
                "similarity": alike,
            }
        )

    def reference(self, task: NextObservationTask) -> str:
        """What was observed."""
        failed = "" if task.failed is None else f"\nfailed: {' '.join(task.failed) or NONE}"
        return f"exit code: {task.exit_code}{failed}"


def _names(text: str) -> set[str]:
    """The names in a list with commas, spaces or lines; those of parameters may hold both."""
    found, name = set(), ""
    for word in re.split(r"[,\s]+", text.strip()):
        name = f"{name} {word}".strip()
        if name.count("[") <= name.count("]"):
            found.add(name.strip("-*`") if "::" not in name else name.strip("`"))
            name = ""
    return {name for name in found | {name} if name and name.lower() != NONE}
