"""What lies beside the code of an exported folder: the model card, what to install, how to verify."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Final

from hpo.export import lines
from hpo.export.run import Run, source


@dataclass(frozen=True)
class Proof:
    """What is known of an exported trial.

    `curve` is as train.py prints it, `figures` what the card shows by name, `versions` those of the libraries
    that it was trained with. A curve is repeated within `tolerance`, relative, for these `reasons`, if there
    are any, and to the last digit otherwise.
    """

    curve: str
    figures: Mapping[str, str]
    versions: Mapping[str, str]
    tolerance: float
    reasons: tuple[str, ...] = ()


_CARD: Final = """# {title}

{about}

| | |
| --- | --- |
{figures}

Trials were chosen by their score on the validation data, so expect a little less on new data. What is listed
of the test data, if anything, was measured once, after the choice.

## Use it

```sh
pip install -r requirements.txt
python train.py --help     # data, epochs, seed, device, precision, checkpoints
./verify.sh                # trains once more and compares with curve.txt
```

```python
from safetensors.torch import load_file
from train import model

network = {model}
network.load_state_dict(load_file("model.safetensors"))
network.eval()
```

| File | What it is |
| --- | --- |
| train.py | recipe and training loop, plain torch |
| optim.py | `configure(model, total_steps)` → optimizer, scheduler, clip: drop it into other code |
| config.yaml | the configuration as data |
| model.safetensors | the weights after the last epoch; nothing in the file can run |
{beside}| curve.txt | the curve that the search logged |
| verify.sh | trains again and compares |
| requirements.txt | exact versions |

## Verified

{verified}

## Configuration

| Word | Value |
| --- | --- |
{config}

## Licences

The training loop, optim.py and verify.sh come from hpo, under the Apache License 2.0. The recipe's code is
under its authors' licence. The weights derive from the data: see to what its licence allows. The libraries:

| Library | Version | Licence |
| --- | --- | --- |
{libraries}
"""

_VERIFY: Final = """#!/bin/sh
# Trains once more and compares each number with curve.txt. Words go on to train.py: ./verify.sh --device cuda
# The largest relative difference that passes is TOLERANCE. On the CPU, with the versions of requirements.txt,
# it is {exact}{why}. Elsewhere sums are rounded in another order: 0.01.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case "$* {device}" in *cuda*) tolerance=0.01 ;; *) tolerance={exact} ;; esac
trained=$(mktemp -d)
trap 'rm -rf "$trained"' EXIT
python "$here/train.py" --weights "$trained/model.safetensors" "$@" > "$trained/curve.txt"
python - "$here/curve.txt" "$trained/curve.txt" "${{TOLERANCE:-$tolerance}}" <<'END'
{comparing}END
"""


def verify(run: Run, proof: Proof) -> str:
    """Return verify.sh."""
    why = f", since {'; '.join(proof.reasons)}" if proof.reasons else ""
    device = run.device if run.device != "cpu" else ""
    comparing = source("hpo.export.parts.comparing")
    return _VERIFY.format(exact=f"{proof.tolerance:g}", why=why, device=device, comparing=comparing)


def card(run: Run, proof: Proof, figures: Mapping[str, str], verified: str) -> str:
    """Return README.md; `verified` says what came of training once more."""
    figures = {**figures, "epochs": str(run.epochs), "seed": str(run.seed)}
    return _CARD.format(
        title=run.origin.partition(":")[0],
        about=run.about,
        figures="\n".join(f"| {name} | {text} |" for name, text in figures.items()),
        model=lines.recipe_model(run, {}),
        beside=f"| {run.beside} | the weights that training starts from |\n" if run.beside else "",
        verified=verified,
        config="\n".join(
            f"| {name} | `{json.dumps(value, ensure_ascii=False)}` |" for name, value in run.config.items()
        ),
        libraries="\n".join(_licences(requirements(run, proof.versions))),
    )


def requirements(run: Run, versions: Mapping[str, str]) -> dict[str, str]:
    """Return the distributions that train.py imports, with the versions of the search where it noted them."""
    found = metadata.packages_distributions()
    names = {name for module in _imported(run.recipe.source) for name in found.get(module, ())[:1]}
    names |= {"torch", "safetensors", "numpy"}
    # A local version, such as 2.13.0+cpu, says how it was built and cannot be asked an index for.
    return {name: versions.get(name, metadata.version(name)).partition("+")[0] for name in sorted(names)}


def _imported(text: str) -> Iterable[str]:
    """Return the top-level modules that a source imports anywhere."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=aliases):
                yield from (alias.name.partition(".")[0] for alias in aliases)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]


def _licences(required: Mapping[str, str]) -> Iterator[str]:
    for name, version in required.items():
        yield f"| {name} | {version} | {_licence(metadata.metadata(name).json)} |"


def _licence(about: Mapping[str, str | list[str]]) -> str:
    """Return what a distribution says in one of the three places for it."""
    classified = [it for it in about.get("classifier", ()) if it.startswith("License ::")]
    said = [
        about.get("license_expression"),
        *(it.rpartition(":: ")[2] for it in classified),
        about.get("license"),
    ]
    return next((str(it).strip().partition("\n")[0] for it in said if it), "see its package")
