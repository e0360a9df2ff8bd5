"""What there is to train on, and what a trial gets of it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

import psutil

from hpo.errors import InputError, Problem
from hpo.machine import limits, usage

_MOST: Final = 4
_WINDOWS: Final = Path("/dev/dxg")  # through which WSL 2 speaks to the GPUs of Windows
"""So many workers per CPU, each of which is a process with torch in it."""


@dataclass(frozen=True)
class Hardware:
    """So many CPUs and GPUs, of this machine or of a whole cluster, with each of its `machines`."""

    cpus: int
    gpus: int
    owner: str = "This machine"
    machines: tuple[Hardware, ...] = ()


@dataclass(frozen=True)
class Share:
    """What a trial gets of the machines: so many processes, each with so much."""

    cpus: float
    gpus: float
    processes: int = 1


def here() -> Hardware:
    """Return what this process may use of this machine."""
    return Hardware(limits.cpus(), gpus_here())


def share_out(
    found: Hardware, workers: int | None, gpus_per_trial: float | None, workers_per_trial: int = 1
) -> tuple[int, Share]:
    """Return how many trials are trained at once, and what each of them gets.

    Args:
        found: what there is.
        workers: as many as this; None: as many as there are CPUs, or shares of the GPUs.
        gpus_per_trial: what each gets of the GPUs; None: one for each of its workers, if there are any.
        workers_per_trial: how many processes train each.

    Raises:
        InputError: there are not enough GPUs or CPUs.
    """
    share = gpus_per_trial or float(workers_per_trial if found.gpus else 0)
    problem = _too_many(found, workers or 1) or _too_much(found, workers_per_trial, share)
    if problem:
        raise InputError(problem)
    if workers is None:
        workers = max(1, _beside(found.gpus, share)) if share else found.cpus // workers_per_trial
    return workers, Share(cpus=1.0, gpus=share / workers_per_trial, processes=workers_per_trial)


def company(found: Hardware, workers: int, share: Share) -> tuple[int, int]:
    """Return how many trials one machine may train side by side, and the threads of each of their processes.

    On a cluster Ray may place all workers on one machine, and others' beside them: a process has the CPUs of
    its place there, however many places are taken.
    """
    if not found.machines:
        return workers, max(1, found.cpus // (workers * share.processes))
    places = [(_places(it, share), it.cpus) for it in found.machines]
    threads = min((cpus // number for number, cpus in places if number), default=1)
    return min(workers, max(1, max(places)[0] // share.processes)), threads


def _places(machine: Hardware, share: Share) -> int:
    """Return how many processes a machine has room for."""
    on_cpus = int(machine.cpus / share.cpus)
    return min(on_cpus, _beside(machine.gpus, share.gpus)) if share.gpus else on_cpus


def _beside(gpus: int, share: float) -> int:
    """Return how many such shares there are, where a part of a GPU lies on a single one."""
    return gpus * int(1 / share) if share < 1 else int(gpus / share)


def _too_many(found: Hardware, workers: int) -> Problem | None:
    most = _MOST * found.cpus
    if workers <= most:
        return None
    return Problem(f"workers={workers}", f"{_owns(found, 'CPU')}. Write workers={most} at most.")


def _too_much(found: Hardware, processes: int, share: float) -> Problem | None:
    """Say what is lacking for a trial of so many processes, with so much of the GPUs."""
    together = f"workers_per_trial={processes}"
    if share and processes > 1 and share != processes:
        message = f"Each of the {processes} workers of a trial trains on one GPU. Leave the word out."
        return Problem(f"gpus_per_trial={share:g}", message)
    if share > found.gpus and processes > 1:
        return Problem(together, f"{_owns(found, 'GPU')}, and each worker takes one. {_fewer(found.gpus)}")
    most = max((it.gpus for it in found.machines), default=found.gpus)
    if processes == 1 and share > most:
        at_most = f", {most} at most on one machine" if most < found.gpus else ""
        message = (
            f"{_owns(found, 'GPU')}{at_most}. Leave the word out to train on {'one' if most else 'CPUs'}."
        )
        return Problem(f"gpus_per_trial={share:g}", message)
    if processes > found.cpus:
        return Problem(together, f"{_owns(found, 'CPU')}, and each worker takes one. {_fewer(found.cpus)}")
    return None


def _owns(found: Hardware, what: str) -> str:
    number = found.gpus if what == "GPU" else found.cpus
    return f"{found.owner} has {number or 'no'} {what}{'s' if number > 1 else ''}"


def _fewer(most: int) -> str:
    return f"Write workers_per_trial={most}." if most else "Leave gpus_per_trial out to train on CPUs."


def gpus_here() -> int:
    """Return the number of GPUs that this process may use: CUDA stops at the first entry that names none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = len(list(Path("/dev").glob("nvidia[0-9]*"))) or _lent_by_windows()
    if visible is None:
        return present
    return min(present, len([*takewhile(lambda entry: _names(entry.strip(), present), visible.split(","))]))


def _lent_by_windows() -> int:
    """Return the number of GPUs in a Linux within Windows (WSL 2), where none has a file of its own."""
    return usage.gpus_listed() if _WINDOWS.exists() else 0


def _names(entry: str, present: int) -> bool:
    """Whether an entry of CUDA_VISIBLE_DEVICES may name a GPU, where so many are present."""
    return entry.startswith(("GPU-", "MIG-")) or (entry.isdecimal() and int(entry) < present)


def interface_to(host: str) -> str:
    """Return the name of the network interface through which this machine reaches an address."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect((host, 1))  # sends nothing, only chooses
        own = way.getsockname()[0]
    known = psutil.net_if_addrs().items()
    return next(name for name, addresses in known if own in {it.address for it in addresses})


def device_here(device: str) -> str:
    """Return a device, by torch's name for it, if this machine has it, and the CPU otherwise."""
    if device == "cpu":
        return device
    import torch  # takes a second

    return device if torch.cuda.is_available() else "cpu"
