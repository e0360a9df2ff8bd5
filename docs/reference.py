"""Write docs/spaces.md from the code: `python docs/reference.py`."""

import json
from collections.abc import Iterable
from pathlib import Path

from hpo.config import Value
from hpo.training.words import VOCABULARY
from hpo.vocabulary import Hyperparameter, Word

HERE = Path(__file__).parent

INTRODUCTION = """\
# Search spaces

<!-- Written by docs/reference.py from the code; change it there. -->

A space is YAML. A bare value is fixed; a mapping with one verb is searched.

| verb | searches | example |
|---|---|---|
| `log` | a number on a log scale | `lr: {log: [1e-4, 1e-1]}` |
| `uniform` | a number on a linear scale | `dropout: {uniform: [0, 0.5]}` |
| `one_minus_log` | a number whose distance from 1 is on a log scale | `momentum: {one_minus_log: [0.01, 0.3]}` |
| `int` | a whole number | `width: {int: [8, 64]}` |
| `choice` | one of a list | `clip_norm: {choice: [null, 1.0]}` |
| `one_of` | one of several branches, each with its own hyperparameters | `schedule: {one_of: {constant: {}, cosine: {}}}` |

`prior:` beside a verb says where an expert would look: a value, or for `choice` and `one_of` a favourite or weights,
`prior: {adamw: 2, sgd: 1}`. The first trials of a model-based sampler are drawn from the priors.

`space.PATH=YAML` on the command line changes one place: `space.optimizer.sgd.lr='{log: [1e-3, 1]}'`,
`space.batch_size=128`. A branch's bare name keeps that branch with its searches: `space.optimizer=adamw`.

`hpo train` takes one value of each, without a space: `hpo train recipe=cnn optimizer=adamw optimizer.lr=1e-3 clip_norm=1`.

A space holds plain values: tags, anchors, aliases and `${…}` are refused, and no name in it can call code.
"""


def page() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION, "## Single values\n", _table(VOCABULARY.values.values())]
    parts.append("`model.NAME` is an argument of the recipe's `model`; its default is the recipe's.\n")
    parts.append(
        "`loss.NAME` is an argument of the recipe's `loss` after outputs and targets, such as\n"
        "`loss.label_smoothing` of `cnn`. It holds for training; validation is measured with the recipe's\n"
        "defaults, so that trials compare.\n"
    )
    for branch, words in VOCABULARY.branches.items():
        parts.append(f"## `{branch}`\n")
        parts += [_section(word) for word in words.values()]
    return "\n".join(parts)


def _section(word: Word) -> str:
    reference = f" ({word.reference})" if word.reference else ""
    heading = f"### `{word.name}`\n\n{word.doc}{reference}.\n"
    return f"{heading}\n{_table(word.hyperparameters)}" if word.hyperparameters else heading


def _table(items: Iterable[Hyperparameter]) -> str:
    rows = [f"| `{it.name}` | `{_shown(it.default)}` | {it.expected} | {it.doc} |" for it in items]
    return "\n".join(["| name | default | must be | meaning |", "|---|---|---|---|", *rows, ""])


def _shown(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


if __name__ == "__main__":
    (HERE / "spaces.md").write_text(page(), encoding="utf-8")
