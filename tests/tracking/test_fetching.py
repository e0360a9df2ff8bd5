"""A search comes back from MLflow whole: nothing else of it is needed to look at it, replay it and go on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import Workers, mirrored, referee, run, started

from hpo import cli
from hpo.config import Config
from hpo.errors import HpoError
from hpo.history import History, Search, State
from hpo.ledger import Ledger, time_used
from hpo.ledger.meter import note_time_used
from hpo.recipe import Objective
from hpo.results import transcript
from hpo.tracking import sync
from hpo.trial import Attempt, Ending, Outcome, Point, Proposal, Record

if TYPE_CHECKING:
    from conftest import Tape

EPOCHS = 3
THERE, HERE = "sqlite:///hpo.db", "sqlite:///here.db"
SEARCH = Search(
    name="cnn-1",
    recipe="cnn",
    path="recipes/cnn.py",
    source="epochs = 3\n",
    space="optimizer.lr: 0.1\n",
    objective=Objective("maximize", "accuracy", ("memory", "seconds")),
    settings={"trials": 4, "seed": 7, "pruner": None, "timeout": 0.1},
    versions={"torch": "2.13.0"},
    created=1_700_000_000.123,
    state=State.FAILED,
    reason="no trial came to its end",
)

texts = st.text(max_size=20)
numbers = st.floats()
counts = st.integers(0, 2**40)
notes = st.dictionaries(texts, numbers | texts | st.none() | st.booleans() | st.lists(counts), max_size=3)
configs = st.dictionaries(texts, st.none() | st.booleans() | counts | texts, max_size=4).map(Config)
metrics = st.dictionaries(texts, numbers, max_size=3)
scores = st.none() | numbers
records = st.one_of(
    st.builds(Proposal, counts, configs, texts, notes, st.dictionaries(texts, texts), notes, texts, numbers),
    st.builds(Attempt, counts, texts, texts, notes, numbers, counts),
    st.builds(Point, counts, counts, *[numbers] * 7, metrics, *[numbers] * 3, notes, numbers, counts),
    st.builds(Ending, counts, st.sampled_from(Outcome), texts, scores, notes, numbers, counts),
)


@settings(max_examples=50)
@given(st.lists(records, max_size=6))
def test_what_is_written_down_is_read_again(written: list[Record]) -> None:
    search, found = transcript.read(transcript.write(SEARCH, written))
    assert search == SEARCH
    assert repr(found) == repr(written)  # in which NaN looks like itself


def test_what_a_newer_hpo_wrote_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = transcript.write(SEARCH, [])
    monkeypatch.setattr(transcript, "VERSION", 0)
    with pytest.raises(HpoError, match="A newer hpo wrote this"):
        transcript.read(text)


@pytest.fixture(scope="module")
def sent(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a search of a real referee, cnn-1, stopped when its trials had ended, and its MLflow."""
    folder = tmp_path_factory.mktemp("sent")
    shutil.copy(template, folder / "mlflow.db")
    # Once a search is finished, tracking draws pictures, which takes long.
    mirrored(folder, EPOCHS, State.INTERRUPTED, "trials=8", "seed=2", "confirm_seeds=2")
    return folder


