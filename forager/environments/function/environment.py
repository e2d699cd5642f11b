"""The coding environment: the answer is a program, judged by cases in a fresh sandbox."""

from collections.abc import Collection

from forager.environments.environment import AttemptAnswer, Grade, OpenedTask
from forager.environments.function.cpp_tests import CAVEAT
from forager.environments.function.judging import PASSED, CaseVerdict, judged
from forager.environments.function.program_answer import left_file, only_block
from forager.environments.function.prompts import SYSTEM, asked
from forager.environments.function.task import CodingTask, case_name
from forager.sandboxes.sandbox import Limits, SandboxFactory

_SPARE = 512 << 20  # bytes for the runner, the compiler and what waits in pipes
_LONGEST = 1 << 20  # bytes of a program


class CodingEnvironment:
    """Implements Environment, ChoosesTools, HasSystemPrompt and KnowsReference."""

    task_type = CodingTask
    system_prompt = SYSTEM

    def tools(self, task: CodingTask) -> Collection[str] | None:
        """All if the program is a file that an agent leaves, else none."""
        return None if task.file else ()

    def prompt(self, task: CodingTask) -> str:
        """The statement, and where to put the program."""
        return asked(task)

    def limits(self, task: CodingTask, limits: Limits) -> Limits:
        """At least the memory of a case, and some for those that run it."""
        return limits.with_memory(task.memory + _SPARE)

    def open(self, task: CodingTask, limits: Limits, sandboxes: SandboxFactory) -> OpenedTask:
        """A sandbox in which an agent can try its program."""
        return OpenedTask(sandboxes(task.image, limits=limits))

    def answer(self, task: CodingTask, opened: OpenedTask, text: str) -> AttemptAnswer:
        """The file that the agent left, or the only block of code in the model's message."""
        if task.file:
            return left_file(opened.sandbox, task.file, _LONGEST)
        return only_block(text, task.language)

    def grade(
        self, task: CodingTask, answer: str, limits: Limits, sandboxes: SandboxFactory
    ) -> Grade:
        """Run all cases; the reward is 1 or -1, as in CWM."""
        return _grade(task, judged([(task, answer)], task.image, limits, sandboxes)[0])

    def reference(self, task: CodingTask) -> str:
        """The known solution, or an empty text."""
        return task.solution


def _grade(task: CodingTask, verdicts: list[CaseVerdict]) -> Grade:
    failed = next(
        ((number, verdict) for number, verdict in enumerate(verdicts) if verdict != PASSED), None
    )
    cause = "" if failed is None else f"{case_name(failed[0])}: {failed[1].cause}"
    in_one_process = task.tests and task.language == "cpp"
    return Grade(
        resolved=failed is None,
        reward=1 if failed is None else -1,
        cause=cause,
        cause_kind="" if failed is None else failed[1].kind,
        tests={case_name(number): verdict.word for number, verdict in enumerate(verdicts)},
        caveat=CAVEAT if failed is None and in_one_process else "",
    )
