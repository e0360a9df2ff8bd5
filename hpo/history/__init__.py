"""A search as its records tell it: the one computation behind show, progress, tracking and resume."""

from hpo.history.history import FAILURES, History, Outline
from hpo.history.search import EXTENDS, FORKED_FROM, Search, State
from hpo.history.standing import Standing
from hpo.history.trial import Trial

__all__ = ["EXTENDS", "FAILURES", "FORKED_FROM", "History", "Outline", "Search", "Standing", "State", "Trial"]
