"""What an agent does to its sandbox, its repository or the grading fails its own attempt."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from test_rollout import FIX, SMALL, SUBMIT, script

from forager.agent.loop import Agent
from forager.agent.model import Model, Reply, ScriptedModel
from forager.agent.syntax import SYNTAXES
from forager.agent.tool import Call, Observation, Tool
from forager.agent.traffic import RateLimiter
from forager.environments.repository.environment import RepositoryEnvironment
from forager.environments.repository.taking import Listing, choose, read_listing
from forager.environments.repository.task import RepositoryTask
from forager.errors import SandboxError, SandboxLost
from forager.rollout.attempt import make_attempt
from forager.rollout.batch import run_batch
from forager.rollout.blame import ERROR
from forager.rollout.settings import RunSettings
from forager.rollout.worker import Job
from forager.sandboxes.bubblewrap import why_not
from forager.sandboxes.kinds import SANDBOXES
from forager.sandboxes.local_sandbox import LocalSandbox
from forager.sandboxes.sandbox import Sandbox
from forager.trajectories.record import AttemptLimits, Message, Trajectory
from forager.trajectories.store import Run
from tools import TOOLBOX

TIGHT = SMALL.model_copy(update={"file_size": 32 << 20, "disk": 48 << 20})
LACKING = why_not()
BUBBLEWRAP = pytest.param(
    "bubblewrap", marks=pytest.mark.skipif(bool(LACKING), reason=f"bubblewrap: {LACKING}")
)
TREE_TIME = "946684800.0000000000"


def python(code: str) -> Call:
    """Return a call that runs Python code."""
    return Call("bash", {"command": f"python - <<'END'\n{code}\nEND"})


def core(code: str) -> Call:
    """Return a call that adds code to the module under test, which is still wrong."""
    return Call("bash", {"command": f"cat >>kata/core.py <<'END'\n{code}\nEND"})


HOSTILE = {
    "limits of PID 1": python(
        "import resource\nfor kind in range(16):\n"
        "    try: resource.prlimit(1, kind, (0, 0))\n    except OSError: pass"
    ),
    "memory of PID 1": python(
        "try: open('/proc/1/mem', 'r+b').write(b'x')\nexcept OSError as error: print(error)"
    ),
    "signals to all": Call("bash", {"command": "kill -STOP 1 $$; kill -9 -1"}),
    "processes": Call("bash", {"command": "for n in $(seq 400); do sleep 1000 & done 2>/dev/null"}),
    "memory": python("x = b'x' * (1 << 30)"),
    "files": Call("bash", {"command": "head -c 1G /dev/zero >/tmp/full; rm -rf /tmp/* .git"}),
    "large file": python(
        "open('kata/core.py', 'wb').write(b'# ol\\xe9 ol\\xe9\\n' * 1227273)"  # not UTF-8
    ),
    "classes by half characters": core(
        "Odd = type('Odd', (), {'__eq__': lambda a, b: True})\nOdd.__qualname__ = '\\ud800'"
    ),
    "all descriptors": core(
        "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'{\"a\": [[[\\n\\xff' * 99)\n"
        "    except OSError: pass"
    ),
    "crash": core("import os\nos.abort()"),
}


def nested(depth: int) -> Message:
    """Return a message whose call has arguments of this depth."""
    arguments = '{"command": ' + "[" * depth + "]" * depth + "}"
    function = {"name": "bash", "arguments": arguments}
    call = {"id": "call_0", "type": "function", "function": function}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


@pytest.mark.engine
@pytest.mark.parametrize("sandbox", ["docker", BUBBLEWRAP])
def test_hostile_agents_fail_and_the_batch_goes_on(
    tmp_path: Path, kata_task: RepositoryTask, sandbox: str
) -> None:
    """No action of an agent loses its attempt, and an honest agent among them succeeds."""
    scripts: list[Sequence[Message | Reply]] = [
        script("functions", call, SUBMIT) for call in HOSTILE.values()
    ]
    scripts.append([nested(10_000), *script("functions", SUBMIT)])
    scripts.append(script("functions", FIX, SUBMIT))
    settings = RunSettings(
        models=["m"],
        attempts=len(scripts),
        workers=2,
        sandbox=sandbox,
        sandbox_limits=TIGHT,
        limits=AttemptLimits(command_seconds=10),
    )

    def model(job: Job, limiter: RateLimiter) -> Model:
        return ScriptedModel(scripts[job.number])

    with Run.write(tmp_path / "run", settings, [kata_task]) as store:
        run_batch(
            store,
            [kata_task],
            settings,
            model=model,
            toolbox=TOOLBOX,
            on_progress=lambda *_, **__: None,
            hold=0.01,
        )
    run = Run(tmp_path / "run")
    assert [(lost.id, lost.error) for lost in run.lost()] == []
    outcomes = {attempt.attempt: attempt.outcome for attempt in run.trajectories()}
    assert len(outcomes) == len(scripts)
    *hostile, honest = [outcomes[number] for number in range(len(scripts))]
    assert honest.resolved
    for name, outcome in zip([*HOSTILE, "nested arguments"], hostile, strict=True):
        assert not outcome.resolved, name
        assert outcome.cause or {*outcome.tests.values()} - {"passed"}, name
    large = outcomes[list(HOSTILE).index("large file")]
    assert large.cause == (
        "nothing was changed but kata/core.py: 12,272,730 bytes, too large a file"
    )


TAKEN = "diff --git a/kata/core.py b/kata/core.py"
DAMAGED = {  # what an agent does → further files of its patch
    "rm -rf .git": [],
    "rm -rf .git; echo >.git": [],
    "rm -rf .git; git init -q; git add -A; git -c user.name=a -c user.email=a@a commit -qm a": [],
    "rm -rf .git/objects": [],
    "o=$(git rev-parse HEAD:kata/core.py); echo >/tmp/o; mv /tmp/o .git/objects/${o::2}/${o:2}": [],
    "echo >.git/index; echo >.git/forager.index; touch .git/index.lock": [],
    "echo lib/ >.git/info/exclude; mkdir lib lib/__pycache__; echo >lib/a.py; "
    "echo >lib/__pycache__/a.pyc; echo >.aider.input.history; mkdir .claude; echo >.claude/a": [
        "lib/a.py"
    ],
    "mkdir -p env/bin; echo >env/pyvenv.cfg; echo >env/bin/a.py; echo >a.log": ["a.log"],
    "git init -q within; echo >within/a.py; git init -q within/b; echo >within/b/c": [
        "within/a.py",
        "within/b/c",
    ],
    "chmod 0 kata/core.py kata /testbed": [],
    "builtin() { :; }; exec() { :; }; trap '' INT TERM; while :; do :; done &": [],
}


@pytest.mark.engine
@pytest.mark.parametrize("sandbox", ["docker", BUBBLEWRAP])
def test_a_patch_is_taken_from_a_damaged_repository(
    kata_task: RepositoryTask, sandbox: str
) -> None:
    """The commit comes from elsewhere, and new files are taken whatever the ignore rules say."""
    environment = RepositoryEnvironment()
    for damage, more in DAMAGED.items():
        opened = environment.open(kata_task, SMALL, SANDBOXES[sandbox])
        try:
            opened.sandbox.run(f"echo '# end' >>kata/core.py; {damage}", timeout=5)
            answer = environment.answer(kata_task, opened, "")
        finally:
            opened.sandbox.close()
        assert (answer.problem, answer.left_out) == ("", []), damage
        files = [line for line in answer.text.splitlines() if line.startswith("diff --git")]
        assert files == sorted([TAKEN, *(f"diff --git a/{path} b/{path}" for path in more)]), damage
        assert "\n+# end\n" in answer.text, damage


@pytest.mark.engine
@pytest.mark.parametrize("sandbox", ["docker", BUBBLEWRAP])
def test_modification_times_do_not_show_the_bug(kata_task: RepositoryTask, sandbox: str) -> None:
    """All files, directories and git objects have one time, but for what git itself updates."""
    opened = RepositoryEnvironment().open(kata_task, SMALL, SANDBOXES[sandbox])
    try:
        said = opened.sandbox.run("find . -printf '%T@ %p\\n'; git status --porcelain")
    finally:
        opened.sandbox.close()
    times = [line.split(" ", 1) for line in said.output.splitlines()]
    others = {path for time, path in times if time != TREE_TIME}
    assert len(times) > 20
    assert others == {"./.git", "./.git/index", "./.git/forager.index", "./.git/forager.present"}


def test_the_smallest_new_files_are_taken_and_the_others_named() -> None:
    """Files of the image, environments and what is too large stay out; the patch says which."""
    new = {f"m/{number:04}": number for number in range(1, 1011)}
    listing = Listing(
        changed={"a.py": 1, "b.py": 5 << 20},
        new={**new, "big": 5 << 20, "e/pyvenv.cfg": 1, "e/lib.py": 1, "old.py": 1},
        present=frozenset({"old.py"}),
    )
    chosen = choose(listing)
    assert chosen.new == [f"m/{number:04}" for number in range(1, 1001)]
    assert chosen.unchanged == ["b.py"]
    assert chosen.left_out[:2] == [
        "b.py: 5,242,880 bytes, too large a file",
        "big: 5,242,880 bytes, too large a file",
    ]
    assert len(chosen.left_out) == 12
    assert chosen.left_out[2] == "m/1001: 1,001 bytes, too many new files"


def test_a_listing_has_three_parts() -> None:
    """What was there, names with tags, sizes; deleted files have no size."""
    content = b"old\0\0? a b\0C c\0C gone\0? \xff\n\0\0" + b"3 a b\0" + b"4 c\0" + b"0 \xff\n\0"
    expected = Listing({"c": 4}, {"a b": 3, "\udcff\n": 0}, frozenset({"old"}))
    assert read_listing(content) == expected
    assert read_listing(b"\0\0") == Listing()


def broken(error: Exception) -> dict[str, Tool]:
    """Return tools of which `create` raises an error."""

    def execute(sandbox: Sandbox, arguments: dict[str, str], seconds: float) -> Observation:
        raise error

    tool = TOOLBOX["create"]
    parts: dict[str, Any] = {name: getattr(tool, name) for name in Tool.__slots__}
    return {**TOOLBOX, "create": Tool(**{**parts, "execute": execute})}


def attempted(task: RepositoryTask, error: Exception) -> Trajectory:
    """Make an attempt whose tool raises an error."""
    calls = script("functions", Call("create", {"path": "a", "content": "b"}), SUBMIT)
    settings = RunSettings(models=["m"], sandbox_limits=SMALL)
    return make_attempt(task, 0, settings, ScriptedModel(calls), broken(error), SANDBOXES["docker"])


@pytest.mark.engine
def test_an_error_is_the_attempts_fault_if_an_attempt_without_an_agent_works(
    kata_task: RepositoryTask,
) -> None:
    """Failed, with the cause and the traceback; lost if the machine or the task is to blame."""
    made = attempted(kata_task, SandboxError("it does not answer"))
    assert made.outcome.exit_reason == ERROR
    assert "the agent broke its sandbox: it does not answer" in made.outcome.cause
    assert (made.tool_calls[-1].tool, made.tool_calls[-1].error) == ("create", True)
    bug = attempted(kata_task, RecursionError("too deep")).outcome
    assert "RecursionError: too deep" in bug.cause
    assert "in execute" in bug.log
    with pytest.raises(SandboxLost, match="killed"):
        attempted(kata_task, SandboxLost("it was killed"))
    wrong = kata_task.model_copy(update={"patch": kata_task.patch.replace("low)", "high)")})
    with pytest.raises(SandboxError, match="no answer"):
        attempted(wrong, SandboxError("no answer"))


ODD = ["\ud800", "\0", "x" * (1 << 21)]


def test_odd_arguments_are_answered(tmp_path: Path) -> None:
    """Whatever a model sends is a call that works, or a short answer that says what is wrong."""
    texts = [json.dumps({"command": text}) for text in ODD]
    texts += ['{"command": NaN}', '{"command": 1e999}', "9" * 5000, "[" * 10_000, "", "{", "null"]
    texts += [json.dumps({"x" * (1 << 21): 1}), '{"command": {"a": [1]}}', '{"\ud800": 1}']
    messages = [nested(10_000), nested(300)]
    for text in texts:
        message = nested(0)
        message["tool_calls"][0]["function"]["arguments"] = text
        messages.append(message)
    named = nested(0)
    named["tool_calls"][0]["function"]["name"] = "y" * (1 << 21)
    replies = [*messages, named, *script("functions", SUBMIT)]
    with LocalSandbox(tmp_path) as sandbox:
        agent = Agent(
            ScriptedModel(replies),
            sandbox,
            TOOLBOX,
            SYNTAXES["functions"],
            AttemptLimits(format_errors=99),
        )
        assert agent.run("problem") == "submitted"
    assert len(agent.tool_calls) == len(replies)
    answers = [message for message in agent.messages if message["role"] == "tool"]
    assert max(len(message["content"]) for message in answers) < 5000
