"""Where control groups are created, in trees of both versions."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from forager.makers import maker
from forager.sandboxes.cgroups import find_parents, parents, sweep

ROOT = os.geteuid() == 0


def make(root: Path, *groups: str, controllers: str = "") -> None:
    """Create a tree of groups as the kernel shows it."""
    for group in groups:
        (root / group).mkdir(parents=True, exist_ok=True)
        (root / group / "cgroup.procs").touch()
        (root / group / "cgroup.subtree_control").write_text(controllers)


def test_version_1_has_a_tree_for_each_controller(tmp_path: Path) -> None:
    """A controller that is not mounted is left out."""
    make(tmp_path / "memory", "", "job")
    make(tmp_path / "pids", "", "job")
    mounts = "".join(
        f"cgroup {tmp_path}/{name} cgroup rw,{name} 0 0\n" for name in ("memory", "pids")
    )
    found = find_parents("4:memory:/job\n3:pids:/job\n2:cpu:/job\n0::/\n", mounts)
    assert found == {"memory": tmp_path / "memory", "pids": tmp_path / "pids"}


def test_version_2_has_one_tree(tmp_path: Path) -> None:
    """The highest writable group is chosen, with all three controllers."""
    make(tmp_path, "user/mine", "user/mine/job", controllers="memory pids cpu")
    found = find_parents("0::/user/mine/job\n", f"cgroup2 {tmp_path} cgroup2 rw 0 0\n")
    assert found == dict.fromkeys(("memory", "pids", "cpu"), tmp_path / "user" / "mine")


@pytest.mark.skipif(ROOT, reason="root may write all")
def test_nothing_is_found_where_nothing_may_be_written(tmp_path: Path) -> None:
    """Without a writable group, the sandbox bounds only each process."""
    make(tmp_path, "")
    tmp_path.chmod(0o500)
    assert find_parents("0::/\n", f"cgroup2 {tmp_path} cgroup2 rw 0 0\n") == {}


def test_a_controller_that_cannot_be_handed_down_is_left_out(tmp_path: Path) -> None:
    """In version 2, only controllers enabled for child groups count."""
    make(tmp_path, "", controllers="memory")
    (tmp_path / "cgroup.subtree_control").unlink()
    (tmp_path / "cgroup.subtree_control").mkdir()  # cannot be written, whoever tries
    assert find_parents("0::/\n", f"cgroup2 {tmp_path} cgroup2 rw 0 0\n") == {}


@pytest.mark.skipif(not parents(), reason="no group can be made here")
def test_what_runs_in_a_group_that_was_left_is_ended() -> None:
    """Sweeping ends processes in a stale group, which would otherwise keep it for ever."""
    with subprocess.Popen(["sleep", "4323"]) as process:
        code = (
            "from forager.sandboxes.cgroups import ControlGroup; from forager.sandboxes.sandbox "
            f"import Limits; ControlGroup(Limits()).add({process.pid})"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
        assert sweep() >= 1
        assert process.wait(10) == -signal.SIGKILL


@pytest.mark.skipif(not parents(), reason="no group can be made here")
def test_groups_of_other_namespaces_are_left_alone() -> None:
    """Sweeping spares foreign and live makers, but no stale group of a reused number."""
    parent = next(iter(parents().values()))
    number, started, realm = maker().split(" ")
    kept = [
        parent / f"forager.{name}.c0ffee"
        for name in (f"999999999.5.other-{realm}", f"{number}.{started}.{realm}", "999999999")
    ]
    left = parent / f"forager.{number}.5.{realm}.c0ffee"
    for group in (*kept, left):
        group.mkdir()
    try:
        sweep()
        assert [group.exists() for group in (*kept, left)] == [True, True, True, False]
    finally:
        for group in (*kept, left):
            if group.exists():
                group.rmdir()


def test_a_process_of_another_namespace_is_not_taken_for_ours(tmp_path: Path) -> None:
    """A foreign process appears as 0, and a signal to 0 would reach forager's own group."""
    (tmp_path / "cgroup.procs").write_text("0\n")
    code = (
        "import sys; from pathlib import Path; from forager.sandboxes.cgroups import _end; "
        "_end(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(command, start_new_session=True).returncode == 0
