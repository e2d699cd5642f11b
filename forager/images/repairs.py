"""The rounds of a build: try the recipe, let the builders propose changes, keep what helps.

Each change is tried from scratch. It is kept if the build gets further, if more tests pass, or if
another fault shows than before: a service may start, and lack a database. Every step is recorded as
a repair trace.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from forager.images.builder import Builder, Diagnosis, RecipeChange, RepairStep, SourceProject
from forager.images.recipe import Recipe
from forager.images.rules import RULES
from forager.images.workbench import decisive_line
from forager.images.workshop import RecipeTrial, Workshop

_MOST_KEPT = 12  # changes by one builder
_MOST_TRIED = 24
_MOST_CONFIRMED = 4  # runs in another order
_ADDING = ("system packages",)  # rules after which the next library may be missing


class Repairs:
    """The repairs of one source's recipe. The image of the best trial stays, the others go."""

    def __init__(
        self, workshop: Workshop, recipe: Recipe, record: Callable[[RepairStep], None]
    ) -> None:
        self._workshop = workshop
        self._record = record
        self._known: dict[str, Diagnosis] = {}
        self._faults: set[str] = set()
        self._best = workshop.attempt(recipe, search=True)
        self._note(recipe, self._best)

    def run(self, builders: Sequence[Builder]) -> RecipeTrial:
        """Let the builders repair the recipe; return the trial that got furthest."""
        try:
            for builder in builders:
                self._rounds(builder)
                if self._best.failure.sound:
                    break
            if self._best.failure.stage == "install":
                self._reduce()
                if RULES in builders:  # others need minutes, or a model
                    self._rounds(RULES)
            self._confirm(repair=RULES in builders)
        except BaseException:
            self._best.remove()
            raise
        return self._best

    def _confirm(self, *, repair: bool) -> None:
        """Run the tests in another order; let the rules repair what breaks that run off."""
        for left in reversed(range(_MOST_CONFIRMED)):
            self._best = self._workshop.confirm(self._best)
            broken = self._best.failure.broken
            if not (broken and broken.reordered and repair and left):
                return
            self._rounds(RULES)

    def _rounds(self, builder: Builder) -> None:
        """Let a builder change the recipe as long as that helps."""
        kept = tried = 0
        changes = self._changes(builder)
        while kept < _MOST_KEPT and tried < _MOST_TRIED and (change := next(changes, None)):
            if _text(change.recipe) in self._known:
                continue
            tried += 1
            if self._consider(builder.name, change):
                kept += 1
                changes = self._changes(builder)

    def _changes(self, builder: Builder) -> Iterator[RecipeChange]:
        best = self._best

        def attempt(recipe: Recipe) -> Diagnosis:
            if _text(recipe) not in self._known:
                change = RecipeChange(recipe, builder.name, f"{builder.name} wrote this recipe")
                self._consider(builder.name, change)
            return self._known[_text(recipe)]

        shop = self._workshop
        project = SourceProject(shop.source, shop.tree, attempt, shop.report, shop.contents)
        return builder.changes(project, best.asked, best.failure)

    def _consider(self, builder: str, change: RecipeChange) -> bool:
        """Try a change; keep it if it helps."""
        self._workshop.report(f"{change.rule}: {change.reason}")
        return self._judge(
            builder, change, lambda: self._workshop.attempt(change.recipe, search=True)
        )

    def _reduce(self) -> None:
        """Leave out what cannot be installed, with the cause."""
        reason = f"cannot be installed: {decisive_line(self._best.failure.log)}"
        asked = self._best.asked
        self._workshop.report(f"leaving out what {reason}")
        self._judge(
            RULES.name,
            RecipeChange(asked, "leave out", reason),
            lambda: self._workshop.attempt(asked, search=True, reduce=True),
        )

    def _judge(
        self, builder: str, change: RecipeChange, attempt: Callable[[], RecipeTrial]
    ) -> bool:
        started, before = time.monotonic(), self._best
        trial = attempt()
        kept = self._is_better(trial.failure, change.rule)
        self._note(change.recipe, trial)
        source = self._workshop.source
        self._record(
            RepairStep(
                source=source.given,
                digest=source.digest,
                builder=builder,
                rule=change.rule,
                reason=change.reason,
                before=before.asked,
                failure=before.failure,
                after=trial.asked,
                result=trial.failure,
                kept=kept,
                seconds=round(time.monotonic() - started, 1),
            )
        )
        if kept:
            self._best = trial.without([*before.dropped, *trial.dropped])
        (before if kept else trial).remove()
        return kept

    def _note(self, recipe: Recipe, trial: RecipeTrial) -> None:
        self._known[_text(recipe)] = trial.failure
        self._known[_text(trial.asked)] = trial.failure
        self._faults.add(_fault(trial.failure))

    def _is_better(self, failure: Diagnosis, rule: str) -> bool:
        best = self._best.failure
        comparable = best.stage != "collect" or rule in _ADDING
        alike = comparable and failure.stage == best.stage and failure.passing >= best.passing
        another = alike and not best.sound and _fault(failure) not in self._faults
        return not failure.refused and (failure.progress > best.progress or another)


def _fault(failure: Diagnosis) -> str:
    """What is wrong, in words that stay the same: the cause, or the commonest error of tests."""
    if failure.stage != "test":
        return f"{failure.command}: {decisive_line(failure.log)}"
    errors = re.findall(r"^E   (.{1,120})", failure.log, re.MULTILINE)
    common = Counter(re.sub(r"\d+", "#", error) for error in errors).most_common(1)
    return common[0][0] if common else failure.message


def _text(recipe: Recipe) -> str:
    return recipe.model_dump_json()
