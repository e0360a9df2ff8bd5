"""Uploading a search to MLflow, batch by batch, from where the last upload ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mlflow import MlflowClient

from hpo.errors import HpoError
from hpo.history import History, Search, State
from hpo.results import transcript
from hpo.tracking import wording
from hpo.tracking.pictures import hang
from hpo.tracking.places import default_uri
from hpo.tracking.runs import Runs
from hpo.tracking.source import Source
from hpo.tracking.wording import STATUS, Message
from hpo.trial import Ending, Forecast, Proposal, Record

# Records between two moves of the cursor: few enough to repeat after a crash, enough to share requests.
BATCH: Final = 1000


class Tracker:
    """Brings the runs of one search level with the ledger, as often as it is asked to.

    MLflow's errors are raised as they are. After one, the next call starts from what the store says it has.
    """

    def __init__(self, source: Source, name: str, uri: str = "") -> None:
        self._source, self._name, self._uri = source, name, uri or default_uri()
        self._mirror: Mirror | None = None
        self._session: int | None = None
        self.over = False

    def upload(self) -> int:
        """Send everything new; return the number of records that were sent."""
        return sum(self.batches())

    def batches(self) -> Iterator[int]:
        """Send everything new, batch by batch; yield the size of each one that is in.

        `over` says whether the search was over when this began; if so, all of it is in at the end. It is
        over for this tracker as well, and nothing is sent, if another session has begun: that has its own.
        """
        # The state first: a search that is over writes nothing more, so the records read after it are all.
        search = self._source.search(self._name)
        if self._session not in (None, search.session):
            self.over = True
            return
        self._session, self.over = search.session, search.state is not State.RUNNING
        # Kept again only when all went well.
        mirror, self._mirror = self._mirror or self._open(search), None
        records = self._source.records(search, mirror.seq)
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            self._note(search, mirror.seq)
            mirror.send(batch)
            yield len(batch)
        mirror.settle(search)
        self._note(search, mirror.seq)
        mirror.illustrate(search)
        self._mirror = mirror

    def _note(self, search: Search, seq: int) -> None:
        if seq != search.uploaded:
            self._source.note_uploaded(search, seq)

    def _open(self, search: Search) -> Mirror:
        runs = Runs(MlflowClient(self._uri), search)
        records = self._source.records(search)
        _demand_same(search, runs, records)
        mirror = Mirror(search, runs)
        mirror.recall(record for record in records if record.seq <= runs.cursor)
        return mirror


def _demand_same(search: Search, runs: Runs, records: Sequence[Record]) -> None:
    """Refuse to mix with what another copy of the ledger has sent, which went on by itself.

    Raises:
        HpoError: MLflow has records that are not in this ledger.
    """
    known = {str(record.seq): repr(record.at) for record in records}
    seq, at = runs.cursor_at or ("", None)
    if runs.cursor <= len(records) and known.get(seq) == at:
        return
    name = search.name
    message = f"MLflow has {runs.cursor} records of {name}, and not all of them are in this ledger, which has"
    remedy = (
        f"See what MLflow has: hpo fetch {name} to=…. Or delete its run there: hpo sync {name} writes it anew"
    )
    raise HpoError(f"{message} {len(records)}: another copy went on with it. Nothing was sent. {remedy}")


class Mirror:
    """What is in MLflow of one search: its trials as they were sent, and the runs that show them."""

    def __init__(self, search: Search, runs: Runs) -> None:
        self._runs, self._history = runs, History(search.objective)
        self._at = search.created
        self._settled = False

    @property
    def seq(self) -> int:
        """The number of the last record that is in."""
        return self._history.seq

    def recall(self, records: Iterable[Record]) -> None:
        """Take in records that were sent before."""
        for record in records:
            self._history.add(record)
            self._at = record.at

    def send(self, records: list[Record]) -> None:
        """Send records, and only then move the cursor behind them."""
        self._settled = False
        parent, children = Message(), defaultdict[int, Message](Message)
        for record in records:
            self._translate(record, parent, children)
        for number, message in children.items():
            self._runs.tell(self._runs.child(self._history.trials[number]), message)
        self._crown()
        self._runs.tell(self._runs.parent, parent)
        self._runs.move_cursor(self.seq, self._at)

    def _translate(self, record: Record, parent: Message, children: defaultdict[int, Message]) -> None:
        self.recall([record])
        if isinstance(record, Forecast):
            return  # MLflow knows trials
        number = record.number if isinstance(record, Proposal) else record.trial
        wording.tell_trial(children[number], record, self._history.trials[number], self._history.objective)
        if isinstance(record, Ending):
            wording.tell_search(parent, record, self._history)

    def _crown(self) -> None:
        best = self._history.best
        if best is not None and best.number != self._runs.best:
            self._runs.crown(best)

    def settle(self, search: Search) -> None:
        """Say where the search stands; while it stands still, no trial of it is shown as running."""
        self._runs.describe(wording.note(search, self._history))
        status = STATUS[search.state]
        if status != self._runs.status or (status != "RUNNING" and not self._settled):
            if status != "RUNNING":  # before MLflow shows it as ended, all is there
                self._runs.keep_transcript(transcript.write(search, self._history.records))
            self._set_status(status)
        self._settled = True

    def illustrate(self, search: Search) -> None:
        """Show pictures of a search that is over."""
        hang(search, self._history, self._runs)

    def _set_status(self, status: str) -> None:
        under_way = "RUNNING" if status == "RUNNING" else "KILLED"
        for trial in self._history.running:
            self._runs.set_status(self._runs.child(trial), under_way, self._at)
        self._runs.set_status(self._runs.parent, status, self._at)
        self._runs.status = status
