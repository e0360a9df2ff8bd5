"""From a search to code that no longer needs it: a trial as a plain PyTorch script, or as a folder."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any, Final

from hpo.errors import HpoError, InputError, Problem
from hpo.export import TARGETS, Proof, Run, card, folder, script
from hpo.export.parts.comparing import compare
from hpo.handover.chosen import Chosen, chosen, trained
from hpo.handover.destination import demand_new, demand_room, write_new
from hpo.history import Trial
from hpo.machine.hardware import device_here
from hpo.planning.plan import Plan
from hpo.planning.rounding import ROUNDING, reorders
from hpo.results.summary import measures
from hpo.results.verdict import sentences
from hpo.settings import ExportSettings
from hpo.training.checkpoint import CHECKPOINT_SUFFIX, CheckpointError, read_whole, split_safetensors
from hpo.training.execution import execute
from hpo.training.words.values import START

_LOADER: Final = "DataLoader"  # a recipe that speaks of one may give one for other arguments of its data
_START: Final = "start.safetensors"
_IN_ONE_PROCESS: Final = """One process adds up in another order, so
losses may differ by a ten-thousandth, and with dropout, which draws other masks, by more."""
_FROM_THE_FIRST: Final = """Here all epochs are trained from the first,
by the schedule of all of them, which comes to another curve."""


def export(settings: ExportSettings, hear: Callable[[str], None]) -> str:
    """Write a trial, the winner if none is named, and say what was written.

    That is a script, which leaves what it trains in the file `weights` if that is named. Where a folder is
    named, it is that folder, for whose weights it is trained once more; `hear` is told the curve.

    Raises:
        InputError: there is no such search or trial, or it cannot be written there.
        HpoError: what was written fails; it stays.
    """
    if settings.pick and settings.trial is not None:
        raise InputError(Problem(f"pick={settings.pick}", "Give this or trial=…, not both."))
    found = chosen(settings, settings.trial, settings.pick)
    run, to = _run(found), Path(settings.to)
    if settings.form in TARGETS:
        return _write_target(to, run, settings)
    if settings.form != "code":
        return _serve(found, settings, hear)
    if settings.to.endswith("/") or to.is_dir():
        _demand_no_weights(
            settings, "A folder gets its weights in any case, as model.safetensors. Leave this out."
        )
        start = _start(run)
        demand_room(to)
        return _write_folder(to, run, _proof(found), start, hear)
    return f"Written. Run it: python {write_new(to, script(run, settings.weights))}"


def _write_target(to: Path, run: Run, settings: ExportSettings) -> str:
    """Write a training for another trainer, or as data, and say what that cannot hold."""
    _demand_no_weights(settings, f"as={settings.form} leaves no weights. Leave this out, or write as=code.")
    target = TARGETS[settings.form]
    written = f"Written: {write_new(to, target.write(run))}"
    return "\n".join((written, *(f"Not in it: {text}" for text in target.missing(run))))


def _serve(found: Chosen, settings: ExportSettings, hear: Callable[[str], None]) -> str:
    """Write a trial's model for a server, and keep it in MLflow, too."""
    to = Path(settings.to)
    _demand_no_weights(settings, f"as={settings.form} has its weights in itself. Leave this out.")
    demand_new(to)
    from hpo.serving import FORMS, forms
    from hpo.tracking import attach

    if settings.form == "onnx":
        forms.demand_onnx("as=onnx")
    write = FORMS[settings.form]
    written = write(trained(found, hear, rehearse=forms.rehearsal(write)), to)
    return f"{written}\n{attach(found.plan.search, [written.path], trial=found.apart)}"


def _demand_no_weights(settings: ExportSettings, because: str) -> None:
    if settings.weights:
        raise InputError(Problem(f"weights={settings.weights}", because))


def _start(run: Run) -> bytes | None:
    """Return the file of weights that a training starts from, if it does; it goes into the folder as well.

    Raises:
        InputError: it is not there any more, or damaged.
    """
    where = run.config[START.name]
    if where is None:
        return None
    path = str(where)
    if not path.endswith(CHECKPOINT_SUFFIX):
        path = getattr(execute(run.recipe.source, run.recipe.path), path)()
    try:
        return read_whole(path)[0]
    except CheckpointError as error:
        raise InputError(Problem(START.name, str(error))) from None


