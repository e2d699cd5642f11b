"""Batches of attempts with scripted models in real containers."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from test_unpacked import BASE, save, tar

from forager.agent.model import Reply, ScriptedModel
from forager.agent.syntax import SYNTAXES, assistant
from forager.agent.tool import Call
from forager.agent.traffic import RateLimiter
from forager.environments.repository.task import RepositoryTask
from forager.environments.task import Task
from forager.errors import ForagerError, ImageMissing
from forager.rollout.batch import run_batch
from forager.rollout.breaker import LOST_IN_A_ROW
from forager.rollout.settings import MAY_CHANGE, RunSettings
from forager.rollout.worker import Job
from forager.sandboxes.delivery import deliver
from forager.sandboxes.engine import connect
from forager.sandboxes.sandbox import Limits
from forager.sandboxes.unpacked import unpack
from forager.trajectories.record import AttemptLimits, Message, Trajectory, Usage
from forager.trajectories.store import Run
from tools import TOOLBOX

pytestmark = pytest.mark.engine
FIX = Call(
    "edit",
    {
        "path": "kata/core.py",
        "search": "    return min(value, high)",
        "replace": "    return min(max(value, low), high)",
    },
)
TEST = Call("bash", {"command": "python -m pytest -q tests | tail -n 3"})
SUBMIT = Call("submit", {})
SMALL = Limits(memory=512 << 20)


def script(syntax: str, *calls: Call) -> list[Message | Reply]:
    """Return replies with these calls, of 100 and 10 tokens each."""
    usage = Usage(prompt_tokens=100, completion_tokens=10)
    return [Reply(message, usage) for message in assistant(SYNTAXES[syntax], TOOLBOX, calls)]


def run(
    path: Path,
    task: Task | Sequence[Task],
    replies: Sequence[Message | Reply],
    **settings: Any,
) -> tuple[list[Trajectory], list[ScriptedModel], list[dict[str, int]]]:
    """Run a batch; return the stored attempts, the created models, and the progress messages."""
    tasks = [task] if isinstance(task, Task) else list(task)
    resolved = RunSettings(**{"models": ["scripted"], "sandbox_limits": SMALL, **settings})
    models: list[ScriptedModel] = []
    told: list[dict[str, int]] = []

    def make(job: Job, limiter: RateLimiter) -> ScriptedModel:
        models.append(ScriptedModel(replies))
        return models[-1]

    with Run.write(path, resolved, tasks, may_change=MAY_CHANGE) as store:
        run_batch(
            store,
            tasks,
            resolved,
            model=make,
            toolbox=TOOLBOX,
            on_progress=lambda done, **counts: told.append({"done": done, **counts}),
            hold=0.01,
        )
    return list(Run(path).trajectories()), models, told


@pytest.mark.parametrize("syntax", ["functions", "text"])
def test_a_resolved_attempt_is_stored_whole_and_not_made_again(
    tmp_path: Path, kata_task: RepositoryTask, syntax: str
) -> None:
    """Each field is recorded, and a resumed run makes only missing attempts."""
    replies = script(syntax, FIX, TEST, SUBMIT)
    stored, _, told = run(tmp_path / "run", kata_task, replies, syntax=syntax)
    (attempt,) = stored
    assert attempt.id == f"{kata_task.instance_id}.0"
    assert (attempt.instance_id, attempt.attempt) == (kata_task.instance_id, 0)
    assert (attempt.kind, attempt.repo) == ("mutate-fix", "kata")
    assert attempt.labels == kata_task.labels
    assert (attempt.model, attempt.syntax) == ("scripted", syntax)
    assert (attempt.image, attempt.image_digest) == (kata_task.image, kata_task.image_digest)
    memory = kata_task.setup.memory  # the tests need it, whatever the settings say
    assert attempt.sandbox_limits == SMALL.model_copy(update={"memory": memory})
    outcome = attempt.outcome
    assert (outcome.exit_reason, outcome.resolved, outcome.reward) == ("submitted", True, 1)
    assert (outcome.similarity, outcome.ignored_files, outcome.cause) == (1.0, [], "")
    assert set(outcome.tests) == {*kata_task.FAIL_TO_PASS, *kata_task.PASS_TO_PASS}
    assert set(outcome.tests.values()) == {"passed"}
    assert "+    return min(max(value, low), high)\n" in outcome.answer
    roles = [message["role"] for message in attempt.messages]
    answer = "tool" if syntax == "functions" else "user"
    assert roles == ["system", "user", *["assistant", answer] * 2, "assistant"]
    assert attempt.tools == SYNTAXES[syntax].definitions(TOOLBOX)
    assert attempt.messages[1]["content"] == kata_task.problem_statement
    assert "8 passed" in attempt.messages[5]["content"]
    assert [call.message for call in attempt.model_calls] == [2, 4, 6]
    assert [(call.tool, call.message) for call in attempt.tool_calls] == [
        ("edit", 3),
        ("bash", 5),
        ("submit", 7),
    ]
    arguments = attempt.tool_calls[0].arguments  # in text, whole lines keep their ends
    assert {name: text.rstrip("\n") for name, text in arguments.items()} == FIX.arguments
    assert attempt.tool_calls[1].exit_code == 0
    assert attempt.usage == Usage(prompt_tokens=300, completion_tokens=30)
    assert attempt.timings.total >= attempt.timings.start + attempt.timings.grading > 0
    assert told == [{"done": 1, "resolved": 1, "running": 0, "failed": 0, "tokens": 330}]

    again, models, told = run(tmp_path / "run", kata_task, replies, syntax=syntax, workers=2)
    assert (again, models, told) == (stored, [], [])


def test_limits_end_attempts_that_are_graded_all_the_same(
    tmp_path: Path, kata_task: RepositoryTask
) -> None:
    """Grading counts what the agent did before the turn limit."""
    (attempt,), _, _ = run(
        tmp_path / "run", kata_task, script("functions", FIX), limits=AttemptLimits(turns=1)
    )
    assert attempt.outcome.exit_reason == "turn_limit"
    assert attempt.outcome.resolved
    assert attempt.turns == 1
    assert "[0 turns and " in attempt.messages[-1]["content"]


def test_malformed_calls_are_answered_and_in_a_row_end_the_attempt(
    tmp_path: Path, kata_task: RepositoryTask
) -> None:
    """Each answer says what was wrong; a good call in between restarts the count."""
    bad: list[Message | Reply] = [{"role": "assistant", "content": "I think."}]
    good = script("functions", Call("bash", {"command": "pwd"}))
    replies = [*bad, *good, *bad, *bad]
    (attempt,), (model,), _ = run(
        tmp_path / "run", kata_task, replies, limits=AttemptLimits(format_errors=2)
    )
    assert attempt.outcome.exit_reason == "format_errors"
    assert (attempt.outcome.resolved, attempt.outcome.cause) == (False, "nothing was changed")
    assert [call.error for call in attempt.tool_calls] == [True, False, True, True]
    assert [call.tool for call in attempt.tool_calls] == ["", "bash", "", ""]
    assert "no tool call" in model.seen[1][-1]["content"]
    assert "/testbed" in model.seen[2][-1]["content"]


def test_a_missing_image_ends_the_run_at_once(tmp_path: Path, kata_task: RepositoryTask) -> None:
    """A lasting infrastructure error ends the run; its attempts are lost, not stored."""
    gone = [
        kata_task.model_copy(update={"instance_id": f"gone-{number}", "image": "no/such:0"})
        for number in range(LOST_IN_A_ROW + 1)
    ]
    with pytest.raises(ImageMissing, match="no/such:0"):
        run(tmp_path / "run", gone, [])
    lost = list(Run(tmp_path / "run").lost())
    assert [attempt.id for attempt in lost] == ["gone-0.0", "gone-1.0", "gone-2.0"]
    assert all(attempt.error.startswith("ImageMissing: there is no image") for attempt in lost)
    assert {attempt.id for attempt in Run(tmp_path / "run").summaries()} == set()


def test_an_attempt_that_stays_lost_is_left_and_the_others_are_made(
    tmp_path: Path, kata_task: RepositoryTask
) -> None:
    """A lost attempt is retried last, a few times; the run can be resumed."""
    gone = kata_task.model_copy(update={"instance_id": "gone", "setup_patch": "no patch"})
    tasks = [gone, kata_task]
    with pytest.raises(ForagerError, match=r"2 attempts were lost .* run again"):
        run(tmp_path / "run", tasks, script("functions", FIX, SUBMIT), attempts=2, stop_after=1)
    assert {attempt.id for attempt in Run(tmp_path / "run").summaries()} == {
        f"{kata_task.instance_id}.0"
    }


def test_a_task_that_is_given_twice_is_attempted_once(
    tmp_path: Path, kata_task: RepositoryTask
) -> None:
    """Spare workers do not attempt a repeated task again."""
    tasks, replies = [kata_task, kata_task], script("functions", FIX, SUBMIT)
    stored, models, told = run(tmp_path / "run", tasks, replies, workers=2, attempts=2)
    assert (len(stored), len(models), told[-1]["done"]) == (2, 2, 2)
    assert list(Run(tmp_path / "run").lost()) == []


@pytest.mark.parametrize("sandbox", ["docker", "bubblewrap"])
def test_another_image_under_the_name_is_refused(
    tmp_path: Path, kata_task: RepositoryTask, sandbox: str
) -> None:
    """A local image must have the task's image id; a task without one accepts any."""
    other = kata_task.model_copy(update={"image_digest": "sha256:0"})
    with pytest.raises(ImageMissing, match="but the task needs sha256:0: remove the image and"):
        run(tmp_path / "run", other, [], sandbox=sandbox)
    with pytest.raises(ImageMissing, match="but the task needs sha256:0: remove the image and"):
        deliver(other.image, other.image_digest, str(tmp_path), sandbox)
    silent = kata_task.model_copy(update={"image_digest": ""})
    (attempt,), _, _ = run(
        tmp_path / "silent", silent, script("functions", FIX, SUBMIT), sandbox=sandbox
    )
    assert attempt.outcome.resolved


