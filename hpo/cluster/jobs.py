"""Searches as jobs of a Ray cluster: they run there, and nobody needs to stay connected."""

from __future__ import annotations

import contextlib
import logging
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import ray
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from hpo.cluster.manners import KEY
from hpo.errors import InputError, Problem, did_you_mean

_PREFIX: Final = "hpo-"
_TALKATIVE: Final = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
_AGAIN: Final = "~"
_PRIORITY: Final = "hpo.priority"
_PATIENCE: Final = {"RAY_JOB_STOP_WAIT_TIME_S": "60"}
"""Ray kills what does not end within 3 seconds, in which no search saves what trains."""
_NO_LEDGER: Final = (
    "hpo: nothing was started, 1 problem: this service keeps no ledger. "
    "Set HPO_STORE, such as postgresql+psycopg://hpo@host/hpo, where its head is started"
)
_LEDGER: Final = (
    f'test -n "$HPO_STORE" || {{ echo {shlex.quote(_NO_LEDGER)} >&2; exit {InputError.exit_code}; }}'
)
"""Without one of its own, a search would write where Ray clears away."""
_UNDER_WAY: Final = ("waiting", "running")
_STATES: Final = {
    JobStatus.PENDING: "waiting",
    JobStatus.RUNNING: "running",
    JobStatus.STOPPED: "stopped",
    JobStatus.SUCCEEDED: "finished",
    JobStatus.FAILED: "failed",
}


class Job(NamedTuple):
    """A search that was submitted, and what became of it; `submitted` in seconds since 1970.

    `priority` is its weight beside others, as it was submitted; `began` whether there is a search of it.
    """

    name: str
    state: str
    reason: str
    submitted: float
    id: str
    priority: float = 1.0
    began: bool = True


class Service:
    """The door of a Ray cluster for those who are not part of it.

    Args:
        address: of its dashboard, such as http://127.0.0.1:8265.

    Raises:
        InputError: nobody answers there, or it does not let us in.
    """

    def __init__(self, address: str) -> None:
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.ERROR)
        self.address = address
        with self._explained():
            self._client = JobSubmissionClient(address)

    def submit(self, name: str, words: Sequence[str], files: Mapping[str, str], priority: float) -> None:
        """Have a command run there that begins a search, in a folder with these files.

        Args:
            name: of the search, by which it is found again.
            words: the command.
            files: texts by their paths.
            priority: its weight beside others, by which it is listed.

        Raises:
            InputError: there is a search of this name, or the service does not take it.
        """
        before = [job for job in self.jobs() if job.name == name]
        if any(job.began for job in before):
            see = f"See it: hpo status service={self.address}. Stop it: {self._stop(name)}"
            on = f"Go on with it: hpo resume {name} service={self.address}"
            message = f"A search of this name was submitted. {see}. {on}. Or choose another name."
            raise InputError(Problem(f"name={name}", message))
        self._start(_id(name, before), words, files, priority)

    def go_on(
        self, name: str, words: Sequence[str], files: Mapping[str, str], priority: float | None
    ) -> None:
        """Have a command run there that goes on with a search, in a folder with these files.

        It has the priority it had if none is given.

        Raises:
            InputError: it runs already, or the service does not take it.
        """
        before = [job for job in self.jobs() if job.name == name]
        if any(job.state in _UNDER_WAY for job in before):
            raise InputError(Problem(name, f"This search is under way. Stop it: {self._stop(name)}"))
        kept = priority or (before[0].priority if before else 1.0)
        self._start(_id(name, before), words, files, kept)

    def _stop(self, name: str) -> str:
        return f"hpo stop {name} service={self.address}"

    def _start(self, job: str, words: Sequence[str], files: Mapping[str, str], priority: float) -> None:
        with self._explained(), tempfile.TemporaryDirectory(prefix="hpo-submit-") as folder:
            for path, text in files.items():
                place = Path(folder, path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8")
            self._client.submit_job(
                entrypoint=f"{_LEDGER}; exec {shlex.join(words)}",
                submission_id=f"{_PREFIX}{job}",
                runtime_env={"working_dir": folder, "env_vars": _PATIENCE},
                metadata={_PRIORITY: f"{priority:g}"},
            )

    def jobs(self) -> list[Job]:
        """Return what was submitted, the latest first."""
        with self._explained():
            found = self._client.list_jobs()
        ours = [job for job in found if (job.submission_id or "").startswith(_PREFIX)]
        return [
            Job(
                str(job.submission_id).removeprefix(_PREFIX).partition(_AGAIN)[0],
                _STATES[job.status],
                reason(job.message or ""),
                (job.start_time or 0) / 1000,
                str(job.submission_id),
                float((job.metadata or {}).get(_PRIORITY, 1.0)),
                _began(job),
            )
            for job in sorted(ours, key=lambda job: job.start_time or 0, reverse=True)
        ]

    def stop(self, name: str) -> bool:
        """Stop a search, which saves what trains; return whether it ran.

        Raises:
            InputError: there is none of this name.
        """
        jobs = self.jobs()
        own = [job for job in jobs if job.name == name]
        if not own:
            message = f"No search of this name was submitted.{did_you_mean(name, {it.name for it in jobs})}"
            raise InputError(Problem(name, message))
        with self._explained():
            return bool(self._client.stop_job(own[0].id))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ray.exceptions.AuthenticationError:
            message = f"The service does not let us in. {KEY}"
            raise InputError(Problem(f"service={self.address}", message)) from None
        except (OSError, RuntimeError, ValueError) as error:
            first = str(error).strip().splitlines()[0]
            raise InputError(Problem(f"service={self.address}", f"The service refused: {first}")) from None


def _id(name: str, before: Sequence[Job]) -> str:
    """Return what a job is called that is about a search, of which there were these before."""
    return f"{name}{_AGAIN}{len(before) + 1}" if before else name


def _began(job: JobDetails) -> bool:
    """Whether there is a search of a job, or soon will be: none where its command was refused or never ran.

    Of one that was stopped only the ledger there knows whether it had come so far.
    """
    if _STATES[job.status] in _UNDER_WAY:
        return True
    refused = job.driver_exit_code == InputError.exit_code
    return not refused and job.driver_node_id is not None and job.status != JobStatus.STOPPED


def reason(message: str) -> str:
    r"""Return what hpo said last of a job, in one line; of one where it said nothing, all that Ray says.

    Ray tells the end of a job's log.

    >>> reason("Job failed, last lines:\ntrial 0 …\nhpo: cnn-1: No trial came to its end.\n")
    'hpo: cnn-1: No trial came to its end.'
    """
    _, mark, last = message.rpartition("\nhpo: ")
    return " ".join((f"hpo: {last}" if mark else message).split())
