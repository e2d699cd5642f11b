"""MLflow: the store that $MLFLOW_TRACKING_URI names, or DIRECTORY/mlflow.db.

A tag holds the subject's id, by which a later start finds the run. MLflow's fluent interface is not
used: it would record the user, the command line and the git remote.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from forager.tracking.tracker import PROJECT, Measurement, Subject

_TAG = "forager.id"
_PARAMETERS = 100  # of one request, as MLflow bounds them
_LONGEST = 500  # characters of a parameter


class MlflowTracker:
    """Logs each value as a metric; implements Tracker."""

    def __init__(self, client: Any, run: str) -> None:
        self._client, self._run = client, run

    def log(self, measurement: Measurement) -> None:
        """Log the values in one request."""
        from mlflow.entities import Metric

        now = round(datetime.now(UTC).timestamp() * 1000)
        metrics = [
            Metric(name, value, now, measurement.step) for name, value in measurement.values.items()
        ]
        if metrics:
            self._client.log_batch(self._run, metrics=metrics)

    def close(self, *, failed: bool) -> None:
        """Note how this start ended."""
        self._client.set_terminated(self._run, "FAILED" if failed else "FINISHED")


def open_tracker(subject: Subject) -> MlflowTracker:
    """Start, or go on with, the run of this subject. Raises MLflow's errors."""
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    own = f"sqlite:///{subject.directory / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or own)
    wanted = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
    found = client.get_experiment_by_name(wanted)
    experiment = found.experiment_id if found else client.create_experiment(wanted)
    known = client.search_runs([experiment], f"tags.`{_TAG}` = '{subject.id}'", max_results=1)
    if known:
        run = known[0].info.run_id
        client.update_run(run, status="RUNNING")
        return MlflowTracker(client, run)
    return MlflowTracker(client, _created(client, experiment, subject))


def _created(client: Any, experiment: str, subject: Subject) -> str:
    """A new run with the settings as parameters."""
    from mlflow.entities import Param

    tags = {_TAG: subject.id, "forager.kind": subject.kind}
    run = client.create_run(experiment, tags=tags, run_name=subject.directory.name)
    id: str = run.info.run_id
    parameters = [Param(name, text[:_LONGEST]) for name, text in _flat(subject.settings)]
    for start in range(0, len(parameters), _PARAMETERS):
        client.log_batch(id, params=parameters[start : start + _PARAMETERS])
    return id


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Settings by their whole names, such as `limits.turns`; a list is JSON."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif value not in (None, "", []):
            yield f"{before}{name}", value if isinstance(value, str) else json.dumps(value)
