"""Weights & Biases, offline unless $WANDB_MODE says otherwise: DIRECTORY/wandb/offline-run-*.

`wandb sync` uploads these directories. Each start writes one; all have the same run id, so the
second and later ones need `--append`. The git remote, the command line, the machine and the
processes, which wandb would record by itself, are left out: they can hold logins.
"""

import os
import time
from pathlib import Path
from typing import Any

from forager.tracking.tracker import PROJECT, Measurement, Subject

_FLUSH_SECONDS = 0.01  # wandb's default is 15
_WRITE_SECONDS = 2.0  # to wait for wandb's process


class WandbTracker:
    """Logs a row of history for each measurement, with `step` as their axis; implements Tracker."""

    def __init__(self, run: Any) -> None:
        self._run, self._file = run, Path(run.settings.sync_file)

    def log(self, measurement: Measurement) -> None:
        """Log the values, and wait until they are in the file: wandb's process dies with this one.

        A disabled run has no file.
        """
        if not measurement.values:
            return
        before = self._size()
        self._run.log({"step": measurement.step, **measurement.values})
        deadline = time.monotonic() + _WRITE_SECONDS
        while before and self._size() == before and time.monotonic() < deadline:
            time.sleep(_FLUSH_SECONDS)

    def _size(self) -> int:
        return self._file.stat().st_size if self._file.exists() else 0

    def close(self, *, failed: bool) -> None:
        """Wait until everything is written."""
        self._run.finish(exit_code=int(failed))


def open_tracker(subject: Subject) -> WandbTracker:
    """Start, or go on with, the run of this subject. Raises wandb's errors."""
    import wandb

    mode: Any = os.environ.get("WANDB_MODE", "offline")
    quiet: dict[str, Any] = {
        "silent": True,
        "console": "off",
        "disable_git": True,
        "save_code": False,
    }
    quiet |= {"x_save_requirements": False, "x_transaction_log_flush_interval": _FLUSH_SECONDS}
    private = {"x_disable_meta": True, "x_disable_stats": True, "x_disable_machine_info": True}
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        id=subject.id,
        name=subject.directory.name,
        job_type=subject.kind,
        dir=str(subject.directory),
        config=dict(subject.settings),
        mode=mode,
        resume=None if mode == "offline" else "allow",
        settings=wandb.Settings(**quiet, **private),
    )
    run.define_metric("step")
    run.define_metric("*", step_metric="step")
    return WandbTracker(run)
