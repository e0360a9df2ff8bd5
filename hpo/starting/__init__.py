"""Starting points of one's own: a commented recipe or space that runs, or a copy of one that ships."""

from hpo.starting.writing import copy, new

__all__ = ["copy", "new"]
