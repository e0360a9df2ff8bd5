"""Ray: places cohorts on workers, one Ray Tune trial each, and hosts the referee. Nothing else imports it.

The only thing that Tune decides is *where* and *when* a cohort trains. What it trains and for how long is
between the worker and the referee, which speak directly. Tune's own search, schedulers, loggers and
checkpoints are off.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

# Ray reads these when it is imported or started.
os.environ.update(
    RAY_USAGE_STATS_ENABLED="0",
    RAY_AIR_NEW_OUTPUT="0",
    RAY_CHDIR_TO_TRIAL_DIR="0",  # a recipe finds its files where the search was started
    RAY_TQDM_PATCH_PRINT="0",
    TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
    TUNE_DISABLE_SIGINT_HANDLER="1",
    TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S="0",
)

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from hpo.errors import HpoError, InputError, Problem, SearchError
from hpo.line import Line
from hpo.trial import Divergence, Ending, Point, Proposal

# How long a report may wait to become durable; it is answered at once.
_FLUSH_SECONDS: Final = 0.03
_PATIENCE_SECONDS: Final = 10.0
_GRACE_SECONDS: Final = 5.0  # that peers have to end when their trial has failed
_VAIN: Final = 3  # so many workers that fail before they train, and the cause is not in the trials
_DEATH: Final = "its worker died"
_OBJECT_STORE_BYTES: Final = 128 * 2**20


class Referee(Protocol):
    """What is hosted here: see `hpo.referee.Referee`."""

    @property
    def ready(self) -> bool:
        """Whether there is a trial to hand out now."""

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left to train."""

    def ask(self, cohort: str, size: int) -> list[Proposal]:
        """Return trials for a cohort."""

    def attempt(self, cohort: str, trials: Collection[int], worker: str, notes: Mapping[str, Any]) -> None:
        """Note who trains these trials, and in what way."""

    def report(self, reports: Sequence[Point | Divergence]) -> list[int]:
        """Return the trials that go on."""

    def tell(self, endings: Sequence[Ending]) -> None:
        """Take in how trials ended."""

    def lost(self, cohort: str, reason: str) -> bool:
        """Take in that a cohort's worker died; return whether it had trials."""

    def reclaim(self, alive: Collection[str], reason: str) -> None:
        """Take in which cohorts have a worker; hand out again what others had."""

    def requeue(self) -> None:
        """Hand out again what was under way."""

    def flush(self) -> None:
        """Make everything answered so far durable."""


@dataclass(frozen=True)
class Share:
    """What a trial gets of the machines: so many processes, each with so much."""

    cpus: float
    gpus: float
    processes: int = 1


class _Host:
    """The referee as a Ray actor: one thread, and commits in groups beside it.

    A report is answered from memory (`hpo.line` says why nothing is lost by that), unless it ends a trial.
    That, an ask, an attempt, a telling or a loss is answered once it is durable; whatever arrives while one
    commit is under way goes into the next.
    """

    def __init__(self, make: Callable[[], Referee]) -> None:
        self._referee = make()
        self._commit: asyncio.Task[None] | None = None
        self._later: asyncio.Task[None] | None = None

    async def requeue(self) -> None:
        self._referee.requeue()

    async def outlook(self, alive: list[str]) -> tuple[bool, bool]:
        self._referee.reclaim(alive, _DEATH)
        self._soon()
        return self._referee.ready, self._referee.exhausted

    async def ask(self, cohort: str, size: int) -> list[Proposal]:
        trials = self._referee.ask(cohort, size)
        await self._durable()
        return trials

    async def attempt(self, cohort: str, trials: list[int], worker: str, notes: Mapping[str, Any]) -> None:
        self._referee.attempt(cohort, trials, worker, notes)
        await self._durable()

    async def report(self, reports: list[Point | Divergence]) -> list[int]:
        kept = self._referee.report(reports)
        if len(kept) < len(reports):
            await self._durable()  # a trial has ended, and its worker will not speak of it again
        self._soon()
        return kept

    async def tell(self, endings: list[Ending]) -> None:
        self._referee.tell(endings)
        await self._durable()

    async def lost(self, cohort: str, reason: str) -> bool:
        had_trials = self._referee.lost(cohort, reason)
        await self._durable()
        return had_trials

    async def flush(self) -> None:
        await self._durable()

    async def _durable(self) -> None:
        if self._commit and not self._commit.done():
            await self._commit  # it began before this was appended, so it may not hold it
        if not self._commit or self._commit.done():
            self._commit = asyncio.create_task(asyncio.to_thread(self._referee.flush))
        await self._commit

    def _soon(self) -> None:
        if not self._later or self._later.done():
            self._later = asyncio.create_task(self._flush_later())

    async def _flush_later(self) -> None:
        await asyncio.sleep(_FLUSH_SECONDS)
        await self._durable()


class _Peer:
    """A process that takes part in a trial which another one leads."""

    def __init__(self) -> None:
        import hpo.peers  # noqa: F401 - torch takes its time, and the leader imports it meanwhile

    def do(self, task: Callable[[int], None], rank: int) -> None:
        task(rank)


