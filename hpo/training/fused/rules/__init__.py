"""The update rules: each optimizer for k trials at once, equal to torch.optim's for one.

Adam and AdamW share a rule, so that rows of both lie in one slice. An optimizer without a rule, which is
L-BFGS, whose steps depend on further looks at the loss, cannot be fused.
"""

from collections.abc import Mapping
from typing import Final

from hpo.training.fused.rules.adafactor import Adafactor
from hpo.training.fused.rules.descent import SGD, Adadelta, Adagrad, RMSprop
from hpo.training.fused.rules.layout import Layout
from hpo.training.fused.rules.moments import Adam, Adamax, NAdam, RAdam
from hpo.training.fused.rules.muon import Muon
from hpo.training.fused.rules.rule import Rule
from hpo.training.fused.rules.slowed import Slowed, slows

__all__ = ["RULES", "Layout", "Rule", "Slowed", "slows"]

RULES: Final[Mapping[str, type[Rule]]] = {
    "sgd": SGD,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": Adam,
    "adadelta": Adadelta,
    "nadam": NAdam,
    "radam": RAdam,
    "adamax": Adamax,
    "adafactor": Adafactor,
    "muon": Muon,
}
