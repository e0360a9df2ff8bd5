"""hpo: a hyperparameter-search service for deep-learning training recipes."""

__version__ = "0.1.0"
