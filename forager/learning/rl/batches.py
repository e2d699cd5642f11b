"""The data set of a step, from the ledger and the stored attempts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from forager.atomic import new_directory
from forager.learning.dataset import MANIFEST, DatasetManifest, DatasetSettings, Sample
from forager.learning.dataset.columns import SCHEMA_VERSION
from forager.learning.dataset.tokenizer import Tokenizer
from forager.learning.dataset.write import SampleWriter
from forager.learning.rl.ledger import GroupState
from forager.learning.saved import load, save
from forager.trajectories.record import Trajectory
from forager.trajectories.store import Run
from forager.trajectories.tokens import TokenSequence, sequences

NOT_SAMPLED = -1  # the version of tokens that no policy wrote


def samples_of(attempt: Trajectory, advantage: float) -> Iterator[Sample]:
    """Yield the sequences of an attempt, which share its advantage.

    Calls are joined into one sequence only where a prompt extends the last one by ids. Tokens
    without a log-probability have no loss.
    """
    prompts = [len(prompt or ()) for prompt in attempt.prompts()]
    for number, sequence in enumerate(sequences(attempt), 1):
        pairs = zip(sequence.sampled, sequence.logprobs, strict=True)
        mask = [int(sampled and logprob is not None) for sampled, logprob in pairs]
        yield Sample(
            id=attempt.id if number == 1 else f"{attempt.id}#{number}",
            input_ids=sequence.ids,
            loss_mask=mask,
            logprobs=[logprob or 0.0 for logprob in sequence.logprobs],
            advantages=[advantage * trained for trained in mask],
            versions=_versions(attempt, sequence, prompts),
            origin="tokens",
        )


def _versions(attempt: Trajectory, sequence: TokenSequence, prompts: Sequence[int]) -> list[int]:
    """The policy version of each token; `prompts` are the lengths of the calls' prompts."""
    versions: list[int] = []
    for number in sequence.calls:
        call = attempt.model_calls[number]
        known = NOT_SAMPLED if call.policy_version is None else call.policy_version
        versions += [NOT_SAMPLED] * (prompts[number] - len(versions))
        versions += [known] * len(call.completion_token_ids or ())
    return versions


def tokens_of(attempt: Trajectory) -> int:
    """Number of tokens that the policy wrote and that have a log-probability."""
    return sum(sum(sample.loss_mask) for sample in samples_of(attempt, 1.0))


def write_batch(
    path: Path, groups: Sequence[GroupState], run: Path, tokenizer: Tokenizer
) -> DatasetManifest:
    """Write the data set of a step, whole or not at all; one that exists is left as it is."""
    if done := load(path / MANIFEST, DatasetManifest):
        return done
    with new_directory(path) as part:
        with Run(run).index() as index, SampleWriter(part) as files:
            for group in groups:
                assert group.advantages is not None
                for graded in group.graded:
                    advantage = group.advantages[graded.attempt]
                    for sample in samples_of(index.get(graded.attempt), advantage):
                        files.append(sample)
        settings = DatasetSettings()
        made = DatasetManifest.model_validate(
            {
                "schema_version": SCHEMA_VERSION,
                "kind": settings.kind,
                "tokenizer": tokenizer.digest,
                "chat_template": tokenizer.template_digest,
                "context": settings.max_length,
                "seed": settings.seed,
                "settings": settings,
                "sources": [],
                "attempts": sum(len(group.graded) for group in groups),
                **files.totals(),
            }
        )
        save(part / MANIFEST, made)
    return made
