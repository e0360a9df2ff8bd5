"""A configuration as plain data: for people, for other programs, for other libraries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import tomlkit
import yaml

from hpo.export.run import Run
from hpo.training.words.calls import Call, Name
from hpo.training.words.optimizers import optimizer_call
from hpo.training.words.schedule_words import schedule_call

_HEADER: Final = """# {about}
# `config` has the words of hpo. `optimizer` and `schedule` are the calls that these amount to, of what is
# named by `_target_`; the schedule is each step's factor of the learning rate. `clip` limits the gradient.
"""


def described(run: Run) -> dict[str, Any]:
    """Return a training as mappings, lists and plain values."""
    return {
        "recipe": run.recipe.name,
        "epochs": run.epochs,
        "seed": run.seed,
        "device": run.device,
        "threads": run.threads,
        "data": {**run.recipe.data, **run.data_options},
        "config": dict(run.config),
        "optimizer": _tree(optimizer_call(run.config, run.recipe.module), run),
        "schedule": _tree(schedule_call(run.config, run.recipe.module), run),
        "clip": {"norm": run.config["clip_norm"], "value": run.config["clip_value"]},
    }


def _tree(value: object, run: Run) -> Any:
    """Return a call as a mapping; what the recipe defines is named as lying in it."""
    match value:
        case Call(target=target, arguments=arguments):
            return {"_target_": _named(target, run)} | {
                name: _tree(it, run) for name, it in arguments.items()
            }
        case Name(target=target):
            return _named(target, run)
        case tuple():
            return [_tree(item, run) for item in value]
    return value


def _named(target: str, run: Run) -> str:
    return target.replace(f"{run.recipe.module}.", f"{run.recipe.name}.")


def to_yaml(run: Run) -> str:
    """Return it as YAML."""
    return _header(run) + yaml.safe_dump(described(run), sort_keys=False, allow_unicode=True)


def to_json(run: Run) -> str:
    """Return it as JSON."""
    return json.dumps(described(run), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_toml(run: Run) -> str:
    """Return it as TOML, which has no word for nothing: what is off is left out."""
    absent = "".join(f"# {text}\n" for text in not_in_toml(run))
    return f"{_header(run)}{absent}\n{tomlkit.dumps(_present(described(run)))}"


def not_in_toml(run: Run) -> list[str]:
    """Return what is left out, by its place."""
    named = ", ".join(_absent(described(run)))
    return [f"Off, or not to be said, so not in here, since TOML has no null: {named}"] if named else []


def _present(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    return {name: _present(value) for name, value in tree.items() if not _has_null(value)}


def _absent(tree: Mapping[str, Any], place: str = "") -> Iterator[str]:
    for name, value in tree.items():
        if _has_null(value):
            yield f"{place}{name}"
        elif isinstance(value, dict):
            yield from _absent(value, f"{place}{name}.")


def _has_null(value: object) -> bool:
    return value is None or (isinstance(value, list) and None in value)


def _header(run: Run) -> str:
    return _HEADER.format(about=run.origin.replace("\n", "\n# "))