def _write_folder(to: Path, run: Run, proof: Proof, start: bytes | None, hear: Callable[[str], None]) -> str:
    """Write all texts, train once more with them for the weights, and write the card."""
    if start is not None:
        run = replace(run, beside=_START)
        (to / _START).write_bytes(start)
    for name, text in folder(run, proof).items():
        write_new(to / name, text)
    (to / "verify.sh").chmod(0o755)
    hear(f"Written to {to}/. Training once more, for the weights:")
    verdict = _verdict(proof, _train(to, run, hear))
    header, notes = _noted(to / "model.safetensors")
    figures = {
        **proof.figures,
        "numbers in the weights": f"{sum(math.prod(it['shape']) for it in header.values()):,}",
        **({"starting weights (SHA-256)": _sha256(start)} if start is not None else {}),
        "data (SHA-256)": notes["data"] or "not in memory, so not hashed",
    }
    write_new(to / "README.md", card(run, proof, figures, verdict))
    return f"{verdict}\nWritten: {to}/. Read {to}/README.md. Verify it: {to}/verify.sh"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _train(to: Path, run: Run, hear: Callable[[str], None]) -> str:
    """Run train.py for model.safetensors, and return the curve that it prints."""
    words = ["--weights", str(to / "model.safetensors"), "--device", device_here(run.device)]
    with subprocess.Popen(  # noqa: S603 - our own words, no shell
        [sys.executable, str(to / "train.py"), *words], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        lines = []
        for line in process.stdout or ():
            lines.append(line)
            hear(line.rstrip())
    if process.returncode:
        raise HpoError(f"{to}/train.py failed, as told above; there are no weights.")
    return "".join(lines)


def _noted(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a file of weights says of its tensors, and its notes."""
    header, _ = split_safetensors(path.read_bytes())
    return header, json.loads(header.pop("__metadata__")["notes"])


def _verdict(proof: Proof, trained: str) -> str:
    gap, where = compare(proof.curve, trained)
    if gap == 0:
        return "Trained once more, it has repeated the search's curve to the last digit."
    told = f"it differs from the search's curve by {gap:.2g} of its value ({where})"
    if gap <= proof.tolerance:
        return f"Trained once more, {told}; {proof.tolerance:g} is tolerated: {'; '.join(proof.reasons)}."
    return f"NOT repeated: trained once more, {told}. Are data, machine and versions the same?"


def _proof(found: Chosen) -> Proof:
    """Return what the ledger knows of a trial, and how nearly it will be repeated."""
    _, plan, history, chosen = found
    trial = history.proof if chosen is history.best and history.proof else chosen
    reasons = tuple(reorders(plan, trial))
    objective = plan.search.objective
    figures = {f"validation {name}": f"{it:.6g}" for name, it in measures(trial, objective).items()}
    figures = {str(objective.first): f"{trial.score:.6g}", **figures}
    if chosen is history.best:
        figures |= {f"test {name}": f"{it:.6g}" for name, it in history.test.items()}
    baseline = history.trials.get(0)
    if baseline and baseline is not chosen and baseline.score is not None:
        figures[f"{objective.metric} of the baseline"] = f"{baseline.score:.6g}"
    figures["trials"] = str(len(history.searched))
    return Proof(
        curve="".join(f"{'  '.join(row)}\n" for row in _curve(plan, trial)),
        figures=figures,
        versions=plan.search.versions,
        tolerance=ROUNDING if reasons else 0.0,
        reasons=reasons,
    )


def _curve(plan: Plan, trial: Trial) -> Iterator[list[str]]:
    """Yield rows of words, as train.py prints them."""
    metrics = plan.recipe.metrics
    yield ["epoch", "train_loss", "loss", *metrics, "lr"]
    for point in trial.points:
        measured = [point.metrics[name] for name in metrics]
        yield [str(point.epoch), *map(repr, (point.train_loss, point.loss, *measured, point.lr))]


def _run(found: Chosen) -> Run:
    plan = found.plan
    return Run(
        recipe=plan.recipe,
        config=plan.whole(found.trial.proposal).config,
        epochs=plan.epochs,
        seed=plan.seed_of(found.trial.proposal),
        threads=plan.setting("threads"),
        device=plan.setting("device"),
        data_options=plan.data_options,
        loaders=found.trial.loaders is not False or _LOADER in plan.recipe.source,
        origin=_origin(found),
    )


def _origin(found: Chosen) -> str:
    """Say whose curve a script repeats, and how nearly, since it runs one trial in one process."""
    _, plan, history, chosen = found
    search, workers = plan.search, plan.setting("workers_per_trial")
    curve, how, caveat = chosen, "", ""
    if chosen is history.best and history.proof:
        curve, how = history.proof, f", trained once more alone as trial {history.proof.number}"
    elif chosen.at_once > 1:
        how = ", trained among others, so equal but for rounding"
    if workers > 1:
        parallel = plan.setting("parallel")
        caveat = f"The search trained it with {workers} workers ({parallel}). {_IN_ONE_PROCESS}"
    if search.extends:
        caveat = f"The training went on from {search.extends}. {_FROM_THE_FIRST}"
    start = chosen.proposal.config.get(START.name)
    begun = f"It starts from the weights of {start}{_known(str(start))}." if start is not None else ""
    said = fill(" ".join(sentences(history) if chosen is history.best else []), width=100)
    score = f"{search.objective.metric} {curve.score:.6g}"
    return "\n\n".join(
        filter(None, (f"trial {chosen.number} of {search.name}{how}: {score}", said, begun, caveat))
    )


def _known(start: str) -> str:
    """Return the hash of a file that is named and is there."""
    path = Path(start)
    return f", SHA-256 {_sha256(path.read_bytes())}" if path.is_file() else ""
