"""A recipe: a Python file that defines a model, its data, its loss and what is to be improved.

The file is *read* here and never run: all that a search must know beforehand (names, defaults,
literals) stands in its syntax tree. That takes no torch and no time, and finds mistakes before
anything starts. Workers get the source text and its hash, and run that.

A recipe defines

- `model(**hyperparameters)` → a `torch.nn.Module`; each argument has a default
- `data(**options)` → `{"train": …, "validation": …, "test": …}`, torch datasets
- `loss(outputs, targets, **options)` → a scalar tensor; options, such as `label_smoothing=0.0`, are for
  training: validation is measured with their defaults, so that trials compare
- `metrics = {"accuracy": accuracy}`, functions of (outputs, targets) → a mean over the batch
- `objective = "minimize loss"` or `"maximize accuracy"`, on validation data
- `epochs = 20`
- `baseline = {"optimizer": "sgd", "optimizer.lr": 0.05, …}`: what an expert would try first

and, if it likes, words of its own for a space, each a list of what it defines:

- `optimizers = [Lion]`: called as `Lion(params, **hyperparameters)`, a `torch.optim.Optimizer` that has `lr`
- `schedules = [sawtooth]`: `sawtooth(step, steps, **hyperparameters)` gives what the learning rate is
  multiplied by; or a class that takes the hyperparameters and has `factor(step, steps)`
- `checkpoints = [pretrained]`: `pretrained()` returns the path of a safetensors file, for `start: pretrained`
"""

from hpo.recipe.reading import find, names, read
from hpo.recipe.recipe import (
    COLUMNS,
    COSTS,
    DIRECTIONS,
    MEMORY,
    MODULE_PREFIX,
    PARAMETERS,
    SECONDS,
    SPLITS,
    Objective,
    Recipe,
    module_name,
)
from hpo.recipe.scrutiny import BETTER

__all__ = [
    "BETTER",
    "COLUMNS",
    "COSTS",
    "DIRECTIONS",
    "MEMORY",
    "MODULE_PREFIX",
    "PARAMETERS",
    "SECONDS",
    "SPLITS",
    "Objective",
    "Recipe",
    "find",
    "module_name",
    "names",
    "read",
]
