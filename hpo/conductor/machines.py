"""What a search has to train on, and what follows from that for its trials."""

from __future__ import annotations

from functools import partial

from hpo.config import Value
from hpo.errors import InputError
from hpo.history import Search
from hpo.machine import hardware
from hpo.machine.hardware import Hardware
from hpo.planning.contradictions import of_other_devices
from hpo.settings import OFF
from hpo.terminal.console import on_stderr
from hpo.terminal.lines import tell


def there_is(search: Search) -> Hardware:
    """Return what a search may train on by now: this machine, or its cluster, which grows and shrinks.

    Raises:
        InputError: there is no such cluster, it does not know us, or it has no CPU.
    """
    address = cluster_of(search)
    if not address:
        return hardware.here()
    from hpo import cluster

    return cluster.capacity(address, partial(tell, on_stderr()))


def shared_out(search: Search, there: Hardware) -> tuple[int, hardware.Share]:
    """Return how many workers train on what there is, and what each of them gets.

    Raises:
        InputError: there is not enough for one.
    """
    workers, gpus = search.settings["workers"], search.settings["gpus_per_trial"]
    return hardware.share_out(
        there,
        workers if isinstance(workers, int) else None,
        gpus if isinstance(gpus, int | float) else None,
        int(search.settings.get("workers_per_trial") or 1),
    )


def cluster_of(search: Search) -> str:
    """Return the address of the Ray cluster that trains; nothing for a Ray of our own on this machine."""
    word = str(search.settings.get("cluster") or OFF)
    return "" if word == OFF else word


def place_of(search: Search) -> str:
    """Return where checkpoints are to lie; nothing for beside the ledger."""
    return str(search.settings.get("checkpoints") or "")


def decided(search: Search, there: Hardware) -> dict[str, Value]:
    """Return what there is to train on decides about a trial's numbers; it stays so for the whole search.

    Raises:
        InputError: there is not enough for one worker, or the budget is in hours of what trains nothing.
    """
    if search.given:
        from hpo.conductor import inprocess

        return inprocess.machine()
    workers, share = shared_out(search, there)
    problems = of_other_devices(str(search.settings.get("budget") or ""), on_gpus=bool(share.gpus))
    if problems:
        raise InputError(*problems)
    beside, threads = hardware.company(there, workers, share)
    held = workers * share.processes * (share.gpus or threads)
    # A shorter lag leaves workers idle while they wait for the slowest; a longer one prunes later.
    lag = {"lag": 2 * workers if workers > 1 else 1} if search.settings["deterministic"] else {}
    device = "cuda" if share.gpus else "cpu"
    crew = {"at_work": workers, "beside": beside, "threads": threads}
    return {**crew, "device": device, "held": held, **lag}
