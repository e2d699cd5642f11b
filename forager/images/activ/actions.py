"""Stand-ins for the common actions: composite ones that need no network of GitHub's and no Node.

`actions/checkout` is act's own: it copies the tree. Whatever has no stand-in does nothing.
"""

from typing import Any, NamedTuple

_ARTIFACTS = "/forager/artifacts"


class StandIn(NamedTuple):
    """A composite action of one script."""

    script: str = ":"
    inputs: tuple[str, ...] = ()
    """Those that the script reads, as INPUT_name with `_` for `-`."""
    outputs: tuple[str, ...] = ()

    def action(self) -> dict[str, Any]:
        """Return the content of its action.yml."""
        variables = {
            f"INPUT_{name.replace('-', '_')}": f"${{{{ inputs.{name} }}}}" for name in self.inputs
        }
        step = {"id": "run", "shell": "bash", "run": self.script, "env": variables}
        return {
            "name": "stand-in",
            "description": "stand-in",
            "inputs": {name: {"description": name, "default": ""} for name in self.inputs},
            "outputs": {
                name: {"description": name, "value": f"${{{{ steps.run.outputs.{name} }}}}"}
                for name in self.outputs
            },
            "runs": {"using": "composite", "steps": [step]},
        }


def _tool(requirement: str) -> StandIn:
    return StandIn(f"uv tool install {requirement}")


_PYTHON = """
version=$(python -c 'import platform; print(platform.python_version())')
{
  echo "python-version=$version"; echo "python-path=$(command -v python)"; echo "cache-hit="
} >>"$GITHUB_OUTPUT"
echo "pythonLocation=$(python -c 'import sys; print(sys.prefix)')" >>"$GITHUB_ENV"
"""
_UPLOAD = f"""
into={_ARTIFACTS}/"${{INPUT_name:-artifact}}"
mkdir -p "$into"
while read -r pattern; do
  [ -n "$pattern" ] || continue
  for found in $pattern; do
    if [ -d "$found" ]; then cp -r "$found"/. "$into"; else cp "$found" "$into"; fi
  done
done <<<"$INPUT_path"
"""
_DOWNLOAD = f"""
into=${{INPUT_path:-.}}
mkdir -p "$into"
if [ -n "$INPUT_name" ]; then cp -r {_ARTIFACTS}/"$INPUT_name"/. "$into"
else cp -r {_ARTIFACTS}/. "$into"
fi
"""
_BUILD = f"""
python -m pip install -q build && python -m build -o /tmp/built ${{INPUT_path:-.}}
mkdir -p {_ARTIFACTS}/Packages && cp /tmp/built/* {_ARTIFACTS}/Packages
version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
{{
  echo "dist=/tmp/built"
  echo "artifact-name=Packages"
  echo "supported_python_classifiers_json_array=[\\"$version\\"]"
  matrix="{{\\"python-version\\": [\\"$version\\"]}}"
  echo "supported_python_classifiers_json_job_matrix_value=$matrix"
}} >>"$GITHUB_OUTPUT"
"""
_OUTPUTS = ("python-version", "python-path", "cache-hit")
_SUPPORTED = "supported_python_classifiers_json"
STAND_INS = {
    "nothing": StandIn(),
    "python": StandIn(_PYTHON, outputs=_OUTPUTS),
    "upload": StandIn(_UPLOAD, ("name", "path")),
    "download": StandIn(_DOWNLOAD, ("name", "path")),
    "build": StandIn(
        _BUILD, ("path",),
        ("dist", "artifact-name", f"{_SUPPORTED}_array", f"{_SUPPORTED}_job_matrix_value"),
    ),
    "tox": StandIn("python -m pip install tox && tox $INPUT_tox_args", ("tox-args",)),
    "nox": _tool("nox"),
    "poetry": _tool("poetry"),
    "pdm": StandIn(_PYTHON + "uv tool install pdm", outputs=_OUTPUTS),
    "hatch": _tool("hatch"),
    "just": _tool("rust-just"),
    "task": _tool("go-task-bin"),
    "packages": StandIn("apt-get install -y $INPUT_packages", ("packages",)),
    "graphviz": StandIn("apt-get install -y graphviz"),
    "command": StandIn('eval "$INPUT_command$INPUT_run"', ("command", "run")),
    "x11": StandIn('apt-get install -y xvfb xauth; eval "xvfb-run -a $INPUT_run"', ("run",)),
}  # fmt: skip
OF_ACTIONS = {  # action → its stand-in
    "actions/setup-python": "python",
    "astral-sh/setup-uv": "python",
    "deadsnakes/action": "python",
    "useblacksmith/setup-python": "python",
    "hynek/setup-cached-uv": "python",
    "actions/upload-artifact": "upload",
    "actions/download-artifact": "download",
    "hynek/build-and-inspect-python-package": "build",
    "wntrblm/nox": "nox",
    "excitedleigh/setup-nox": "nox",
    "abatilo/actions-poetry": "poetry",
    "snok/install-poetry": "poetry",
    "pdm-project/setup-pdm": "pdm",
    "pypa/hatch": "hatch",
    "extractions/setup-just": "just",
    "taiki-e/install-action": "just",
    "go-task/setup-task": "task",
    "arduino/setup-task": "task",
    "awalsh128/cache-apt-pkgs-action": "packages",
    "ts-graphviz/setup-graphviz": "graphviz",
    "nick-fields/retry": "command",
    "nick-invision/retry": "command",
    "gabrielbb/xvfb-action": "x11",
    "coactions/setup-xvfb": "x11",
    **dict.fromkeys(
        (
            "actions/cache",
            "actions/cache/restore",
            "actions/cache/save",
            "actions/github-script",
            "actions/setup-node",
            "codecov/codecov-action",
            "codecov/test-results-action",
            "coverallsapp/github-action",
            "pre-commit/action",
            "re-actors/alls-green",
            "step-security/harden-runner",
        ),
        "nothing",
    ),
}