class _Crew:
    """The peers of this process: see `hpo.peers.Crew`. They go when it goes."""

    def __init__(self, share: Share) -> None:
        self._share, self.size = share, share.processes
        self.address = _address()
        self._peers = {rank: self._hire(rank) for rank in range(1, self.size)}
        self._tasks: dict[int, Any] = {}

    def _hire(self, rank: int) -> Any:
        """Start a peer in its bundle of this Tune trial, of which the first is that of this process."""
        kind: Any = ray.remote(_Peer)
        group: Any = ray.util.get_current_placement_group()
        place = PlacementGroupSchedulingStrategy(group, rank)
        return kind.options(
            num_cpus=self._share.cpus, num_gpus=self._share.gpus, scheduling_strategy=place
        ).remote()

    def start(self, task: Callable[[int], None]) -> None:
        self._tasks = {rank: peer.do.remote(task, rank) for rank, peer in self._peers.items()}

    def dead(self) -> list[int]:
        tasks = list(self._tasks.values())
        ray.wait(tasks, num_returns=len(tasks), timeout=_GRACE_SECONDS)
        return [rank for rank, task in self._tasks.items() if _state(task) == "dead"]

    def renew(self) -> None:
        for rank, task in self._tasks.items():
            if _state(task) != "done":
                ray.kill(self._peers[rank])
                self._peers[rank] = self._hire(rank)

    def dismiss(self) -> None:
        for peer in self._peers.values():
            ray.kill(peer)


def _address() -> str:
    """Return where this trial's other workers reach this one: loopback as long as there is one machine."""
    alone = len(ray.nodes()) == 1  # type: ignore[no-untyped-call]
    return "127.0.0.1" if alone else str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]


def _state(task: Any) -> Literal["done", "dead", "at work"]:
    """Say what became of a peer's task; an error in it, as of a line that broke, leaves the peer sound."""
    try:
        ray.get(task, timeout=0)
    except ray.exceptions.GetTimeoutError:
        return "at work"
    except ray.exceptions.RayActorError:
        return "dead"
    except ray.exceptions.RayTaskError:
        return "done"
    return "done"


Work = Callable[[str, Line, _Crew], None]


def machine(
    workers: int | None, gpus_per_trial: float | None, workers_per_trial: int = 1
) -> tuple[int, Share]:
    """Return how many trials this machine trains at once, and what each of them gets.

    Args:
        workers: as many as this; None: as many as there are CPUs, or shares of the GPUs.
        gpus_per_trial: what each gets of the GPUs; None: one for each of its workers, if there are any.
        workers_per_trial: how many processes train each.

    Raises:
        InputError: there are not enough GPUs or CPUs.
    """
    gpus = _gpus()
    share = gpus_per_trial or float(workers_per_trial if gpus else 0)
    problem = _too_much(workers_per_trial, share, gpus)
    if problem:
        raise InputError(problem)
    if workers is None:
        workers = max(1, int(gpus / share)) if share else cpus() // workers_per_trial
    return workers, Share(cpus=1.0, gpus=share / workers_per_trial, processes=workers_per_trial)


def _too_much(processes: int, share: float, gpus: int) -> Problem | None:
    """Say what this machine lacks for a trial of so many processes, with so much of its GPUs."""
    together = f"workers_per_trial={processes}"
    if share and processes > 1 and share != processes:
        message = f"Each of the {processes} workers of a trial trains on one GPU. Leave the word out."
        return Problem(f"gpus_per_trial={share:g}", message)
    if share > gpus and processes > 1:
        message = f"This machine has {_counted(gpus, 'GPU')}, and each worker takes one. {_fewer(gpus)}"
        return Problem(together, message)
    if share > gpus:
        message = f"This machine has {_counted(gpus, 'GPU')}. Leave the word out to train on CPUs."
        return Problem(f"gpus_per_trial={share:g}", message)
    if processes > cpus():
        message = f"This machine has {_counted(cpus(), 'CPU')}, and each worker takes one. {_fewer(cpus())}"
        return Problem(together, message)
    return None


def _counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'s' if number > 1 else ''}"


def _fewer(most: int) -> str:
    return f"Write workers_per_trial={most}." if most else "Leave gpus_per_trial out to train on CPUs."


