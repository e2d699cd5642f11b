"""Trying proposals: a few by hand, then many at once by the trial program."""

import json
import re
import shlex
from collections.abc import Sequence

from forager.agent.repair.hands import Acting, Hands, program_text
from forager.agent.repair.proposals import Proposal

_SECONDS = 40
_WINNER = re.compile(r"^(\d+): passed$", re.MULTILINE)
_STOPPED = re.compile(r"^stopped before (\d+):", re.MULTILINE)
_UNHARMED = "is as it was"


class Trials:
    """The trial program, written over there at its first use."""

    def __init__(self, hands: Hands, tests: Sequence[str], wider: Sequence[str]) -> None:
        self._hands = hands
        self._job = {"tests": list(tests), "wider": list(wider), "seconds": _SECONDS}
        self.known: set[str] = set()
        self._written = False

    def first_passing(self, proposals: Sequence[Proposal]) -> Acting[tuple[int | None, int]]:
        """Try proposals for one file in turn.

        Return the index of the first that passes, and how many have been tried.
        """
        file = proposals[0].passage.file
        edits = [[each.change.first, each.change.last, list(each.change.new)] for each in proposals]
        job = self._job | {"file": file, "known": sorted(self.known), "edits": edits}
        command = self._command(file, json.dumps(job, ensure_ascii=False))
        thought = f"There are more possibilities. I try the next {len(edits)} in one go."
        seen = yield from self._hands.bash(thought, command)
        if _UNHARMED not in seen.output:
            restore = f'cp "$trial/original" {shlex.quote(file)}'
            yield from self._hands.bash("That was stopped half-way. I restore the file.", restore)
        winner, stopped = _WINNER.search(seen.output), _STOPPED.search(seen.output)
        if winner:
            return int(winner[1]), int(winner[1]) + 1
        return None, int(stopped[1]) if stopped else len(edits)

    def _command(self, file: str, job: str) -> str:
        lines = []
        if not self._written:
            self._written = True
            lines = ["trial=$(mktemp -d)", "cat > $trial/trial.py <<'EOF'"]
            lines += [f"{program_text('trial')}EOF"]
        lines += [f'cp {shlex.quote(file)} "$trial/original"']
        lines += [f"timeout 110 python $trial/trial.py <<'EOF'\n{job}\nEOF"]
        return "\n".join(lines)
