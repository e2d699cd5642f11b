"""Rows of NVIDIA's Nemotron training, which NeMo Gym's SWE agents receive.

A row wraps a row of the data set that `dataset_name` names. The inner row is JSON in
`responses_create_params.metadata.instance_dict` (NeMo Gym's `swe_agents`) or in `instance`
(`swerl_gen`). NVIDIA's own rows (`nv-internal-1`) include a script that runs the tests and one that
reads the log, as in SWE-bench Pro.
"""

import shlex
from typing import Any

from tasks.fields import nested, text
from tasks.formats import Draft, drafted, swe_bench, swe_gym, swe_rebench, swe_smith
from tasks.r2e import r2e_gym
from tasks.rows import Row, UnusableRow

_INNER = {
    "r2e-gym": r2e_gym,
    "swe-rebench": swe_rebench,
    "swe-gym": swe_gym,
    "swe-smith": swe_smith,
}
_RUN, _READ = "run_script.sh", "parsing_script.py"
_ELSEWHERE = "/app"  # path of the repository in images of this kind


def nemotron(row: Row) -> Draft:
    """A row of NeMo Gym's SWE agents."""
    inner, dataset = _unwrapped(row)
    if inner.get(_RUN) and inner.get(_READ):
        return _scripted(inner)
    form = next((reader for name, reader in _INNER.items() if name in dataset.lower()), swe_bench)
    draft = form(inner)
    if script := text(inner, "test_script", required=False):
        setup = draft.task.setup.model_copy(update={"command": _tests_alone(script)})
        return Draft(draft.task.model_copy(update={"setup": setup}), draft.activate)
    return draft


def _unwrapped(row: Row) -> tuple[Row, str]:
    """The inner row, and the name of its data set."""
    asked = row.get("responses_create_params")
    metadata: Any = nested(asked, "metadata") if isinstance(asked, dict) else None
    around = metadata if isinstance(metadata, dict) else {}
    inner = nested(around, "instance_dict") or nested(row, "instance") or row
    if not isinstance(inner, dict) or not inner.get("instance_id"):
        raise UnusableRow("it holds no instance (instance_dict, instance)")
    name = around.get("dataset_name") or row.get("dataset_name") or inner.get("dataset_name")
    name = name or f"swe-{row.get('subset', 'bench')}"  # of NeMo Gym's `mini_swe_agent`
    # fields of the wrapper are defaults for the inner row
    return {**around, **row, **inner}, str(name)


def _scripted(row: Row) -> Draft:
    """A row with its own scripts; its test patch replaces the script's checkout of the fix."""
    text(row, "test_patch")
    files = nested(row, "selected_test_files_to_run")
    chosen = ",".join(files) if isinstance(files, list) else ""
    command = "\n".join(
        [
            "cd /testbed",
            f"cat >/tmp/run.sh <<'FORAGER-END'\n{row[_RUN]}\nFORAGER-END",
            f"cat >/tmp/read.py <<'FORAGER-END'\n{row[_READ]}\nFORAGER-END",
            f"bash /tmp/run.sh {shlex.quote(chosen)} >/tmp/stdout.log 2>/tmp/stderr.log",
            "python /tmp/read.py /tmp/stdout.log /tmp/stderr.log /tmp/output.json",
            "python -c 'import json; print(json.dumps(json.load(open(\"/tmp/output.json\"))))'",
        ]
    )
    image = text(row, "image", "docker_image", "image_name", required=False)
    return Draft(drafted(row, command, "json", image), activate="", elsewhere=_ELSEWHERE)


def _tests_alone(script: str) -> str:
    """A test script without the lines that activate the environment of the row's own image."""
    entering = ("#!", "source ", "conda ", "cd /testbed")
    return "\n".join(line for line in script.split("\n") if not line.startswith(entering))
