"""Export: a recipe and a configuration as one readable file of plain torch code."""

from hpo.export.script import script

__all__ = ["script"]
