"""Filters that look at one attempt: its outcome, its length, its errors."""

from pydantic import NonNegativeInt

from forager.environments.repository.protection import is_protected
from forager.environments.repository.task import RepositoryTask
from forager.learning.failures import failed
from forager.learning.filters.pipeline import Filter, Share, SummaryFilter, Survey
from forager.trajectories.record import Trajectory
from forager.trajectories.show import text_of
from forager.trajectories.steps import steps

_CHARACTERS = 4  # per token, roughly, if no server has counted


def resolved(survey: Survey, wanted: bool = True) -> Filter:
    """Keep the attempts that are resolved (or those that are not)."""
    del survey
    return SummaryFilter(lambda attempt: attempt.resolved is wanted)


def length(
    survey: Survey,
    turns: int | None = None,
    tokens: int | None = None,
    least_turns: int = 0,
) -> Filter:
    """Keep attempts of at most `turns` turns and `tokens` tokens, and at least `least_turns` turns.

    Tokens are the prompt and answer of the last model call as the server counted them; without a
    count, a quarter of the characters.
    """
    del survey

    def judge(attempt: Trajectory) -> Trajectory | None:
        if attempt.turns < least_turns or (turns is not None and attempt.turns > turns):
            return None
        return attempt if tokens is None or _tokens(attempt) <= tokens else None

    return judge


def errors(survey: Survey, share: Share = 0.5, most: NonNegativeInt | None = None) -> Filter:
    """Drop attempts in which more than a share of the steps failed, or more than `most` steps."""
    del survey

    def judge(attempt: Trajectory) -> Trajectory | None:
        count = sum(map(failed, steps(attempt)))
        allowed = share * attempt.turns if most is None else min(most, share * attempt.turns)
        return attempt if count <= allowed else None

    return judge


def tests(survey: Survey) -> Filter:
    """Drop attempts whose patch touches tests or other files that grading protects."""
    protected = {
        task.instance_id: tuple(task.setup.protected)
        for task in survey.tasks()
        if isinstance(task, RepositoryTask) and task.setup.protected
    }

    def judge(attempt: Trajectory) -> Trajectory | None:
        guarded = protected.get(attempt.instance_id, ())
        paths = patched(attempt.outcome.answer)
        touched = attempt.outcome.ignored_files or any(
            is_protected(path, guarded) for path in paths
        )
        return None if touched else attempt

    return judge


def patched(patch: str) -> list[str]:
    """The paths of the files that a patch changes."""
    starts = ("diff --git a/", "--- a/", "+++ b/")
    lines = [line for line in patch.split("\n") if line.startswith(starts[1:])]
    return list(dict.fromkeys(line[6:].rstrip("\t") for line in lines))


def _tokens(attempt: Trajectory) -> int:
    usage = attempt.model_calls[-1].usage if attempt.model_calls else attempt.usage
    counted = usage.prompt_tokens + usage.completion_tokens
    return counted or sum(map(len, map(text_of, attempt.messages))) // _CHARACTERS
