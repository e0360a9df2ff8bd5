"""The referee: who proposes trials, says who goes on, and writes down all that happens in a search."""

from hpo.referee.records import proposer
from hpo.referee.referee import Referee

__all__ = ["Referee", "proposer"]
