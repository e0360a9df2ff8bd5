"""Kernels for K trials at once, in the place of torch functions that batch badly or not at all."""

from hpo.training.fused.kernels.chance import Chance
from hpo.training.fused.kernels.mode import Kernels

__all__ = ["Chance", "Kernels"]
