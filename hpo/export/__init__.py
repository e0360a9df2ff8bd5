"""Export: a recipe and a configuration as readable files of plain torch code."""

from hpo.export.card import Proof, card
from hpo.export.folder import folder
from hpo.export.run import Run
from hpo.export.script import script
from hpo.export.targets import TARGETS

__all__ = ["TARGETS", "Proof", "Run", "card", "folder", "script"]
