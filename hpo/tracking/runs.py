"""The runs of one search in MLflow: found by their tags or made, and the requests to them."""

from __future__ import annotations

import gzip
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Run, RunTag
from mlflow.exceptions import MlflowException

from hpo.history import Search, Trial
from hpo.planning.past import PAST, Past
from hpo.tracking import views, wording
from hpo.tracking.wording import Message, milliseconds

BORN: Final = "hpo.created"
CURSOR: Final = "hpo.cursor"
CURSOR_AT: Final = "hpo.cursor_at"
NUMBER: Final = "hpo.trial"
WINNER: Final = "hpo.best_trial"
PICTURED: Final = "hpo.pictured"
PICTURES: Final = "hpo.pictures"
NOTE: Final = "mlflow.note.content"
PARENT: Final = "mlflow.parentRunId"
TRANSCRIPT: Final = "ledger.jsonl.gz"

# Seconds in which one that has made a run too, and sees another, takes its own back.
_PATIENCE: Final = 5.0


def _id(run: Run) -> str:
    return str(run.info.run_id)


class Runs:
    """One parent run and its children; made in the store where they are not there yet.

    `cursor` is the number of the last record that is in, `cursor_at` that number and when it was written, if
    that is known, `pictured` the number of the last one that the pictures show, `status` and `best` what the
    parent run says of the search and its winner.
    """

    def __init__(self, client: MlflowClient, search: Search) -> None:
        self._client, self._name, self._tags = client, search.name, wording.search_tags(search)
        self._experiment = self._find_experiment(search.recipe)
        # Not by its name: many ledgers, each with a cnn-1, may share one MLflow server.
        key = {BORN: wording.born(search)}
        run = self._find_or_create(key, search.name, search.created)
        self.parent, self.status = run.info.run_id, run.info.status
        tags = run.data.tags
        self.best, self._note = int(tags.get(WINNER, -1)), tags.get(NOTE)
        if CURSOR not in tags:
            self._introduce(search, run.data.params)
        self.cursor = int(tags.get(CURSOR, 0))
        self.cursor_at = tuple(tags.get(CURSOR_AT, "").split())
        self.pictured = int(tags.get(PICTURED, 0))
        self._children: dict[int, str] = {}

    def _find_experiment(self, name: str) -> str:
        """Return the experiment of this name; one that was deleted still has the name, and is restored."""
        found = self._client.get_experiment_by_name(name)
        if found and found.lifecycle_stage == LifecycleStage.DELETED:
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id if found else self._client.create_experiment(name))

    def _find(self, key: Mapping[str, str]) -> list[Run]:
        query = " AND ".join(f"tags.`{name}` = '{text}'" for name, text in key.items())
        return list(self._client.search_runs([self._experiment], query))

    def _find_or_create(
        self, key: Mapping[str, str], name: str, at: float, tags: Mapping[str, str] | None = None
    ) -> Run:
        """Return the one run with these tags.

        MLflow cannot make a run only if there is none, and `hpo sync` may be at it at the same time.
        """
        while not (found := self._find(key)):
            made = self._client.create_run(
                self._experiment,
                start_time=milliseconds(at),
                tags={**self._tags, **key, **(tags or {})},
                run_name=name,
            )
            if self._stays(made, key):
                return made
            self._client.delete_run(made.info.run_id)
        return min(found, key=_id)

    def _stays(self, made: Run, key: Mapping[str, str]) -> bool:
        """Decide between two who have just made the same run: has the other one taken its own back?

        The second at least sees both. Where both do, the first by its id stays: it waits until the other is
        gone, for who takes a run over must not lose it. An other that stays had not seen this one.
        """
        until = time.monotonic() + _PATIENCE
        while len(found := self._find(key)) > 1:
            if min(found, key=_id).info.run_id != made.info.run_id or time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def _introduce(self, search: Search, known: Mapping[str, str]) -> None:
        """Say what the search is; parameters that are known stay, since MLflow lets none change."""
        message = Message()
        past = Past.of(search.settings)
        told = {PAST: past.sources} if past else {}
        words = {**search.settings, **told, "objective": str(search.objective)}
        message.configure({name: value for name, value in words.items() if name not in known})
        message.tag(
            {"hpo.versions": json.dumps(dict(search.versions)), "hpo.objective": str(search.objective)}
        )
        self._present(search)
        self.tell(self.parent, message)
        self.write({Path(search.path).name: search.source, "space.yaml": search.space})

    def _present(self, search: Search) -> None:
        """Have the pages of the experiment show what matters first; a description of someone else's stays."""
        tags = views.experiment_tags(search)
        if NOTE not in self._client.get_experiment(self._experiment).tags:
            tags[NOTE] = views.links(self._experiment)
        for name, text in tags.items():
            try:
                self._client.set_experiment_tag(self._experiment, name, text)
            except MlflowException:  # another uploader made it just now
                self._client.set_experiment_tag(self._experiment, name, text)

    def child(self, trial: Trial) -> str:
        """Return the run of a trial; the first call for it makes it, if the store has none."""
        if trial.number not in self._children:
            key = {PARENT: self.parent, NUMBER: str(trial.number)}
            name = f"{self._name}/{trial.number:03d} {wording.gist(trial.proposal.config)}".strip()
            origin = {"hpo.origin": trial.proposal.origin}
            run = self._find_or_create(key, name, trial.proposal.at, origin)
            self._children[trial.number] = run.info.run_id
        return self._children[trial.number]

    def tell(self, run: str, message: Message) -> None:
        """Send a message; the client cuts it to the sizes that a server takes."""
        tags = [RunTag(name, text) for name, text in message.tags.items()]
        # Synchronous in so many words: MLFLOW_ENABLE_ASYNC_LOGGING=true would make it forget on errors.
        self._client.log_batch(run, message.metrics, message.params, tags, synchronous=True)
        if message.status:
            self.set_status(run, message.status, message.ended)

    def set_status(self, run: str, status: str, at: float) -> None:
        """Say how a run stands, and since when."""
        if status == "RUNNING":
            self._client.update_run(run, status)
        else:
            self._client.set_terminated(run, status, milliseconds(at))

    def write(self, files: Mapping[str, str]) -> None:
        """Keep texts as files of the parent run."""
        for name, text in files.items():
            self._client.log_text(self.parent, text, name)

    def keep_transcript(self, text: str) -> None:
        """Keep the whole search as a file, from which a ledger can be made again."""
        with tempfile.TemporaryDirectory(prefix="hpo-transcript-") as folder:
            path = Path(folder, TRANSCRIPT)
            path.write_bytes(gzip.compress(text.encode(), mtime=0))
            self._client.log_artifact(self.parent, str(path))

    def hang(self, told: str, folder: Path, seq: int) -> None:
        """Keep a folder's files, which show all records up to this one, and what was told of its pictures."""
        self._client.log_artifacts(self.parent, str(folder))
        message = Message()
        message.tag({PICTURES: told, PICTURED: str(seq)})
        self.tell(self.parent, message)
        self.pictured = seq

    def crown(self, trial: Trial) -> None:
        """Name the winner. Its configuration is one tag: many would go stale when another one wins."""
        config = trial.proposal.config
        self.write({"best_config.json": json.dumps(dict(config), indent=2) + "\n"})
        message = Message()
        message.tag({"hpo.best_config": config.to_json(), WINNER: str(trial.number)})
        self.tell(self.parent, message)
        self.best = trial.number

    def describe(self, note: str) -> None:
        """Set the text that MLflow shows above the search, if it is another one."""
        if note != self._note:
            self._client.set_tag(self.parent, NOTE, note, synchronous=True)
            self._note = note

    def move_cursor(self, seq: int, at: float) -> None:
        """Note that all records up to this one are in, and when it was written."""
        message = Message()
        message.tag({CURSOR: str(seq), CURSOR_AT: f"{seq} {at!r}"})
        self.tell(self.parent, message)
