"""Search spaces: YAML in which a bare value is fixed and a mapping with one verb is searched.

`log`, `uniform`, `one_minus_log` and `int` take `[low, high]`, `choice` takes a list, and `one_of` opens
branches with hyperparameters of their own. `prior:` beside a verb says where an expert would look. `points`
lists configurations that are to be tried.
"""

from hpo.space.nodes import KEPT, Choice, Fixed, Leaf, Node, OneOf, Points
from hpo.space.ranges import SPREAD, TRUST, Given, Int, Log, Magnitudes, OneMinusLog, Range, Suggest, Uniform
from hpo.space.reading import find, locate, names, read
from hpo.space.space import Parameter, Space

__all__ = [
    "KEPT",
    "SPREAD",
    "TRUST",
    "Choice",
    "Fixed",
    "Given",
    "Int",
    "Leaf",
    "Log",
    "Magnitudes",
    "Node",
    "OneMinusLog",
    "OneOf",
    "Parameter",
    "Points",
    "Range",
    "Space",
    "Suggest",
    "Uniform",
    "find",
    "locate",
    "names",
    "read",
]
