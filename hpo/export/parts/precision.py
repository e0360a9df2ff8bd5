"""Half precision, if it is asked for when the program starts."""

from hpo.training.loop.gradients import Autocast, Gradient, Scaled

DTYPES = {"bf16": "bfloat16", "fp16": "float16"}


def cast(gradient: Gradient, precision: str, device: str) -> Gradient:
    """Return the gradient through a model that runs in this precision."""
    if precision not in DTYPES:
        return gradient
    return Autocast(gradient, device.partition(":")[0], DTYPES[precision])


def scaled(gradient: Gradient, precision: str, device: str) -> Gradient:
    """Return the gradient with its loss scaled up on the way back, where float16 would round it to 0."""
    return Scaled(gradient, device.partition(":")[0]) if precision == "fp16" else gradient
