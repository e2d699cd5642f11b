"""The peers' part of benchmarks/mutation; runs in their environment, in a scratch directory.

usage: mutation_peers.py prepare|list|valid|mutmut-list|mutmut, in the directory of settings.json
"""

import dataclasses
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SETTINGS = json.loads(Path("settings.json").read_text())
COMMIT = "0" * 40


def profile() -> Any:
    """A local SWE-smith profile with the sdist's tree and an image that contains it."""
    import swesmith.harness.utils as harness
    from swesmith.profiles import registry
    from swesmith.profiles.python import PythonProfile

    variables = " ".join(f"{name}={value}" for name, value in SETTINGS["variables"].items())
    tests = " ".join(f"'{test}'" for test in SETTINGS["tests"])

    @dataclasses.dataclass
    class Local(PythonProfile):  # type: ignore[misc]
        owner: str = "local"
        repo: str = SETTINGS["name"]
        commit: str = COMMIT
        test_cmd: str = (
            f"env {variables} {SETTINGS['python']} -m pytest --disable-warnings --color=no "
            f"--tb=no --verbose {tests}"
        )

        def clone(self, dest: str | None = None) -> tuple[str, bool]:
            target = dest or self.repo_name
            new = not Path(target).exists()
            if new:
                shutil.copytree(SETTINGS["tree"], target)
            return target, new

        def _is_repo_private(self) -> bool:
            return False

    registry.register_profile(Local)

    def remove(client: object, container: Any, logger: object) -> None:  # noqa: ARG001
        if container:
            container.remove(force=True)  # its stop takes 10 s: `tail` as PID 1 ignores SIGTERM

    harness.cleanup_container = remove
    return Local()


def prepare() -> None:
    """Make the image: forager's image of the same sdist, as root."""
    text = f"FROM {SETTINGS['image']}\nUSER root\nRUN git config --system safe.directory '*'\n"
    Path("Dockerfile").write_text(text)
    name = profile().image_name
    command = ["docker", "build", "-q", "-f", "Dockerfile", "-t", name, "--network=none", "."]
    subprocess.run(command, check=True, env={**os.environ, "DOCKER_BUILDKIT": "0"})


def listing() -> None:
    """List every candidate of SWE-smith's procedural generation."""
    from swesmith.bug_gen import collect_patches
    from swesmith.bug_gen.procedural import generate

    name = profile().repo_name
    generate.main(name, max_bugs=-1, seed=24)
    collect_patches.main(Path("logs/bug_gen") / name)
    found = json.loads(Path(f"logs/bug_gen/{name}_all_patches.json").read_text())
    patches = {candidate["patch"] for candidate in found}
    Path("list.json").write_text(json.dumps({"candidates": len(patches)}))


def valid() -> None:
    """Validate a sample of the candidates."""
    from swesmith.harness import valid as harness

    name = profile().repo_name
    found = json.loads(Path(f"logs/bug_gen/{name}_all_patches.json").read_text())
    found.sort(key=lambda candidate: candidate["instance_id"])
    some = random.Random(SETTINGS["seed"]).sample(found, min(SETTINGS["count"], len(found)))
    Path("some.json").write_text(json.dumps(some))
    harness.main("some.json", workers=SETTINGS["workers"])
    reports = [
        json.loads(path.read_text())
        for path in Path("logs/run_validation", name).glob("*/report.json")
    ]
    tasks = sum(bool(report.get("FAIL_TO_PASS")) for report in reports)
    told = {"candidates": len(some), "reports": len(reports), "tasks": tasks}
    Path("valid.json").write_text(json.dumps(told))


def mutmut(names: list[str]) -> dict[str, int | None]:
    """Run mutmut on these files; return its results for all mutants."""
    tree, name = Path(SETTINGS["tree"]), SETTINGS["name"]
    source = next(path for path in (f"src/{name}", name) if (tree / path).is_dir())
    left_out = (source, "mutants", ".git")
    copied = [path.name for path in tree.iterdir() if path.name not in left_out]
    setup = [
        "[mutmut]",
        f"source_paths={source}",
        "also_copy=",
        *(f"    {name}" for name in copied),
        f"pytest_add_cli_args_test_selection={SETTINGS['tests'][-1]}",
        "do_not_mutate=",
        *(f"    {path}/*" for path in SETTINGS["protected"]),
        "use_git_change_detection=false",
        "pytest_add_cli_args=",
        *(f"    --deselect={test}" for test in deselected()),
    ]
    (tree / "setup.cfg").write_text("\n".join(setup))
    (tree / "pyproject.toml").unlink(missing_ok=True)
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(SETTINGS["workers"])]
    with Path("mutmut.log").open("w") as log:
        subprocess.run([*command, *names], cwd=tree, stdout=log, stderr=log, check=False)
    found: dict[str, int | None] = {}
    for path in (tree / "mutants").glob("**/*.meta"):
        found.update(json.loads(path.read_text())["exit_code_by_key"])
    return found


def deselected() -> list[str]:
    """Tests that fail under mutmut's rewriting without a mutant, which would stop mutmut."""
    known = Path("deselected.json")
    return json.loads(known.read_text()) if known.exists() else []


def used() -> float:
    """CPU seconds of the child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def mutmut_list() -> None:
    """Make the mutants and time the tests, without running mutants."""
    for _ in range(20):
        spent, began = used(), time.monotonic()
        found = mutmut(["none-of-them"])
        failed = re.findall(r"^FAILED (\S+)", Path("mutmut.log").read_text(), re.MULTILINE)
        if not failed:
            break
        Path("deselected.json").write_text(json.dumps([*deselected(), *failed]))
        shutil.rmtree(Path(SETTINGS["tree"], "mutants"))
    told = {"candidates": len(found), "cpu": used() - spent, "seconds": time.monotonic() - began}
    Path("mutmut-list.json").write_text(json.dumps(told))
    Path("mutmut-names.json").write_text(json.dumps(sorted(found)))


def mutmut_some() -> None:
    """Do the same with a sample of mutants."""
    names = json.loads(Path("mutmut-names.json").read_text())
    some = random.Random(SETTINGS["seed"]).sample(names, min(10 * SETTINGS["count"], len(names)))
    shutil.rmtree(Path(SETTINGS["tree"], "mutants"), ignore_errors=True)
    found = mutmut(some) if some else {}
    ran = sum(found.get(name) is not None for name in some)
    Path("mutmut.json").write_text(json.dumps({"candidates": ran}))


if __name__ == "__main__":
    {
        "prepare": prepare,
        "list": listing,
        "valid": valid,
        "mutmut-list": mutmut_list,
        "mutmut": mutmut_some,
    }[sys.argv[1]]()
