"""Rows in the real forms of the field's data sets, of a project that can be built here.

The columns are those of the published data sets, their names and their kinds (lists as lists, or as
JSON text). The project is `dojo`: kata with the bug in `clamp` and without the test that shows it.
"""

import json
from typing import Any

from conftest import BUGGY, CORE, FAILING, PASSING, TESTS

from forager.environments.repository.logs import PARSERS
from forager.mutation.candidates import unified_diff

SHOWS = "\n\ndef test_clamp_below():\n    assert clamp(-1, 0, 10) == 0\n"
BEFORE = TESTS.replace(SHOWS, "")
assert BEFORE != TESTS

BUG = unified_diff("kata/core.py", CORE, BUGGY)
PATCH = unified_diff("kata/core.py", BUGGY, CORE)
TEST_PATCH = unified_diff("tests/test_core.py", BEFORE, TESTS)
ISSUE = "clamp does not keep to the lower bound\n\n`clamp(-1, 0, 10)` gives -1."
COMMIT = "5d1f0c9f3f6a4f0e8f3a5e0b7c2d9a1e4b6c8d0f"

COMMON: dict[str, Any] = {
    "repo": "sensei/dojo",
    "instance_id": "sensei__dojo-17",
    "base_commit": COMMIT,
    "patch": PATCH,
    "test_patch": TEST_PATCH,
    "problem_statement": ISSUE,
    "hints_text": "",
    "created_at": "2024-03-03T15:14:54Z",
    "version": "1.0",
}
EVAL_SCRIPT = f"""\
#!/bin/bash
set -uxo pipefail
source /opt/miniconda3/bin/activate
conda activate testbed
cd /testbed
export KATA_LEVEL='first dan'
git config --global --add safe.directory /testbed
git status
git -c core.fileMode=false diff {COMMIT}
python -m pip install -e .
git checkout {COMMIT} tests/test_core.py
git apply -v - <<'EOF_114329324912'
{TEST_PATCH}
EOF_114329324912
: '>>>>> Start Test Output'
pytest -rA --tb=no tests/test_core.py
: '>>>>> End Test Output'
git checkout {COMMIT} tests/test_core.py
"""
INSTALL_CONFIG = {
    "env_vars": {"KATA_LEVEL": "first dan"},
    "env_yml_path": None,
    "install": "pip install -e .[dev]",
    "log_parser": "parse_log_pytest",
    "no_use_env": None,
    "packages": "requirements.txt",
    "pip_packages": ["pytest"],
    "pre_install": None,
    "python": "3.9",
    "reqs_path": ["requirements.txt"],
    "test_cmd": "pytest --no-header -rA --tb=line --color=no -p no:cacheprovider",
}

BENCH = {  # SWE-bench, Lite, Verified as they were up to swebench 4
    **COMMON,
    "FAIL_TO_PASS": json.dumps(FAILING),
    "PASS_TO_PASS": json.dumps(PASSING),
    "environment_setup_commit": COMMIT,
}
BENCH_5 = {  # as swebench 5 publishes them
    **BENCH,
    "instance_id": "sensei__dojo-18",
    "image": "swebench/sweb.eval.x86_64.sensei_1776_dojo-18:latest",
    "log_parser": "parse_log_pytest_v2",
    "eval_type": "pass_and_fail",
    "eval_script": EVAL_SCRIPT,
}
LIVE = {
    **COMMON,
    "instance_id": "sensei__dojo-19",
    "pull_number": "19",
    "issue_numbers": ["12"],
    "commit_urls": [f"https://github.com/sensei/dojo/tree/{COMMIT}"],
    "test_cmds": ["pytest -rA tests/test_core.py"],
    "log_parser": "pytest",
    "FAIL_TO_PASS": FAILING,
    "PASS_TO_PASS": PASSING,
}
SMITH = {
    "instance_id": "sensei__kata.5d1f0c9f.func_pm_op_change__0a1b2c3d",
    "repo": "swesmith/sensei__kata.5d1f0c9f",
    "patch": BUG,
    "FAIL_TO_PASS": FAILING,
    "PASS_TO_PASS": PASSING,
    "image_name": "swebench/swesmith.x86_64.sensei_1776_kata.5d1f0c9f",
    "problem_statement": ISSUE,
}
GYM = {
    **COMMON,
    "instance_id": "sensei__dojo-20",
    "FAIL_TO_PASS": FAILING,
    "PASS_TO_PASS": PASSING,
}
REBENCH = {
    **COMMON,
    "instance_id": "sensei__dojo-21",
    "environment_setup_commit": COMMIT,
    "meta": {"commit_name": "head_commit", "has_test_patch": True, "is_lite": True},
    "install_config": INSTALL_CONFIG,
    "requirements": "pytest==8.3.4\n",
    "environment": None,
    "FAIL_TO_PASS": FAILING,
    "FAIL_TO_FAIL": [],
    "PASS_TO_PASS": PASSING,
    "PASS_TO_FAIL": [],
    "license_name": "MIT",
    "docker_image": "swerebench/sweb.eval.x86_64.sensei_1776_dojo-21",
    "image_name": None,
}
REBENCH_2 = {
    **{name: REBENCH[name] for name in (*COMMON, "FAIL_TO_PASS", "PASS_TO_PASS")},
    "instance_id": "sensei__dojo-22",
    "language": "python",
    "image_name": "docker.io/swerebenchv2/sensei-dojo:22-5d1f0c9",
    "install_config": {
        "install": ["pip install -e ."],
        "log_parser": "parse_log_pytest",
        "test_cmd": ["pytest --no-header -rA --tb=line --color=no tests/test_core.py"],
    },
    "license": "MIT",
}


