"""Ray: places cohorts on workers, one Ray Tune trial each, and hosts the referee. Nothing else imports it.

The only thing that Tune decides is *where* and *when* a cohort trains. What it trains and for how long is
between the worker and the referee, which speak directly. Tune's own search, schedulers, loggers and
checkpoints are off.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

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

from hpo.errors import HpoError, InputError, Problem, SearchError
from hpo.line import Line
from hpo.trial import Divergence, Ending, Point, Proposal

# How long a report may wait to become durable; it is answered at once.
_FLUSH_SECONDS: Final = 0.03
_PATIENCE_SECONDS: Final = 10.0
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
    """What one worker gets of the machines."""

    cpus: float
    gpus: float


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


Work = Callable[[str, Line], None]


def machine(workers: int | None, gpus_per_trial: float | None) -> tuple[int, Share]:
    """Return how many workers this machine takes, and what each of them gets.

    Args:
        workers: as many as this; None: as many as there are CPUs, or shares of the GPUs.
        gpus_per_trial: what each gets of the GPUs; None: a whole one, if there is one.

    Raises:
        InputError: there are not enough GPUs.
    """
    gpus = _gpus()
    share = gpus_per_trial or (1.0 if gpus else 0.0)
    if share > gpus:
        found = f"{gpus} GPUs" if gpus else "no GPU"
        message = f"This machine has {found}. Leave the word out to train on CPUs."
        raise InputError(Problem(f"gpus_per_trial={share:g}", message))
    if workers is None:
        workers = max(1, int(gpus / share)) if share else cpus()
    return workers, Share(cpus=1.0, gpus=share)


def cpus() -> int:
    """The number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> int:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return present if visible is None else min(present, len([it for it in visible.split(",") if it.strip()]))


@contextlib.contextmanager
def local(workers: int) -> Iterator[None]:
    """Run a Ray of our own on this machine, on loopback, with its files in a folder that goes with it."""
    folder = tempfile.mkdtemp(prefix="hpo-")
    importing = threading.Thread(target=_import_tune)
    importing.start()  # Ray's processes take as long to start as Tune takes to import
    umask = os.umask(0o077)  # Ray writes its access token readable for all
    try:
        ray.init(
            address="local",
            num_cpus=max(workers, cpus()),
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
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _import_tune() -> None:
    import ray.tune  # noqa: F401


def train(make: Callable[[], Referee], work: Work, workers: int, share: Share, *, resumed: bool) -> None:
    """Train cohorts until the referee has no more; return when the last is done and durable.

    Args:
        make: makes the referee, in a process of its own on this machine.
        work: trains a cohort, given its name and a line to the referee, in a worker.
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
    resources = {"cpu": share.cpus, "gpu": share.gpus}
    trainable = tune.with_parameters(_trainable(), work=work, host=host)
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

        def setup(self, config: dict[str, Any], work: Any, host: Any) -> None:  # type: ignore[override]
            self.work, self.line = work, Line(functools.partial(_call, host))
            self.cohort: str = config["cohort"]

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.cohort = new_config["cohort"]
            return True

        def step(self) -> dict[str, Any]:
            self.work(self.cohort, self.line)
            return {"done": True}

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
