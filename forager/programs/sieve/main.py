"""Answers jobs until the sandbox ends."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .cold import ColdTests
from .messages import SieveJob
from .processes import adopt_orphans, silence
from .warm import WarmProcess, WarmQuestion

if TYPE_CHECKING:
    from .messages import Answer, MutantQuestion


class MutantTests:
    """Answers for mutants of one project, warm if possible."""

    def __init__(self, job: SieveJob, root: str) -> None:
        options = [*job.options, "-s", "--tb=no"]
        self._warm = WarmProcess([*options, *job.paths], root, job.patience)
        self._cold = ColdTests(options, root, job.patience)
        _import_quietly(self._warm.modules)

    def judge(self, job: SieveJob, mutant: MutantQuestion) -> Answer:
        """Say which tests fail."""
        tests = job.tests_of(mutant)
        answer = None if mutant.cold else self._warm.judge(WarmQuestion(mutant.edits, tests))
        return answer or self._cold.judge(mutant.edits, tests, self._warm.process)


def _import_quietly(names: list[str]) -> None:
    """Import what the tests import of others, so that no cold child has to; print nothing."""
    kept = os.dup(1), os.dup(2)
    silence(1, 2)
    for name in names:
        if name not in sys.modules:
            with contextlib.suppress(BaseException):
                __import__(name)
    for number, descriptor in enumerate(kept, 1):
        os.dup2(descriptor, number)
        os.close(descriptor)


def main() -> None:
    """Answer jobs until nobody asks any more."""
    source, target = sys.argv[1:3]
    adopt_orphans()
    tests: MutantTests | None = None
    while True:
        job = SieveJob.read(Path(source).read_text())
        if tests is None:
            os.chdir(job.root)
            sys.path[0] = str(Path.cwd())  # as `python -m pytest` has it
            tests = MutantTests(job, sys.path[0])
        end = time.monotonic() + job.seconds
        with Path(target).open("w") as pipe:
            print("ready", file=pipe, flush=True)
            for mutant in job.mutants:
                if time.monotonic() > end:
                    break
                print(tests.judge(job, mutant).line(), file=pipe, flush=True)
            print("end", file=pipe)
