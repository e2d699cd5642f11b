"""The directory of a reinforcement learning run.

RUN/settings.json              the resolved settings
RUN/ledger.jsonl               what happened to each group and attempt (see `ledger.py`)
RUN/attempts/                  run: all attempts, for `forager list`, `replay` and `report`
RUN/training/batches/N         the data set of step N: token ids, advantages, log-probabilities
RUN/training/models/N          the weights after step N, the last ones only
RUN/training/metrics.jsonl     loss, gradient, ratios and time of each step
RUN/training/model             the weights after the last step
RUN/evaluations/N              run: the weights after step N on the held-out tasks
RUN/report.md, report.json     the run in tables; report.html has curves, too
RUN/version                    the step whose weights the servers have, for the nodes of a cluster
RUN/logs/                      logs of servers
"""

from pathlib import Path


class RlLayout:
    """Paths within the directory of a run."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.ledger = run / "ledger.jsonl"
        self.attempts = run / "attempts"
        self.training = run / "training"
        self.logs = run / "logs"
        self.version = run / "version"

    def evaluation(self, step: int) -> Path:
        """The run in which the weights after a step are evaluated."""
        return self.run / "evaluations" / f"{step:08}"
