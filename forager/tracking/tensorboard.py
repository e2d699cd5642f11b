"""TensorBoard's event files: DIRECTORY/tensorboard."""

from typing import Any

from forager.tracking.tracker import Measurement, Subject


class TensorBoardTracker:
    """Writes a scalar for each value; implements Tracker."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def log(self, measurement: Measurement) -> None:
        """Write the values, and flush them."""
        for name, value in measurement.values.items():
            self._writer.add_scalar(name, value, measurement.step)
        self._writer.flush()

    def close(self, *, failed: bool) -> None:  # noqa: ARG002
        """Close the file."""
        self._writer.close()


def open_tracker(subject: Subject) -> TensorBoardTracker:
    """A new event file; TensorBoard shows all files of a directory as one."""
    from tensorboard.summary import Writer

    return TensorBoardTracker(Writer(str(subject.directory / "tensorboard")))