def test_an_unpacked_image_is_compared_without_an_engine(
    tmp_path: Path, kata_task: RepositoryTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unpacked image that differs from the task's is refused."""
    place = tmp_path / "images"
    place.mkdir()
    save(place / "kata.tar", tar(BASE), name=kata_task.image)
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "home"))
    (image,) = unpack(place / "kata.tar")
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path / "other"))
    code = (
        "import sys; from forager.sandboxes.delivery import deliver; "
        "from forager.environments.repository.task import RepositoryTask; "
        "task = RepositoryTask.model_validate_json(sys.argv[1]); "
        "deliver(task.image, task.image_digest, sys.argv[2], 'bubblewrap')"
    )
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    for digest, told in (
        (image.digest, ""),
        ("", ""),
        ("sha256:0", f"is {image.digest} here, but the task needs sha256:0"),
    ):
        task = kata_task.model_copy(update={"image_digest": digest}).model_dump_json()
        command = [sys.executable, "-c", code, task, str(place)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert bool(told) == bool(done.returncode), done.stderr
        assert told in done.stderr


def test_an_image_that_is_not_here_comes_from_an_archive(
    tmp_path: Path, kata_task: RepositoryTask
) -> None:
    """The named directory's archive provides it; a different image is refused."""
    engine, place = connect(), tmp_path / "images"
    name = f"forager/archived:{kata_task.image_digest[-12:]}"
    kept = engine.images.get(kata_task.image)  # other tests use it, and it keeps the layers
    kept.tag(name)
    place.mkdir()
    with (place / "kata.tar").open("wb") as file:
        file.writelines(engine.images.get(name).save(named=name))
    task = kata_task.model_copy(update={"image": name})
    away = task.model_copy(update={"image": "forager/away:1"})
    with pytest.raises(ImageMissing, match=r"no archive .* holds forager/away:1"):
        deliver(away.image, away.image_digest, str(place), "docker")
    engine.images.remove(name)
    with pytest.raises(ImageMissing, match="but the task needs sha256:0"):
        deliver(name, "sha256:0", str(place), "docker")
    engine.images.remove(name)
    replies = script("functions", FIX, SUBMIT)
    (attempt,), _, _ = run(tmp_path / "run", task, replies, images=str(place))
    engine.images.remove(name)
    assert attempt.outcome.resolved
