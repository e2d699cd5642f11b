"""forager: any Python repository into a training ground, a model into a better model."""

__version__ = "0.1.0"
