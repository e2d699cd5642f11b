"""Compares a server's log-probabilities with the trainer's, to prove that weights are the same."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from forager.errors import ServeError
from forager.learning.dataset.tokenizer import SHORTEST, Tokenizer
from forager.learning.serve.client import post
from forager.learning.train.rank import accelerator
from forager.records import Record

PROBE = list(range(3, 35))  # token ids of any vocabulary
TOLERANCE = 0.03  # nats of mean difference, which bfloat16 on both sides explains
TOLERANCE_FLOAT32 = 1e-3  # the same for float32 on both sides; one small step changes more


class Agreement(Record):
    """Differences between log-probabilities of trainer and server, in nats."""

    tokens: int
    mean: float
    largest: float

    def holds(self, dtype: str = "") -> bool:
        """Whether rounding alone explains the difference, with weights in a server's `dtype`."""
        return self.mean <= (TOLERANCE_FLOAT32 if dtype == "float32" else TOLERANCE)


def compare(
    url: str,
    name: str,
    samples: Sequence[list[int]],
    wanted: Sequence[list[float]],
    key: str = "",
) -> Agreement:
    """Compare a vLLM server with the trainer's log-probabilities. Raises ServeError.

    `key` is what the server was started with as its --api-key.
    """
    differences = [
        abs(server - trainer)
        for ids, of_sample in zip(samples, wanted, strict=True)
        for server, trainer in zip(served(url, name, ids, key), of_sample, strict=True)
    ]
    count = len(differences)
    return Agreement(
        tokens=count, mean=sum(differences) / max(count, 1), largest=max(differences, default=0.0)
    )


def has_weights(
    url: str,
    name: str,
    dtype: str,
    wanted: Sequence[list[float]],
    former: Sequence[list[float]] | None = None,
    key: str = "",
) -> bool:
    """Whether a vLLM server answers the probe as wanted, and not more like its former weights.

    `wanted` and `former` are what `expected` returns for the probe. Raises ServeError.
    """
    found = compare(url, name, [PROBE], wanted, key)
    if not found.holds(dtype):
        return False
    return not former or compare(url, name, [PROBE], former, key).mean >= found.mean


def served(url: str, name: str, ids: list[int], key: str = "") -> list[float]:
    """Log-probabilities of the server, (tokens - 1,): none for the first. Raises ServeError."""
    import requests

    request = {"model": name, "prompt": ids, "max_tokens": 1, "prompt_logprobs": 0}
    try:
        answer = post(f"{url}/completions", request, key=key)
        answer.raise_for_status()
        listed = answer.json()["choices"][0]["prompt_logprobs"]
    except (requests.RequestException, KeyError, ValueError) as error:
        raise ServeError(f"{url} returns no log-probabilities of a prompt: {error}") from error
    return [place[str(token)]["logprob"] for place, token in zip(listed[1:], ids[1:], strict=True)]


def check_prompts(url: str, name: str, model: Path) -> None:
    """Raise ServeError if prompts of a vLLM server begin otherwise than those of data sets.

    Data sets are rendered with the model's chat template: with <bos> or without. A template that
    refuses short conversations is not checked.
    """
    import requests

    for messages in SHORTEST:
        request = {"model": name, "messages": messages}
        try:
            answer = post(f"{url.removesuffix('/v1')}/tokenize", request, timeout=60)
            ids = answer.json()["tokens"] if answer.ok else None
        except (requests.RequestException, KeyError, ValueError) as error:
            raise ServeError(f"{url} returns no token ids of a prompt: {error}") from error
        if ids and not Tokenizer(model).begins(ids):
            raise ServeError(
                f"{url} and the chat template in {model} differ in whether prompts begin with "
                "<bos>; serve the model with its own template"
            )
        if ids:
            return


def expected(
    models: Sequence[Path], samples: Sequence[list[int]], dtype: str = ""
) -> list[list[list[float]]]:
    """Log-probabilities of the trainer, (tokens - 1,) per model and sample, in one child process.

    `dtype` is the server's precision; empty for the precision of the stored weights.
    """
    program = [sys.executable, "-P", "-m", "forager.learning.train.logprobs_program"]
    done = subprocess.run(
        [*program, dtype, *map(str, models)],
        input=json.dumps(list(samples)),
        capture_output=True,
        text=True,
        env={**os.environ, **accelerator()},
    )
    if done.returncode:
        raise ServeError(f"cannot run the model in {models[0]}", done.stderr[-4000:])
    found: list[list[list[float]]] = json.loads(done.stdout.splitlines()[-1])
    return found
