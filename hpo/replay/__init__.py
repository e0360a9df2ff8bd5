"""Doing again what a ledger says was done: each decision of a search, or the training of one trial."""

from hpo.replay.decisions import Decisions, Difference, replay
from hpo.replay.training import Comparison, retrain

__all__ = ["Comparison", "Decisions", "Difference", "replay", "retrain"]
