"""Finds the mutants that tests kill, at the cost of the few tests that run them.

A program stays in the container (`sieve_program.py`) and forks for each mutant. What it says is no
proof: the code under test could fool it, and tests may differ in a process that lives long.
"""

import json
import shlex
from collections.abc import Sequence
from importlib.resources import files
from typing import Literal

from forager.environments.repository.testing import ALWAYS
from forager.errors import SandboxError
from forager.images.image import Image
from forager.mutation.coverage import Coverage, bits
from forager.mutation.reach import Reach
from forager.records import Record
from forager.sandboxes.sandbox import Sandbox

_JOB_SECONDS = 60.0
_START_SECONDS = 240.0

Way = Literal["warm", "cold", "none"]


class Sifted(Record):
    """What the quick way says of a mutant."""

    failed: list[str] = []
    hung: bool = False
    crashed: str = ""
    broken: list[str] = []
    """Test files that could not be collected: the bug shows at import."""
    unstable: list[str] = []
    """Tests that fail in the sieve without any mutant; nothing is said of them."""
    way: Way = "none"
    cpu: float = 0.0
    """Seconds of processor time of the child that ran the tests."""


class Sieve:
    """One sandbox with the program in it; used by one thread at a time."""

    def __init__(self, sandbox: Sandbox, image: Image, coverage: Coverage) -> None:
        self._sandbox = sandbox
        self._image = image
        self._coverage = coverage
        breadth = coverage.breadth()
        # Tests that run little come first: they are about what they run, and they are quick.
        self._order = sorted(range(len(coverage.tests)), key=lambda number: breadth[number])
        self._directory = ""
        self.ended = False

    def sift(self, mutants: Sequence[Reach]) -> list[Sifted]:
        """Run each mutant's tests. Raises SandboxError.

        The list is shorter where the time was over, or where the last mutant of it ended the
        program (`crashed`); then this sieve is at its end.
        """
        self._start()
        asked = [self._question(mutant) for mutant in mutants]
        job = {
            "root": self._image.setup.workdir,
            "arguments": [*ALWAYS, *self._image.setup.arguments],
            "order": [self._coverage.tests[number] for number in self._order],
            "mutants": asked,
            "seconds": _JOB_SECONDS,
        }
        self._sandbox.write(f"{self._directory}/job", json.dumps(job).encode())
        result = self._sandbox.run(
            f"cat {self._directory}/job >{self._directory}/in && cat {self._directory}/out",
            timeout=_JOB_SECONDS + _START_SECONDS,
            output_limit=1 << 28,
        )
        lines = result.output.splitlines()
        if lines and lines[-1] == "end":
            return [self._answer(line) for line in lines[:-1]]
        self.ended = True
        whole = [self._answer(line) for line in lines if line.endswith("}")]
        return [*whole, Sifted(crashed="the sieve came to an end")]

    def _question(self, mutant: Reach) -> dict[str, object]:
        places = {number: place for place, number in enumerate(self._order)}
        chosen = sum(1 << places[number] for number in bits(mutant.tests))
        return {"edits": mutant.edits, "tests": hex(chosen), "cold": mutant.at_import}

    def _answer(self, line: str) -> Sifted:
        told = json.loads(line)
        return Sifted(
            failed=told["failed"],
            hung=bool(told.get("timeout")),
            crashed=told.get("crashed", ""),
            broken=told.get("broken", []),
            unstable=told.get("unstable", []),
            way=told["way"],
            cpu=round(told.get("cpu", 0.0), 5),
        )

    def _start(self) -> None:
        if self._directory:
            return
        setup = self._image.setup
        variables = " ".join(
            f"{name}={shlex.quote(text)}" for name, text in setup.variables.items()
        )
        program = (files("forager.programs") / "sieve_program.py").read_bytes()
        made = self._sandbox.run('cd "$(mktemp -d)" && mkfifo in out && pwd')
        if made.exit_code:
            raise SandboxError(f"cannot start the sieve: {made.output.strip()}")
        self._directory = made.output.strip()
        self._sandbox.write(f"{self._directory}/sieve.py", program)
        python = f"env {variables} {shlex.quote(setup.python)}"
        self._sandbox.run(  # cold mutants load the files that are as they were from byte code
            f"cd {shlex.quote(setup.workdir)} && {{ {python} -m compileall -q .; {python} "
            f"{self._directory}/sieve.py {self._directory}/in {self._directory}/out; }} "
            f">{self._directory}/log 2>&1 </dev/null &"
        )

    def close(self) -> None:
        """Remove the sandbox."""
        self._sandbox.close()
