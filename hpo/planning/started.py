"""The weights from which training may start: which files they lie in, and what these hold."""

from __future__ import annotations

import hashlib
import os
from typing import Final

from hpo.config import Config, Value
from hpo.errors import Problem
from hpo.space import Choice, Space
from hpo.training.checkpoint import CHECKPOINT_SUFFIX, CheckpointError, read_whole
from hpo.training.words.values import START

STARTED: Final = "start_sha256"
"""The setting that tells the weights from which training may start from others in the same files."""


def started_from(space: Space, *others: Config) -> tuple[dict[str, Value], list[Problem]]:
    """Return the setting that tells what the files hold that training may start from, and what ails them.

    Training is of what is in a space, and of `others`, such as a baseline.
    """
    files, held, problems = _start_files(space, *others), hashlib.sha256(), []
    for path in files:
        try:
            held.update(read_whole(path)[0])
        except CheckpointError as error:
            problems.append(Problem(START.name, str(error)))
    return {STARTED: held.hexdigest()[:16]} if files else {}, problems


def untold(space: Space, *others: Config) -> list[Problem]:
    """Complain of files of this machine that training is to start from: no service is told what they hold."""
    remedy = "Put it where the service's machines see it, and write its whole path there."
    return [
        Problem(f"{START.name}: {path}", f"A file of this machine does not travel to a service. {remedy}")
        for path in _start_files(space, *others)
        if not os.path.isabs(path)
    ]


def _start_files(space: Space, *others: Config) -> list[str]:
    """Return the files that training may start from, each once."""
    node = space.nodes.get(START.name)
    paths = node.options if isinstance(node, Choice) else [getattr(node, "value", None)]
    named = [config.get(START.name) for config in (*space.listed, *others)]
    every = dict.fromkeys((*paths, *named))
    return [path for path in every if isinstance(path, str) and path.endswith(CHECKPOINT_SUFFIX)]
