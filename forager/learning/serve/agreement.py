"""Whether a server has the weights that the trainer has: log-probabilities of the same tokens."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from forager.errors import ServeError
from forager.learning.train.rank import accelerator
from forager.records import Record

PROBE = list(range(3, 35))  # ids that any vocabulary has
TOLERANCE = 0.03  # of the mean difference, in nats: what bfloat16 on both sides may differ by


class Agreement(Record):
    """How far log-probabilities of trainer and server differ, in nats."""

    tokens: int
    mean: float
    largest: float

    @property
    def holds(self) -> bool:
        """Whether both have the same weights, as far as rounding lets one say."""
        return self.mean <= TOLERANCE


def compare(
    url: str, name: str, samples: Sequence[list[int]], wanted: Sequence[list[float]]
) -> Agreement:
    """Ask a vLLM server for the log-probabilities of samples' tokens. Raises ServeError."""
    differences = [
        abs(one - other)
        for ids, expected_of in zip(samples, wanted, strict=True)
        for one, other in zip(served(url, name, ids), expected_of, strict=True)
    ]
    count = len(differences)
    return Agreement(
        tokens=count, mean=sum(differences) / max(count, 1), largest=max(differences, default=0.0)
    )


def served(url: str, name: str, ids: list[int]) -> list[float]:
    """The server's log-probability of each token but the first."""
    import requests

    request = {"model": name, "prompt": ids, "max_tokens": 1, "prompt_logprobs": 0}
    try:
        answer = requests.post(f"{url}/completions", json=request, timeout=600)
        answer.raise_for_status()
        listed = answer.json()["choices"][0]["prompt_logprobs"]
    except (requests.RequestException, KeyError, ValueError) as error:
        raise ServeError(f"{url} gives no log-probabilities of a prompt: {error}") from error
    return [place[str(token)]["logprob"] for place, token in zip(listed[1:], ids[1:], strict=True)]


def expected(model: Path, samples: Sequence[list[int]], dtype: str = "") -> list[list[float]]:
    """The trainer's log-probability of each token but the first, in a process of its own.

    In `dtype`, which is to be the server's; without one in what the weights are kept in.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", "forager.learning.train.probe", str(model), dtype],
        input=json.dumps(list(samples)),
        capture_output=True,
        text=True,
        env={**os.environ, **accelerator()},
    )
    if done.returncode:
        raise ServeError(f"the model in {model} does not run here", done.stderr[-4000:])
    found: list[list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found
