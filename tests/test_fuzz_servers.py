"""Batches against a server that answers anything.

FORAGER_FUZZ_SERVERS=2000 makes as many attempts, and FORAGER_FUZZ_SEED=N other answers.
"""

import os
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from server_fuzzing import FuzzedServer, FuzzTask, fuzzed_server

from forager.agent.chat import ChatModel
from forager.agent.endpoint import ChatEndpoint
from forager.agent.traffic import RateLimiter
from forager.environments.registry import environments
from forager.environments.task import Task
from forager.errors import ForagerError, StoreError, UsageError
from forager.rollout.batch import run_batch
from forager.rollout.settings import MAY_CHANGE, RunSettings
from forager.rollout.worker import Job
from forager.trajectories.export import FORMATS, AttemptOrigin, writer
from forager.trajectories.record import AttemptLimits
from forager.trajectories.show import show
from forager.trajectories.store import Run
from tools import TOOLBOX

ATTEMPTS = int(os.environ.get("FORAGER_FUZZ_SERVERS", "45"))
SEED = int(os.environ.get("FORAGER_FUZZ_SEED", "0"))
FEW = AttemptLimits(turns=8, format_errors=4)
METADATA = "Name: fuzzing\nVersion: 1\n"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the environment of these attempts, as a package does."""
    place = tmp_path / "fuzzing-1.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(METADATA)
    points = "[forager.environments]\nfuzz = server_fuzzing:environment\n"
    (place / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(tmp_path)
    environments.cache_clear()
    yield
    environments.cache_clear()


def batch(
    path: Path,
    server: FuzzedServer,
    tasks: list[Task],
    settings: RunSettings,
    notes: list[str],
) -> list[str]:
    """Run a batch until each attempt was graded or lost; return its errors.

    Three refusals in a row end a run; among so many faults they happen by chance.
    """
    endpoint = ChatEndpoint(server.url, "key", timeout=2, tries=2, backoff=0.001, patience=2)

    def model(job: Job, limiter: RateLimiter) -> ChatModel:
        del job
        return ChatModel("m", endpoint, settings.sampling, settings.token_ids, limiter=limiter)

    errors: list[str] = []
    for start in range(3 + len(tasks)):
        with Run.write(path, settings, tasks, may_change=MAY_CHANGE) as store:
            try:
                run_batch(
                    store,
                    tasks,
                    settings,
                    model=model,
                    toolbox=TOOLBOX,
                    on_progress=lambda *_, **__: None,
                    on_note=notes.append,
                    hold=0.001,
                )
                break
            except (StoreError, UsageError):
                raise
            except ForagerError as error:
                errors.append(str(error))
        if start > 1 and not missing(Run(path), tasks):
            break
    return errors


def missing(run: Run, tasks: list[Task]) -> set[str]:
    """The attempts that were neither graded nor lost."""
    ended = {summary.id for summary in run.summaries()} | {loss.id for loss in run.lost()}
    return {f"{task.instance_id}.0" for task in tasks} - ended


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("syntax", "token_ids"), [("functions", False), ("text", False), ("functions", True)]
)
def test_every_attempt_is_graded_or_lost_with_a_reason(
    tmp_path: Path, syntax: Any, token_ids: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a server answers: no traceback, no request that a strict one refuses, all exported.

    Requests with token ids are sent as the answers came, which only vLLM reads.
    """
    count = ATTEMPTS // 3
    tasks: list[Task] = [
        FuzzTask(instance_id=f"{syntax}{number}", environment="fuzz", problem_statement="Go on.")
        for number in range(count)
    ]
    settings = RunSettings(
        models=["m"],
        syntax=syntax,
        token_ids=token_ids,
        sandbox="bubblewrap",
        warm=0,
        workers=8,
        limits=FEW,
    )
    path = tmp_path / "run"
    notes: list[str] = []
    with fuzzed_server(SEED + token_ids) as server:
        errors = batch(path, server, tasks, settings, notes)
    run = Run(path)
    stored = {summary.id for summary in run.summaries()}
    lost = list(run.lost())
    assert not missing(run, tasks)
    assert not [loss.log for loss in lost if loss.log or not loss.error.strip()]
    said = [*errors, *notes]
    assert all(line and "\n" not in line and "Traceback" not in line for line in said)
    assert any(": lost: " in note for note in notes) == bool(lost)
    if not token_ids:
        assert not server.faults, server.faults[:10]
    ends = Counter(summary.exit_reason for summary in run.summaries())
    assert len(stored) > count / 2, (ends, errors)
    for attempt in run.trajectories():
        assert not attempt.outcome.log
        Console(file=StringIO()).print(*show(attempt, full=True))
    for format in FORMATS:
        writer(format, AttemptOrigin())(run.trajectories(), tmp_path / format)
    with capsys.disabled():
        if ATTEMPTS > 45:
            print(f"\n{len(stored)} graded {dict(ends)}, {len(lost)} losses of "
                  f"{len({loss.id for loss in lost} - stored)} lost attempts, "
                  f"{server.sent.total()} answers {dict(server.sent)}")  # fmt: skip
