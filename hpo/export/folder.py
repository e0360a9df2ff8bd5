"""A trial as a folder that production can take over: code, data of the run, and a card."""

from __future__ import annotations

from hpo.export.card import Proof, requirements, verify
from hpo.export.optim import optim
from hpo.export.plainly import to_yaml
from hpo.export.run import Run
from hpo.export.train import train


def folder(run: Run, proof: Proof) -> dict[str, str]:
    """Return the folder's texts by their names; README.md follows when it has been trained once more."""
    required = requirements(run, proof.versions)
    return {
        "train.py": train(run),
        "optim.py": optim(run),
        "config.yaml": to_yaml(run),
        "requirements.txt": "".join(f"{name}=={version}\n" for name, version in required.items()),
        "curve.txt": proof.curve,
        "verify.sh": verify(run, proof),
    }
