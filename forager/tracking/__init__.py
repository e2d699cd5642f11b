"""What TensorBoard, Weights & Biases, MLflow and OpenTelemetry get of trainings and runs.

tracker.py       the seam: what a tracker gets, and how it is opened
tracking.py      the trackers of a directory; each gets everything once, whatever is killed
following.py     what a run tells of its attempts
tensorboard.py, wandb.py, mlflow.py, otel.py    the trackers
spans.py         an attempt as OpenTelemetry's spans
"""
