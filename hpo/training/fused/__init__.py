"""The fused engine: K trials in one set of kernels."""

from hpo.training.fused.engine import train

__all__ = ["train"]