@pytest.fixture
def whole_search(sent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of that search, in a folder of one's own with a copy of its MLflow."""
    for name in ("hpo.db", "mlflow.db"):
        shutil.copy(sent / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return "cnn-1"


def send(name: str) -> None:
    ledger = Ledger(THERE)
    ledger.close_session(1, State.INTERRUPTED, "stopped by hand")
    sync(ledger, name, f"sqlite:///{Path.cwd()}/mlflow.db")
    ledger.close()


def hpo(*words: str) -> int:
    return cli.main([*words, f"store={HERE}"])


def fetch(*words: str) -> int:
    return hpo("fetch", *words, f"tracking=sqlite:///{Path.cwd()}/mlflow.db")


def known(store: str, name: str) -> tuple[Search, list[Record]]:
    ledger = Ledger(store)
    search = ledger.search(name)
    found = search, ledger.records(search)
    ledger.close()
    return found


def test_the_search_comes_back_as_it_was(whole_search: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch(whole_search) == 0
    assert f"hpo show {whole_search} store={HERE}" in capsys.readouterr().out
    (before, there), (now, here) = known(THERE, whole_search), known(HERE, whole_search)
    assert repr(here) == repr(there)
    of_a_ledger = {name: getattr(before, name) for name in ("id", "session", "uploaded", "ran")}
    assert replace(now, **of_a_ledger) == before
    assert now.uploaded == there[-1].seq


def test_it_is_audited_and_replayed_from_mlflow_alone(whole_search: str) -> None:
    Path("hpo.db").unlink()
    assert fetch(whole_search) == 0
    assert hpo("replay", whole_search) == 0
    assert hpo("audit", whole_search, f"tracking=sqlite:///{Path.cwd()}/mlflow.db") == 0


def test_an_interrupted_one_goes_on_where_it_stood(uri: str) -> None:
    name = started(THERE, f"epochs={EPOCHS}", "trials=8")
    judge = referee(THERE, name)
    workers = Workers(1, EPOCHS)
    for _ in range(9):
        workers.turn(judge, 0)
    judge.flush()
    send(name)
    assert fetch(name) == 0
    search, here = known(HERE, name)
    assert (search.state, search.reason) == (State.INTERRUPTED, "stopped by hand")
    again = referee(HERE, name)
    again.requeue()
    run(HERE, name, Workers(1, EPOCHS), judge=again)
    search, whole = known(HERE, name)
    history = History(search.objective, whole)
    assert whole[: len(here)] == here
    assert len(history.searched) == 8
    assert not history.running


def test_what_it_used_of_its_time_is_used_up_here_too(uri: str) -> None:
    name = started(THERE, f"epochs={EPOCHS}", "trials=8", "timeout=20m")
    judge = referee(THERE, name)
    workers = Workers(1, EPOCHS)
    for _ in range(9):
        workers.turn(judge, 0)
    judge.flush()
    ledger = Ledger(THERE)
    note_time_used(ledger, ledger.search(name).session, 900.0, devices=1)
    ledger.close()
    send(name)
    assert fetch(name) == 0
    search, _ = known(HERE, name)
    ledger = Ledger(HERE)
    assert time_used(ledger, search.session, of_devices=False) == (0.0, 900.0)
    ledger.close()


def test_a_copy_from_before_the_search_went_on_is_told(
    tape: Tape, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = list(tape.tape)
    tape.tape, tape.state = whole[:8], State.INTERRUPTED
    sync(tape, tape.name, uri)
    tape.tape, tape.state, tape.session = whole, State.RUNNING, 2
    sync(tape, tape.name, uri)
    assert fetch(tape.name) == 0
    assert (
        f"8 records of MLflow's are in the ledger, of {len(whole)}: the search went on"
        in capsys.readouterr().out
    )


@pytest.mark.slow
def test_a_trial_is_trained_again_with_no_ledger_but_mlflow(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's own store, in this folder, is all that is left of a training."""
    monkeypatch.setenv("HPO_STORE", THERE)
    assert cli.main(["train", "recipe=linear", "epochs=2"]) == 0
    assert cli.main(["sync", "linear-1"]) == 0
    shutil.rmtree(tmp_path / "hpo.db.checkpoints")
    for path in tmp_path.glob("hpo.db*"):
        path.unlink()
    assert hpo("fetch", "linear-1") == 0
    assert hpo("replay", "linear-1", "trial=0") == 0


class TestRefused:
    """What cannot be brought back is told, with what can be done."""

    @pytest.fixture(autouse=True)
    def nothing_written(self, uri: str) -> Any:
        """Have each refusal leave no ledger."""
        yield
        assert not Path("here.db").exists()

    def test_a_name_that_is_not_there(self, tape: Tape, capsys: pytest.CaptureFixture[str]) -> None:
        sync(tape, tape.name, f"sqlite:///{Path.cwd()}/mlflow.db")
        assert fetch("cnn-2") == 2
        said = capsys.readouterr().err
        assert "no search of this name in MLflow at sqlite:///" in said
        assert "Did you mean cnn-1?" in said

    def test_a_store_that_is_not_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("mlflow.db").unlink()
        assert fetch("cnn-1") == 2
        assert f"MLflow has no store here, in {Path.cwd()}/mlflow.db. Name" in capsys.readouterr().err
        assert not Path("mlflow.db").exists()

    def test_one_that_is_under_way(self, tape: Tape, capsys: pytest.CaptureFixture[str]) -> None:
        sync(tape, tape.name, f"sqlite:///{Path.cwd()}/mlflow.db")
        assert fetch(tape.name) == 2
        assert "when it has ended: hpo sync cnn-1" in capsys.readouterr().err

    def test_two_of_one_name(
        self, tape: Tape, new_tape: type[Tape], capsys: pytest.CaptureFixture[str]
    ) -> None:
        for it in (tape, new_tape(created=tape.created + 1)):
            sync(it, it.name, f"sqlite:///{Path.cwd()}/mlflow.db")
        assert fetch(tape.name) == 2
        assert "MLflow has 2 searches of this name" in capsys.readouterr().err


def test_a_name_that_is_taken_is_refused_and_another_one_is_not(
    whole_search: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(whole_search) == 0
    assert fetch(whole_search) == 2
    assert "There is a search of this name" in capsys.readouterr().err
    assert fetch(whole_search, "to=theirs") == 0
    assert known(HERE, "theirs")[1] == known(THERE, whole_search)[1]


def test_of_two_of_one_name_the_run_says_which(
    whole_search: str, tape: Tape, capsys: pytest.CaptureFixture[str]
) -> None:
    tape.state = State.FINISHED
    tape.name = whole_search
    sync(tape, tape.name, f"sqlite:///{Path.cwd()}/mlflow.db")
    assert fetch(whole_search) == 2
    run_id = capsys.readouterr().err.partition(" of 2023-")[0].rpartition(" ")[2]
    assert fetch(run_id) == 0
    assert known(HERE, whole_search)[0].created == tape.created
