"""What a configuration may say of a training: definitions that engines make, and exports print.

Nothing here imports torch, so that the command line can check a person's words at once.
"""

from hpo.training.words.vocabulary import VOCABULARY, demanding, taken_names, vocabulary_of

__all__ = ["VOCABULARY", "demanding", "taken_names", "vocabulary_of"]
