"""The fused engine: K trials in one set of kernels."""
