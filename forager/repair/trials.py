"""Tries many proposals in one command, by the trial program."""

import json
import re
import shlex
from collections.abc import Sequence

from forager.repair.hands import Acting, Hands, program_text
from forager.repair.proposals import Proposal

_SECONDS = 10
_WINNER = re.compile(r"^(\d+) passes$", re.MULTILINE)
_STOPPED = re.compile(r"^(\d+) are tried, then", re.MULTILINE)
_DONE = re.compile(r"^\d+ are tried", re.MULTILINE)
_UNHARMED = "is as it was"


class Trials:
    """Tries proposals; the first command also writes the program into the sandbox."""

    def __init__(self, hands: Hands, tests: Sequence[str], wider: Sequence[str]) -> None:
        self._hands = hands
        self._job = {"tests": list(tests), "wider": list(wider), "seconds": _SECONDS}
        self.known: set[str] = set()
        self.hangs = False
        self.works = True  # whether the last trial came to a result
        self._written = False

    def first_passing(
        self, proposals: Sequence[Proposal], fresh: bool
    ) -> Acting[tuple[int | None, int]]:
        """Try proposals for one passage in turn, each with fresh imports if `fresh`.

        Return the index of the first that passes, and the number tried.
        """
        changes = [proposal.change for proposal in proposals]
        edits = [[change.first, change.last, list(change.new)] for change in changes]
        passage = proposals[0].passage
        job = self._job | {
            "file": passage.file,
            "known": sorted(self.known),
            "hangs": self.hangs,
            "fresh": fresh,
            "first": passage.first,
            "last": passage.last,
            "header": [f"{line}\n" for line in passage.header],
            "edits": edits,
        }
        command = self._command(passage.file, json.dumps(job, ensure_ascii=False))
        again = " again, with everything imported anew" if fresh and self._written else ""
        thought = f"There are more possibilities. I try {len(edits)} in one go{again}."
        self._written = True
        seen = yield from self._hands.run_program(thought, "trial", command)
        if _UNHARMED not in seen.output:
            restore = f'cp "$trial/original" {shlex.quote(passage.file)}'
            yield from self._hands.bash("That was stopped half-way. I restore the file.", restore)
        winner, stopped = _WINNER.search(seen.output), _STOPPED.search(seen.output)
        self.works = bool(winner or _DONE.search(seen.output))
        if winner:
            return int(winner[1]), int(winner[1]) + 1
        return None, int(stopped[1]) if stopped else len(edits)

    def _command(self, file: str, job: str) -> str:
        lines = []
        if not self._written:
            lines = ["trial=$(mktemp -d)", "cat > $trial/trial.py <<'EOF'"]
            lines += [f"{program_text('trial')}EOF"]
        lines += [f"cp {shlex.quote(file)} $trial/original"]
        lines += [f"timeout 110 python $trial/trial.py <<'EOF'\n{job}\nEOF"]
        return "\n".join(lines)