def r2e_names(tests: list[str]) -> list[str]:
    """Tests as R2E-Gym names them."""
    return [test.partition("::")[2].replace("::", ".") for test in tests]


def _hunks(diff: str) -> list[dict[str, Any]]:
    """The hunks of a diff of one file, taken apart as R2E-Gym's rows have them."""
    kinds = {" ": "context", "+": "added", "-": "deleted"}
    hunks = []
    for part in diff.split("\n@@ -")[1:]:
        head, *lines = part.rstrip("\n").split("\n")
        old, new = head.split(" @@")[0].split(" +")
        ranges = []
        for side in (old, new):
            start, length = map(int, side.split(","))
            ranges.append({"start": start, "length": length})
        listed = [{"content": line[1:], "type": kinds[line[0]]} for line in lines]
        hunks.append(
            {
                "descriptor": {"old_range": ranges[0], "new_range": ranges[1], "section": ""},
                "line_group": {"all_lines": listed},
                "modified_entities": [],
            }
        )
    return hunks


def _file_diff(path: str, diff: str, old: str, new: str) -> dict[str, Any]:
    return {
        "old_file_content": old,
        "new_file_content": new,
        "header": {"file": {"path": path}, "misc_line": None},
        "index_line": {
            "old_commit_hash": "1a2b3c4",
            "new_commit_hash": "5d6e7f8",
            "mode": "100644",
        },
        "is_binary_file": False,
        "binary_line": None,
        "minus_file": {"path": f"a/{path}"},
        "plus_file": {"path": f"b/{path}"},
        "hunks": _hunks(diff),
    }


R2E_LOG = "=== short test summary info ===\n" + "".join(
    [f"PASSED r2e_tests/test_1.py::{name}\n" for name in r2e_names(PASSING)]
    + [f"FAILED r2e_tests/test_1.py::{name} - assert -1 == 0\n" for name in r2e_names(FAILING)]
)
assert set(PARSERS["dotted"](R2E_LOG)) == {*r2e_names(PASSING), *r2e_names(FAILING)}
R2E = {
    "repo_name": "dojo",
    "docker_image": f"namanjain12/dojo_final:{COMMIT}",
    "commit_hash": COMMIT,
    "parsed_commit_content": json.dumps(
        {
            "file_diffs": [
                _file_diff("kata/core.py", PATCH, BUGGY, CORE),
                _file_diff("tests/test_core.py", TEST_PATCH, BEFORE, TESTS),
            ],
            "old_commit_hash": f"{COMMIT}^",
            "new_commit_hash": COMMIT,
            "commit_message": "clamp keeps to both bounds (#17)",
            "commit_date": "2024-03-03T15:14:54+00:00",
            "metadata": {},
        }
    ),
    "execution_result_content": json.dumps(
        {
            "repo_name": "dojo",
            "new_commit_hash": COMMIT,
            "test_file_codes": [TESTS],
            "test_file_names": ["test_1.py"],
            "setup_res_code": 0,
            "setup_res_stdout": "",
            "setup_res_stderr": "",
            "new_commit_res_code": 0,
            "new_commit_res_stdout": R2E_LOG.replace("FAILED", "PASSED"),
            "old_commit_res_code": 1,
            "old_commit_res_stdout": R2E_LOG,
        }
    ),
    "modified_files": ["kata/core.py"],
    "modified_entity_summaries": [],
    "relevant_files": ["kata/core.py", "tests/test_core.py"],
    "num_non_test_files": 1,
    "num_non_test_func_methods": 1,
    "num_non_test_lines": 2,
    "prompt": "You write issues.",
    "problem_statement": f"[ISSUE]\n{ISSUE}\n[/ISSUE]",
    "expected_output_json": json.dumps(
        {
            **dict.fromkeys(r2e_names(PASSING), "PASSED"),
            **{f"\x1b[1m{name}\x1b[0m": "PASSED" for name in r2e_names(FAILING)},
        }
    ),
}