def cpus() -> int:
    """The number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> int:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return present if visible is None else min(present, len([it for it in visible.split(",") if it.strip()]))


@contextlib.contextmanager
def local(processes: int) -> Iterator[None]:
    """Run a Ray of our own on this machine, on loopback, with its files in a folder that goes with it.

    There is room for so many processes, one for each CPU at least.
    """
    folder = tempfile.mkdtemp(prefix="hpo-")
    importing = threading.Thread(target=_import_tune)
    importing.start()  # Ray's processes take as long to start as Tune takes to import
    umask = os.umask(0o077)  # Ray writes its access token readable for all
    try:
        ray.init(
            address="local",
            num_cpus=max(processes, cpus()),
            num_gpus=_gpus(),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=_OBJECT_STORE_BYTES,
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
        )
        os.umask(umask)
        importing.join()
        yield
    finally:
        os.umask(umask)
        _shut_down()
        shutil.rmtree(folder, ignore_errors=True)


def _shut_down() -> None:
    """Shut Ray down, with no garbage collection meanwhile.

    Ray ends the whole process if one of its references is given back while it shuts down, which the
    collector may do in any thread that happens to set it off.
    """
    gc.collect()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        gc.enable()


def _import_tune() -> None:
    import ray.tune  # noqa: F401


def train(make: Callable[[], Referee], work: Work, workers: int, share: Share, *, resumed: bool) -> None:
    """Train cohorts until the referee has no more; return when the last is done and durable.

    Args:
        make: makes the referee, in a process of its own on this machine.
        work: trains a cohort, given its name, a line to the referee and the worker's peers, in a worker.
        workers: how many cohorts train at once.
        share: what each of them gets.
        resumed: whether trials that were under way before are to be handed out again.
    """
    host: Any = ray.remote(_Host).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote(make)
    if resumed:
        ray.get(host.requeue.remote())
    try:
        _fit(host, work, workers, share)
    except BaseException:
        _flush_what_is_left(host)
        raise
    _flush(host)


def _flush_what_is_left(host: Any) -> None:
    """After an error: a referee that cannot write is its cause, and told; one that is dead came of it."""
    try:
        _flush(host)
    except HpoError:
        raise
    except RayError:
        return


def _flush(host: Any) -> None:
    ray.get(host.flush.remote(), timeout=_PATIENCE_SECONDS)


def _fit(host: Any, work: Work, workers: int, share: Share) -> None:
    from ray import tune

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what went wrong is told by its ending
    resources = tune.PlacementGroupFactory([{"CPU": share.cpus, "GPU": share.gpus}] * share.processes)
    trainable = tune.with_parameters(_trainable(), work=work, host=host, share=share)
    asking = _asking(host, workers)
    with tempfile.TemporaryDirectory(prefix="hpo-tune-") as folder:
        results = tune.Tuner(
            tune.with_resources(trainable, resources),
            tune_config=tune.TuneConfig(
                search_alg=asking, num_samples=-1, max_concurrent_trials=workers, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                name="cohorts",
                storage_path=folder,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()
    if asking.in_vain >= _VAIN:
        cause = str(results.errors[-1]).strip().splitlines()[-1]
        raise SearchError(f"Workers fail before they take up a trial: {cause}")


def _call(host: Any, method: str, *arguments: object) -> Any:
    return ray.get(getattr(host, method).remote(*arguments))


def _trainable() -> type:
    from ray import tune

    class Cohort(tune.Trainable):
        """One Tune trial: a cohort, trained from its first epoch to its last in one step."""

        def setup(  # type: ignore[override]
            self, config: dict[str, Any], work: Any, host: Any, share: Share
        ) -> None:
            self.work, self.line, self.crew = work, Line(functools.partial(_call, host)), _Crew(share)
            self.cohort: str = config["cohort"]

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.cohort = new_config["cohort"]
            return True

        def step(self) -> dict[str, Any]:
            self.work(self.cohort, self.line, self.crew)
            return {"done": True}

        def cleanup(self) -> None:
            self.crew.dismiss()

    return Cohort


def _asking(host: Any, workers: int) -> Any:
    from ray.tune.search import Searcher

    class Asking(Searcher):
        """Passes Tune's question for work on to the referee, and tells it whose worker died."""

        def __init__(self) -> None:
            super().__init__(metric="done", mode="max")
            self.suggested = 0
            self.alive: set[str] = set()  # cohorts that have a worker, or are about to
            self.in_vain = 0  # workers in a row that failed with no trial in hand

        def suggest(self, trial_id: str) -> Any:
            self.suggested += 1
            if self.in_vain >= _VAIN:
                return Searcher.FINISHED
            # The first workers need not wait for the referee to start: they load torch meanwhile.
            first = self.suggested <= workers
            ready, exhausted = (True, False) if first else ray.get(host.outlook.remote(list(self.alive)))
            if ready:
                self.alive.add(trial_id)
                return {"cohort": trial_id}
            return Searcher.FINISHED if exhausted else None

        def on_trial_complete(
            self,
            trial_id: str,
            result: dict[str, Any] | None = None,  # noqa: ARG002 - Tune's own signature
            error: bool = False,  # noqa: FBT001, FBT002
        ) -> None:
            self.alive.discard(trial_id)
            had_trials = error and ray.get(host.lost.remote(trial_id, _DEATH))
            self.in_vain = self.in_vain + 1 if error and not had_trials else 0

        def save(self, checkpoint_path: str) -> None:
            """Save nothing: the ledger has it all."""
            Path(checkpoint_path).touch()

        def restore(self, checkpoint_path: str) -> None:
            """Restore nothing: Tune's own resume is not used."""

    return Asking()
