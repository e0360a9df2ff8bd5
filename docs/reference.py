"""Write the reference pages from the code: `python docs/reference.py`."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import fill

from hpo.config import Value
from hpo.training.words import VOCABULARY
from hpo.training.words.optimizer import Optimizer
from hpo.training.words.optimizers import OPTIMIZERS
from hpo.training.words.schedule_words import SAME, SCHEDULES, SEQUELS
from hpo.vocabulary import Hyperparameter, Word

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/reference.py from the code; change it there. -->"

SPACES = f"""\
# Search spaces

{NOTE}

A space is YAML. A bare value is fixed; a mapping with one verb is searched. What it does not mention, such as the batch
size or the model's width, is as in the recipe's baseline; what that does not mention either has the default below.

| verb | searches | example |
|---|---|---|
| `log` | a number on a log scale | `lr: {{log: [1e-4, 1e-1]}}` |
| `uniform` | a number on a linear scale | `dropout: {{uniform: [0, 0.5]}}` |
| `one_minus_log` | a number whose distance from 1 is on a log scale | `momentum: {{one_minus_log: [0.01, 0.3]}}` |
| `int` | a whole number | `width: {{int: [8, 64]}}` |
| `choice` | one of a list | `clip_norm: {{choice: [null, 1.0]}}` |
| `one_of` | one of several branches, each with its own hyperparameters | `schedule: {{one_of: {{constant: {{}}, cosine: {{}}}}}}` |

`prior:` beside a verb says where an expert would look: a value, or for `choice` and `one_of` a favourite or weights,
`prior: {{adamw: 2, sgd: 1}}`. The first trials of a model-based sampler are drawn from the priors.

The branches are [`optimizer`](optimizers.md), [`schedule`, `then`, `then_2` and so on](schedules.md), with all their
hyperparameters on these pages; a recipe may add [words of its own](recipes.md). All other words stand below.

`space.PATH=YAML` on the command line changes one place: `space.optimizer.sgd.lr='{{log: [1e-3, 1]}}'`,
`space.batch_size=128`. A branch's bare name keeps that branch with its searches: `space.optimizer=adamw`.

`hpo train` takes one value of each, without a space: `hpo train recipe=cnn optimizer=adamw optimizer.lr=1e-3 clip_norm=1`.

`points` lists configurations, or parts of them, under their dotted names. Each is tried once before any is tried again,
with whatever else the space searches:

```yaml
optimizer: adamw
points:
  - {{optimizer.lr: 1.3e-3, optimizer.beta1: 0.973, warmup: 0.1}}
  - {{optimizer.lr: 5.0e-3, optimizer.beta1: 0.864, warmup: 0.02}}
```

Such lists come with hpo: `space=five_adamw trials=6` tries the baseline and five configurations of AdamW that did well
[on recipes of all kinds](benchmarks.md#five-configurations-for-any-recipe); so do `five_sgd`, `five_adam`,
`five_rmsprop` and `five_adagrad`.

`space=tuning_search_space.json` reads AlgoPerf's files, ranges as well as lists of points; they name no optimizer, so
`space.optimizer=nadam` does.

A space holds plain values: tags, anchors, aliases and `${{…}}` are refused, and no name in it can call code.
"""

VALUES: Mapping[str, tuple[str, ...]] = {
    "Batches": ("batch_size", "accumulate"),
    "Warm-up": ("warmup",),
    "Clipping": ("clip_norm", "clip_value"),
    "Regularization": ("weight_decay_on", "l1", "ema"),
    "Initialization": ("init",),
    "Precision": ("precision",),
    "Transfer": ("start", "freeze", "body_lr"),
}

TRANSFER = """\
`start` takes a safetensors file, or the name of a checkpoint that the recipe makes; what it fills is told in each trial's
MLflow tag `hpo.start`. A damaged file is refused before anything starts. `hpo export NAME to=train.py
weights=mine.safetensors` writes a script that leaves such a file.
"""

OPTIONS = """\
## Of the recipe

`model.NAME` is an argument of the recipe's `model`; its default is the recipe's.

`loss.NAME` is an argument of the recipe's `loss` after outputs and targets, such as
`loss.label_smoothing` of `cnn`. It holds for training; validation is measured with the recipe's
defaults, so that trials compare.
"""

OPTIMIZER = f"""\
# Optimizers

{NOTE}

`optimizer:` in a space. Names and defaults are PyTorch's; `betas` are two numbers. In the formulas w are the weights, g
is the gradient, m its running mean, v that of its square, a prime marks a mean that is freed of its start at 0, and t
counts the steps.
"""

SCHEDULE = f"""\
# Schedules

{NOTE}

`schedule:` in a space: by what the learning rate is multiplied, step by step. All lengths are shares of the run that is
left after `warmup`, so that they mean the same in a short run and in a long one.
"""

SEQUENCE = """\
## One after another

`then:` takes any of these, and says when and how it takes over; `then_2:`, `then_3:` and so on follow in their turn, each
with the rest of the run. `same` leaves the schedule before it as it is. A `plateau` counts only epochs of its own turn.

```yaml
schedule: linear
then: {one_of: {constant: {switch: 0.2, start_factor: 0.5}}}
then_2: {one_of: {same: {}, cosine: {switch: {uniform: [0.2, 0.8]}}}}
```
"""


def pages() -> dict[str, str]:
    """Return all pages by the names of their files."""
    return {"spaces.md": _spaces(), "optimizers.md": _optimizers(), "schedules.md": _schedules()}


def _spaces() -> str:
    parts = [SPACES]
    for title, names in VALUES.items():
        parts += [f"## {title}\n", _table(VOCABULARY.values[name] for name in names)]
    return "\n".join([*parts, TRANSFER, OPTIONS])


def _optimizers() -> str:
    return "\n".join([OPTIMIZER, *(_section(word) for word in OPTIMIZERS.values())])


def _schedules() -> str:
    name = next(name for name in SEQUELS if name != SAME)
    turn = [item for item in SEQUELS[name].hyperparameters if item not in SCHEDULES[name].hyperparameters]
    return "\n".join([SCHEDULE, *(_section(word) for word in SCHEDULES.values()), SEQUENCE, _table(turn)])


def _section(word: Word) -> str:
    reference = f" ({word.reference})" if word.reference else ""
    formula = f"\n`{word.formula}`\n" if isinstance(word, Optimizer) else ""
    text = fill(f"{word.doc}{reference}.", 125, break_on_hyphens=False, break_long_words=False)
    heading = f"## `{word.name}`\n\n{text}\n{formula}"
    return f"{heading}\n{_table(word.hyperparameters)}" if word.hyperparameters else heading


def _table(items: Iterable[Hyperparameter]) -> str:
    rows = [f"| `{it.name}` | `{_shown(it.default)}` | {it.expected} | {it.doc} |" for it in items]
    return "\n".join(["| name | default | must be | meaning |", "|---|---|---|---|", *rows, ""])


def _shown(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