def wrapped(row: dict[str, Any], dataset: str) -> dict[str, Any]:
    """A row as NeMo Gym's `swe_agents` are given it."""
    return {
        "responses_create_params": {
            "input": [],
            "metadata": {
                "instance_id": row.get("instance_id", "dojo"),
                "base_commit": row.get("base_commit", COMMIT),
                "dataset_name": dataset,
                "split": "train",
                "problem_statement": row["problem_statement"],
                "golden_patch": row.get("patch", ""),
                "instance_dict": json.dumps(row),
            },
            "model": "Qwen/Qwen3-Coder-30B-A3B-Instruct",
            "temperature": 0.7,
        },
        "agent_ref": {"type": "responses_api_agents", "name": "swe_agents_train"},
    }


NEMOTRON = wrapped({**GYM, "instance_id": "sensei__dojo-23"}, "SWE-Gym/SWE-Gym")
READ = """\
import json, re, sys
log = open(sys.argv[1]).read()
found = re.findall(r"^(PASSED|FAILED) (\\S+)", log, re.M)
tests = [{"name": name, "status": status} for status, name in found]
json.dump({"tests": tests}, open(sys.argv[3], "w"), indent=2)
"""
NEMOTRON_OWN = wrapped(
    {
        **COMMON,
        "instance_id": "instance_sensei__dojo-24",
        "fail_to_pass_select": json.dumps(FAILING),
        "pass_to_pass_select": json.dumps(PASSING),
        "selected_test_files_to_run": json.dumps(["tests/test_core.py"]),
        "before_repo_set_cmd": f"git reset --hard\ngit checkout {COMMIT} -- tests/test_core.py",
        "base_dockerfile": "FROM python:3.11\nENV KATA_LEVEL=dan\n",
        "instance_dockerfile": "WORKDIR /app\n",
        "run_script.sh": '#!/bin/bash\nIFS=, read -ra files <<< "$1"\npytest -rA "${files[@]}"\n',
        "parsing_script.py": READ,
    },
    "nv-internal-1",
)
NEMOTRON_GENERATION = {  # NeMo Gym's `swerl_gen`
    "responses_create_params": {"input": [{"role": "user", "content": ISSUE}]},
    "instance": {
        **COMMON,
        "instance_id": "sensei__dojo-25",
        "FAIL_TO_PASS": json.dumps(FAILING),
        "PASS_TO_PASS": json.dumps(PASSING),
        "setup_script": "#!/bin/bash\ncd /testbed\n",
        "test_script": "#!/bin/bash\nsource /opt/miniconda3/bin/activate\n"
        "conda activate testbed\ncd /testbed\npytest -n0 -rA tests/test_core.py",
        "regression_script": "#!/bin/bash\n",
    },
    "metadata": {
        "relevant_file_contents": "{}",
        "image": "/images/xingyaoww_sweb.eval.x86_64.sensei_s_dojo-25.sif",
        "remove_repo_name": False,
    },
    "dataset_name": "SWE-Gym/SWE-Gym",
    "dataset_split": "train",
    "mode": "eval",
}

ROWS: dict[str, list[dict[str, Any]]] = {
    "swe-bench": [BENCH, BENCH_5, LIVE],
    "swe-smith": [SMITH],
    "swe-gym": [GYM],
    "swe-rebench": [REBENCH, REBENCH_2],
    "r2e-gym": [R2E],
    "nemotron": [NEMOTRON, NEMOTRON_OWN],
}
"""By the format."""
