"""The instruments: attention mechanisms, models, search, store, measurement. Knows no task."""

__version__ = "0.1.0"
