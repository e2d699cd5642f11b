"""Correct: appends the fix of a successful attempt to the failed trials of another.

A model that learns from a teacher's attempts alone never sees what to do after its own mistakes;
appended to them, the teacher's answer shows it (DAgger: Ross, Gordon and Bagnell, arXiv 1011.0686).
The record proves that the two fit together: each trial (see `sed.TrialTemplate`) begins with the
file as committed and edits nothing else, so its result does not depend on the trials before it.
"""

from itertools import takewhile

from forager.learning.filters.cut import KeptStep, call_of, cut
from forager.learning.filters.drawn import draw
from forager.learning.filters.pipeline import Filter, Survey
from forager.learning.filters.sed import TRIAL, TrialTemplate
from forager.trajectories.record import Trajectory
from forager.trajectories.steps import Step, steps


def correct(survey: Survey, trial: str = TRIAL) -> Filter:
    """Append a success to the trials of a failure at the same task.

    The success is another attempt that consists of one trial and `submit` (`shorten` and
    `sed=tests:true` with the same `trial` make such attempts from those of `repair`). It replaces
    the failure's last two steps, and all steps from the first command that is not a trial. Of the
    trials it keeps the first few, drawn by the attempt's id: where the success always comes last, a
    model learns to fail until then. Repeated trials stay: a model that never sees what comes after
    one goes on repeating it. Other attempts stay as they are. Memory holds one success per task.
    """
    trials = TrialTemplate(trial)
    answers: dict[str, Trajectory] = {}
    for attempt in survey.trajectories():
        if attempt.outcome.resolved and _answer(attempt, trials):
            answers.setdefault(attempt.instance_id, attempt)

    def change(attempt: Trajectory) -> Trajectory:
        success = answers.get(attempt.instance_id)
        if attempt.outcome.resolved or success is None or success.syntax != attempt.syntax:
            return attempt
        all, answer = list(steps(attempt)), _answer(success, trials)
        kept = _trials(all, trials, trials.file(call_of(answer[0])) if answer else "")
        if not kept:
            return attempt
        kept = kept[: 1 + draw(0, attempt.id) % len(kept)]
        places = range(len(all) - 2, len(all))
        taken = [
            step._replace(model_call=all[place].model_call)
            for place, step in zip(places, answer, strict=True)
        ]
        made = cut(attempt, [*kept, *map(KeptStep, places, taken)], "correct")
        return made.model_copy(update={"outcome": success.outcome})

    return change


def _answer(attempt: Trajectory, trials: TrialTemplate) -> list[Step]:
    """A trial and `submit`, or nothing."""
    all = list(steps(attempt))
    fits = len(all) == 2 and trials.file(call_of(all[0])) and call_of(all[1]).tool == "submit"
    return all if fits else []


def _trials(all: list[Step], trials: TrialTemplate, file: str) -> list[KeptStep]:
    """The failed trials of a file at the start of an attempt, without its last two steps.

    The record does not tell what another command did, and so not what later trials prove.
    """
    calls = [call_of(step) for step in all[:-2]]
    begun = takewhile(lambda call: file and trials.file(call) == file and call.exit_code, calls)
    return [KeptStep(number, all[number]) for number, _ in enumerate(begun)]
