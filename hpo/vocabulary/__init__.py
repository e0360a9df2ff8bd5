"""The words that a configuration may use, and what each of them takes."""

from hpo.vocabulary.vocabulary import LOSS, MODEL, Vocabulary, meaning, position_of, repeated
from hpo.vocabulary.word import But, Contradiction, Hyperparameter, Word

__all__ = [
    "LOSS",
    "MODEL",
    "But",
    "Contradiction",
    "Hyperparameter",
    "Vocabulary",
    "Word",
    "meaning",
    "position_of",
    "repeated",
]
