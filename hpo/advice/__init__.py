"""Advice from what a search has seen: each with a finding, its evidence and what to do.

A *space linter* (`edges`, `effects`, `budget`), a *divergence doctor* (`divergence`), an *optimizer-fair
comparison* (`optimizers`) and a *curve reader* (`curves`). Plain data in, plain data out. There is no advice
without evidence: each rule says how many trials it needs and what chance alone may look like, and a small
search stays silent.
"""

from hpo.advice.advice import Advice, Change, Topic
from hpo.advice.council import advise
from hpo.advice.facts import Facts
from hpo.advice.importance import Importance, importance
from hpo.advice.optimizers import Standing, standings

__all__ = [
    "Advice",
    "Change",
    "Facts",
    "Importance",
    "Standing",
    "Topic",
    "advise",
    "importance",
    "standings",
]
