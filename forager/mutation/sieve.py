"""Finds the mutants that tests kill, at the cost of the few tests that run them.

A program stays in the container (`programs/sieve`) and forks for each mutant. Its answers are no
proof: the code under test could fool it, and tests may differ in a process that lives long.
"""

import shlex
from collections.abc import Sequence

from pydantic import TypeAdapter

from forager.environments.repository.programs import ship, within
from forager.environments.repository.testing import always
from forager.errors import SandboxError
from forager.images.image import Image
from forager.images.recipe import options, paths
from forager.mutation.coverage import Coverage, bits
from forager.mutation.reach import Reach
from forager.programs.sieve.messages import MutantQuestion, SieveJob, Way
from forager.sandboxes.sandbox import Sandbox
from forager.text import ending
from forager.untrusted import Malformed, Report, record

_JOB_SECONDS = 60.0
_LAST_MUTANT_SECONDS = 840.0  # to start, to learn what tests take, and to end the last mutant
_LOG_BYTES = 4096
_LIMIT, _LONGEST = 64 << 20, 8 << 20  # bytes of all answers, characters of one


class SieveResult(Report):
    """What the sieve found out about a mutant: the program's `Answer`.

    The mutant was killed if tests failed, and survived if nothing is set.
    """

    failed: list[str] = []
    timeout: bool = False
    crashed: str = ""
    broken: list[str] = []
    """Test files that could not be collected: the bug shows at import."""
    unstable: list[str] = []
    """Tests that fail in the sieve without any mutant; they did not run on it."""
    way: Way = "none"
    cpu: float = 0.0
    """Seconds of processor time of the child that ran the tests."""


_ANSWER = TypeAdapter(SieveResult)


def _answers(output: str) -> tuple[list[SieveResult], bool, str]:
    """Return the answers, whether the last one was read, and what is wrong with the next."""
    answers: list[SieveResult] = []
    start = 0
    while (end := output.find("\n", start)) >= 0:  # what follows the last line break is torn
        line = output[start:end]
        if line == "end":
            return answers, True, ""
        try:
            answers.append(record(_ANSWER, line, _LONGEST))
        except Malformed as error:
            return answers, False, f"an answer is malformed: {error}"
        start = end + 1
    return answers, False, ""


class Sieve:
    """One sandbox with the program in it; used by one thread at a time.

    A mutant may wait `patience` seconds longer than its tests do without it, and five times as long
    when it runs again. Time in which other processes hold the processors does not count.
    """

    def __init__(
        self, sandbox: Sandbox, image: Image, coverage: Coverage, patience: float = 2.0
    ) -> None:
        self._sandbox = sandbox
        self._image = image
        self._patience = patience
        breadth = coverage.breadth()
        # Tests that run little come first: they are about what they run, and they are quick.
        order = sorted(range(len(coverage.tests)), key=lambda number: breadth[number])
        self._order = [coverage.tests[number] for number in order]
        self._places = {number: place for place, number in enumerate(order)}
        self._directory = ""
        self.ended = False

    def sift(self, mutants: Sequence[Reach]) -> list[SieveResult]:
        """Run each mutant's tests. Raises SandboxError.

        The list is shorter if the time was over, or if its last mutant ended the program (then it
        has crashed or timed out, and this sieve is of no more use).
        """
        self._start()
        arguments = self._image.setup.arguments
        job = SieveJob(
            root=self._image.setup.workdir,
            options=[*always(), *options(arguments)],
            paths=paths(arguments),
            order=self._order,
            mutants=[self._question(mutant) for mutant in mutants],
            seconds=_JOB_SECONDS,
            patience=self._patience,
        )
        self._sandbox.write(f"{self._directory}/job", job.line().encode())
        result = self._sandbox.run(
            f"cat {self._directory}/job >{self._directory}/in && cat {self._directory}/out",
            timeout=_JOB_SECONDS + _LAST_MUTANT_SECONDS,
            output_limit=_LIMIT,
        )
        if not result.output.startswith("ready\n"):
            raise SandboxError(f"the sieve does not start: {self._ending()}")
        answers, whole, problem = _answers(result.output.removeprefix("ready\n"))
        if not whole or not 0 < len(answers) <= len(mutants):
            self.ended = True
            crashed = "" if result.timed_out else f"the sieve ended: {problem or self._ending()}"
            last = SieveResult(timeout=result.timed_out, crashed=crashed)
            answers = [*answers[: len(mutants) - 1], last]
        return answers

    def _question(self, mutant: Reach) -> MutantQuestion:
        chosen = sum(1 << self._places[number] for number in bits(mutant.tests))
        return MutantQuestion(edits=mutant.edits, tests=hex(chosen), cold=mutant.at_import)

    def _ending(self) -> str:
        """The last lines that the program printed."""
        log = self._sandbox.run(f"tail -c {_LOG_BYTES} {self._directory}/log").output
        return ending(log)

    def _start(self) -> None:
        if self._directory:
            return
        made = self._sandbox.run('cd "$(mktemp -d)" && mkfifo in out && pwd')
        if made.exit_code:
            raise SandboxError(f"cannot start the sieve: {ending(made.output)}")
        self._directory = made.output.strip()
        program = ship(self._sandbox, "sieve", self._directory)
        pipes = f"{self._directory}/in {self._directory}/out"
        # Cold mutants load the files that did not change from byte code.
        in_setup, python = within(self._image.setup), shlex.quote(self._image.setup.python)
        self._sandbox.run(
            f"{{ {in_setup} {python} -m compileall -q .; {in_setup} {python} {program} {pipes}; "
            f": <{self._directory}/in & : >{self._directory}/out & wait; }} "  # nobody waits for it
            f">{self._directory}/log 2>&1 </dev/null &"
        )

    def close(self) -> None:
        """Remove the sandbox."""
        self._sandbox.close()
