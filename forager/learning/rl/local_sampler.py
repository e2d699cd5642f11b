"""Samples with Transformers in this process: on a CPU, or on a GPU without a server.

Each attempt has its own stream of random numbers, so what it samples depends on the seed, the
attempt and the weights, not on the time. The attempts of a group begin with the same prompt, so
their first turns are sampled together: the attempt that asks first samples for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Self

from forager.agent.model import Model, Reply
from forager.agent.traffic import RateLimiter
from forager.errors import LimitReached, ModelRefusal
from forager.learning.dataset.tokenizer import Tokenizer, UnusableAttempt
from forager.rollout.settings import RunSettings
from forager.rollout.worker import Job
from forager.trajectories.record import Message, Sampling, ToolCall, Usage

_DATE = "01 Jan 2026"  # of templates that show the day; the same in every attempt


class Completion(NamedTuple):
    """Sampled tokens with their log-probabilities, and whether the model ended them itself."""

    ids: list[int]
    logprobs: list[float]
    ended: bool


@dataclass
class PrefixCache:
    """Key-value blocks of the ids that an attempt has so far, and the version that made them."""

    version: int = -1
    ids: list[int] = field(default_factory=list)
    blocks: Any = None


class LocalSampler:
    """Implements Sampler."""

    def __init__(self, base: Path, dtype: str) -> None:
        self.tokenizer = Tokenizer(base)
        self._dtype = dtype
        self.version = -1
        self.context = 0
        self._model: Any = None
        self._ends: set[int] = set()
        self._lock = Lock()
        self._ready: dict[tuple[str, int, tuple[int, ...]], Completion] = {}

    @property
    def urls(self) -> list[str]:
        """None."""
        return []

    def load(self, model: Path, version: int) -> None:
        """Take the weights of a step."""
        with self._lock:
            self._load(model)
            self.version = version
            self._ready = {}

    def model(self, job: Job, settings: RunSettings, limiter: RateLimiter) -> Model:
        """The model of an attempt."""
        del limiter
        return LocalModel(self, job, settings)

    def _load(self, path: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = (
            AutoModelForCausalLM.from_pretrained(path, dtype=self._dtype).to(device).eval()
        )
        config = self._model.config
        ends = self._model.generation_config.eos_token_id or config.eos_token_id
        self._ends = set(ends if isinstance(ends, list) else [ends])
        self.context = config.get_text_config().max_position_embeddings

    def together(
        self, job: Job, size: int, prompt: list[int], sampling: Sampling, room: int
    ) -> Completion:
        """The completion of one attempt of a group of this size, whose prompts are the same."""
        first = job.number // size * size
        group, task, ids = range(first, first + size), job.task.instance_id, tuple(prompt)
        with self._lock:
            if (task, job.number, ids) not in self._ready:
                sources = [_source(sampling.seed, f"{task}.{number}", 0) for number in group]
                made = self._sample(prompt, PrefixCache(), sources, sampling, room)
                pairs = zip(group, made, strict=True)
                self._ready |= {(task, number, ids): done for number, done in pairs}
            return self._ready.pop((task, job.number, ids))

    def alone(
        self,
        job: Job,
        turn: int,
        prompt: list[int],
        cache: PrefixCache,
        sampling: Sampling,
        room: int,
    ) -> Completion:
        """The completion of a turn, which goes on from the cache if its weights are the same."""
        with self._lock:
            if not self.is_valid(cache) or prompt[: len(cache.ids)] != cache.ids:
                cache.ids, cache.blocks = [], None
            cache.version = self.version
            source = _source(sampling.seed, job.id, turn)
            (made,) = self._sample(prompt, cache, [source], sampling, room)
            return made

    def is_valid(self, cache: PrefixCache) -> bool:
        """Whether the current weights made the blocks: others would answer as the old weights."""
        return cache.version == self.version

    def _sample(
        self,
        prompt: list[int],
        cache: PrefixCache,
        sources: Sequence[Any],
        sampling: Sampling,
        room: int,
    ) -> list[Completion]:
        """Sample one completion per source after a prompt, at most `room` tokens each."""
        import torch

        rows = len(sources)
        made = [Completion([], [], False) for _ in sources]
        with torch.inference_mode():
            logits, blocks = self._forward([prompt[len(cache.ids) :]], cache.blocks)
            if rows > 1:
                blocks.batch_repeat_interleave(rows)
                logits = logits.expand(rows, -1)
            for place in range(room):
                ids, logprobs = _drawn(logits, sources, sampling)
                for row, completion in enumerate(made):
                    if not completion.ended:
                        completion.ids.append(ids[row])
                        completion.logprobs.append(logprobs[row])
                        made[row] = completion._replace(ended=ids[row] in self._ends)
                if all(completion.ended for completion in made) or place + 1 == room:
                    break
                logits, blocks = self._forward([[id] for id in ids], blocks)
        cache.ids, cache.blocks = prompt + made[0].ids[:-1], blocks
        return made

    def _forward(self, ids: list[list[int]], blocks: Any) -> tuple[Any, Any]:
        """Logits after the last id of each row, (rows, vocabulary), float32, and new blocks."""
        import torch

        given = torch.tensor(ids, device=self._model.device)
        done = self._model(
            input_ids=given, past_key_values=blocks, use_cache=True, logits_to_keep=1
        )
        return done.logits[:, -1].float(), done.past_key_values

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._model = None


def _source(seed: int | None, attempt: str, turn: int) -> Any:
    """The random numbers of a turn of an attempt."""
    import torch

    digest = blake2b(f"{seed or 0}/{attempt}/{turn}".encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


def _drawn(
    logits: Any, sources: Sequence[Any], sampling: Sampling
) -> tuple[list[int], list[float]]:
    """A token of each row with its log-probability; the likeliest one at temperature 0."""
    import torch

    logprobs = logits.log_softmax(-1).cpu()
    if sampling.temperature == 0:
        ids = logprobs.argmax(-1)
    else:
        weights = (logprobs / (sampling.temperature or 1.0)).exp()
        rows = zip(weights, sources, strict=True)
        ids = torch.stack([torch.multinomial(row, 1, generator=source)[0] for row, source in rows])
    return ids.tolist(), logprobs.gather(1, ids[:, None])[:, 0].tolist()


class LocalModel:
    """The model of one attempt; implements Model.

    A prompt that extends the text so far keeps the ids so far: no token is encoded again.
    """

    def __init__(self, sampler: LocalSampler, job: Job, settings: RunSettings) -> None:
        self._sampler, self._job, self._sampling = sampler, job, settings.sampling
        self._size = settings.attempts
        self._ids: list[int] = []
        self._text = ""
        self._turn = 0
        self._cache = PrefixCache()

    def query(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        calls: Sequence[ToolCall] = (),
    ) -> Reply:
        """Answer the conversation. Raises LimitReached if it leaves no room for an answer."""
        del calls
        prompt = self._prompt(messages, tools)
        room = self._sampler.context - len(prompt)
        if room < 1:
            raise LimitReached("token_limit")
        room = min(room, self._sampling.max_tokens or room)
        made = self._complete(prompt, room)
        self._ids = prompt + made.ids
        decode = self._sampler.tokenizer.decode
        self._text += decode(made.ids)
        self._turn += 1
        return Reply(
            message={"role": "assistant", "content": decode(made.ids, specials=False)},
            usage=Usage(prompt_tokens=len(prompt), completion_tokens=len(made.ids)),
            finish_reason="stop" if made.ended else "length",
            prompt_token_ids=prompt,
            completion_token_ids=made.ids,
            logprobs=made.logprobs,
        )

    def _complete(self, prompt: list[int], room: int) -> Completion:
        sampler, job = self._sampler, self._job
        if self._turn == 0:
            return sampler.together(job, self._size, prompt, self._sampling, room)
        return sampler.alone(job, self._turn, prompt, self._cache, self._sampling, room)

    def _prompt(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> list[int]:
        tokenizer = self._sampler.tokenizer
        try:
            text = tokenizer.render(messages, tools, _DATE, prompt=True)
        except UnusableAttempt as error:
            raise ModelRefusal(str(error)) from error
        if self._text and text.startswith(self._text):
            ids = self._ids + tokenizer.encode(text[len(self._text) :])
        else:
            ids = tokenizer.encode(text)
        self._text = text
        return ids
