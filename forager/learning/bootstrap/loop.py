"""`forager bootstrap`: each round trains a model on attempts of the model before.

    draw ─▶ attempts ─▶ kept ─▶ dataset ─▶ training ─▶ candidate ─▶ evaluation ─▶ promotion

Each stage writes to its own directory and skips what is finished there, so a bootstrap that was
killed continues with the same command.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from forager.agent import REPAIR
from forager.environments.task import Task
from forager.errors import UsageError
from forager.evaluation.estimates import difference, estimate
from forager.learning.bootstrap.actions import RoundActions
from forager.learning.bootstrap.draw import draw
from forager.learning.bootstrap.manifest import (
    Evaluation,
    ModelId,
    Promotion,
    Round,
    RunId,
    success_by_task,
)
from forager.learning.bootstrap.server import CurrentServer
from forager.learning.bootstrap.settings import BootstrapSettings
from forager.learning.bootstrap.split import SPLIT, Split, clusters, split
from forager.learning.bootstrap.stages import StageLog
from forager.learning.dataset.write import export_dataset
from forager.learning.hub import model_directory
from forager.learning.saved import load, save
from forager.learning.train.run import finished
from forager.learning.train.samples import check_tokenizer
from forager.rollout.plan import Plan
from forager.trajectories.store import Run, is_run
from forager.version import VERSION

BASE = "base"
_RUNS = ("attempts", "taught")  # of a round


class Bootstrap:
    """A bootstrap in its directory; `report` gets a line when a stage begins."""

    def __init__(
        self,
        settings: BootstrapSettings,
        tasks: Sequence[Task],
        output: Path,
        actions: RoundActions,
        report: Callable[[str], None],
    ) -> None:
        self._settings, self._output, self._actions = settings, output, actions
        self._stages = StageLog(output / "stages.jsonl", report)
        self._server = CurrentServer(settings, output / "logs")
        self._mixed_in = [Path(path) for path in settings.mix_in]
        self._base_model = model_directory(Path(settings.base))
        check_tokenizer(self._base_model, self._mixed_in)
        chosen = self._split(tasks)
        named = {task.instance_id: task for task in tasks}
        self._training = [named[name] for name in chosen.training]
        self._held_out = [named[name] for name in chosen.held_out]
        self._clusters = clusters(self._held_out, settings.split.by)
        self._rounds: list[Round] = []  # that are done

    def run(self) -> Iterator[tuple[Evaluation, list[Round]]]:
        """Run what is missing; after each round yield the base's evaluation and all rounds so far.

        Raises ForagerError.
        """
        with self._server:
            base = self._base()
            rounds = self._rounds
            for number in range(self._settings.rounds):
                manifest = self._path(number) / "manifest.json"
                done = load(manifest, Round)
                if done is None:
                    done = self._round(number, base, rounds[-1].current if rounds else base)
                    save(manifest, done)
                rounds.append(done)
                yield base, rounds

    def _split(self, tasks: Sequence[Task]) -> Split:
        """The split; a bootstrap keeps the one that it began with. Raises UsageError."""
        path, wanted = self._output / SPLIT, self._settings.split
        made = split(tasks, by=wanted.by, held_out=wanted.held_out, seed=self._settings.seed)
        known = load(path, Split)
        if known and known != made:
            raise UsageError(f"the tasks differ from those of {path}; give the same tasks")
        save(path, made)
        return made

    def _base(self) -> Evaluation:
        path = self._output / BASE / "evaluated.json"
        if known := load(path, Evaluation):
            return known
        model = ModelId.of(BASE, self._base_model)
        found = self._evaluate(-1, model, path.with_name("evaluation"))
        save(path, found)
        return found

    def _round(self, number: int, base: Evaluation, current: Evaluation) -> Round:
        path, settings = self._path(number), self._settings
        policy = self._attempt(number, current.model)
        self._server.stop()  # it spins on a CPU, and the trainer needs its memory
        taught = self._teach(number)
        earlier = range(number) if settings.data == "all" else ()
        paths = [self._path(other) / name for other in (*earlier, number) for name in _RUNS]
        runs = [run for run in paths if run.is_dir()]
        with self._stages.measure(number, "filter"):
            filtering = self._actions.filter(runs, path / "kept")
        made = Round(
            number=number,
            policy=policy,
            attempts=RunId.of(path / "attempts"),
            taught=taught,
            filtering=filtering,
            kept=RunId.of(path / "kept"),
            init=current.model if settings.init == "last" else base.model,
            current=current,
            version=VERSION,
        )
        return self._trained(made, Path(base.model.path)) if filtering.attempts else made

    def _trained(self, made: Round, tokenizer: Path) -> Round:
        """The round with data set, training, candidate and promotion."""
        number, path, settings = made.number, self._path(made.number), self._settings
        with self._stages.measure(number, "dataset"):
            dataset = export_dataset([path / "kept"], path / "dataset", tokenizer, settings.dataset)
        with self._stages.measure(number, "train") as stage:
            datasets = [path / "dataset", *self._mixed_in]
            known = finished(path / "training")  # its tokens were recorded before
            training = self._actions.train(datasets, Path(made.init.path), path / "training")
            stage.tokens = 0 if known else training.tokens
        model = ModelId.of(f"round-{number}", path / "training" / "model")
        candidate = self._evaluate(number, model, path / "evaluation")
        promotion = self._promotion(candidate, made.current)
        outputs = {
            "dataset": dataset,
            "train_settings": settings.train,
            "training": training,
            "candidate": candidate,
            "promotion": promotion,
            "current": candidate if promotion.accepted else made.current,
        }
        return made.model_copy(update=outputs)

    def _attempt(self, number: int, current: ModelId) -> ModelId:
        """Make the attempts of a round; return the model that made them."""
        path, wanted = self._path(number) / "attempts", self._settings.draw
        own = chain.from_iterable(
            Run(self._path(earlier) / "attempts").summaries()
            for earlier in range(number)
            if self._is_own(earlier)
        )
        taught = {
            attempt.instance_id
            for earlier in learned_from(self._settings, self._rounds)
            for attempt in Run(self._path(earlier) / "kept").summaries()
            if attempt.resolved
        }
        seed = self._settings.seed + number
        tasks = draw(
            self._training, wanted.tasks, own, taught=taught, band=wanted.pass_rate, seed=seed
        )
        is_own = self._is_own(number)
        policy = current if is_own else self._teacher()
        self._run(number, "rollout" if is_own else "teach", "attempts", policy, tasks, path)
        return policy

    def _is_own(self, number: int) -> bool:
        """Whether the model, not the teacher, makes the attempts of a round."""
        return number > 0 or self._settings.teacher_attempts == "failures"

    def _teacher(self) -> ModelId:
        return ModelId(name=" ".join(self._settings.run_settings("teach", REPAIR, []).models))

    def _teach(self, number: int) -> RunId | None:
        """Let the teacher attempt the tasks that the model failed in a round."""
        if self._settings.teacher_attempts == "first":
            return None
        rates = success_by_task(Run(self._path(number) / "attempts"))
        failed = [task for task in self._training if rates.get(task.instance_id) == 0]
        path = self._path(number) / "taught"
        if not failed:
            return None
        self._run(number, "teach", "teach", self._teacher(), failed, path)
        return RunId.of(path)

    def _evaluate(self, number: int, model: ModelId, path: Path) -> Evaluation:
        """Evaluate a model on the held-out tasks."""
        self._run(number, "evaluate", "evaluate", model, self._held_out, path)
        run = RunId.of(path)
        confidence = self._settings.promotion.confidence
        success = estimate(run.success(), self._clusters, confidence)
        return Evaluation(model=model, run=run, success=success)

    def _run(
        self,
        number: int,
        part: str,
        stage: str,
        model: ModelId,
        tasks: Sequence[Task],
        path: Path,
    ) -> None:
        wanted = self._settings.run_settings(part, model.name, [])
        if is_run(path) and Plan(tasks, wanted, Run(path).summaries()).peek() is None:
            return  # start no server for a finished run
        urls: list[str] = []
        if model.path:
            with self._stages.measure(number, "serve"):
                urls = self._server.urls(model.name, Path(model.path))
        with self._stages.measure(number, stage) as cost:
            begun = is_run(path)
            settings = self._settings.run_settings(part, model.name, urls)
            self._actions.attempt(settings, tasks, path)
            cost.add_run(path, None if begun else settings.workers)

    def _promotion(self, candidate: Evaluation, current: Evaluation) -> Promotion:
        """Decide whether the candidate replaces the current model."""
        wanted = self._settings.promotion
        gain = difference(
            candidate.run.success(), current.run.success(), self._clusters, wanted.confidence
        )
        decisive = gain.mean if wanted.criterion == "estimate" else gain.high
        return Promotion(against=current.model.name, gain=gain, accepted=decisive >= 0)

    def _path(self, number: int) -> Path:
        return self._output / f"round-{number}"


def learned_from(settings: BootstrapSettings, rounds: Sequence[Round]) -> list[int]:
    """Rounds whose attempts taught the current model, or teach it again in the next round."""
    if settings.data == "all":
        return [rounds[-1].number] if rounds else []  # which holds those of the rounds before it
    promoted = [made.number for made in rounds if made.promotion and made.promotion.accepted]
    return promoted if settings.init == "last" else []
