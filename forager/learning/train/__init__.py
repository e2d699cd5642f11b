"""Training with DeepSpeed; `train` starts the processes and waits for the model."""

from forager.learning.train.run import TrainingProgress, count_steps, finished, train
from forager.learning.train.settings import TrainingResult, TrainSettings

__all__ = [
    "TrainSettings",
    "TrainingProgress",
    "TrainingResult",
    "count_steps",
    "finished",
    "train",
]
