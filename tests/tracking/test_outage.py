"""An MLflow that is out of order: training takes no notice, and what is missing is said."""

from __future__ import annotations

import re
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from hpo import cli
from hpo.errors import HpoError
from hpo.history import State
from hpo.ledger import Ledger
from hpo.tracking import follow, following, sync

if TYPE_CHECKING:
    from conftest import Tape


class Stub(socketserver.ThreadingTCPServer):
    """Accepts connections and answers each request with one line, or never."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer: bytes) -> None:
        self.answer, self.requests = answer, 0
        self.asked_often, self.over = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(socketserver.BaseRequestHandler):
    server: Stub

    def handle(self) -> None:
        self.request.recv(65536)
        self.server.requests += 1
        if self.server.requests >= 5:
            self.server.asked_often.set()
        if self.server.answer:
            self.request.sendall(self.server.answer)
        else:
            self.server.over.wait()


def refusal(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


ANSWERS = {
    "never answers": b"",
    "answers 500": refusal("500 Internal Server Error"),
    "answers 429": refusal("429 Too Many Requests"),
}


@pytest.fixture
def stub(request: pytest.FixtureRequest) -> Iterator[Stub]:
    with Stub(ANSWERS[request.param]) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.over.set()
        server.shutdown()
        serving.join()


@pytest.mark.parametrize("stub", ["answers 500", "answers 429"], indirect=True)
def test_a_server_that_refuses_is_asked_again_and_again_while_the_search_lasts(
    stub: Stub, tape: Tape, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "SLOWEST", 0.01)
    monkeypatch.setattr(following, "TRIES", 2)
    answers: list[str | None] = []
    follower = threading.Thread(
        target=lambda: answers.append(follow(tape, tape.name, stub.address, poll=0.01))
    )
    follower.start()
    assert stub.asked_often.wait(30)
    assert follower.is_alive()
    tape.state = State.FINISHED
    follower.join(30)
    assert re.search("500|429", answers[0] or "")
    assert tape.uploaded == 0


@pytest.mark.slow
@pytest.mark.parametrize("stub", ["never answers"], indirect=True)
def test_training_takes_no_notice_and_what_is_missing_is_said(
    stub: Stub, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HPO_STORE", f"sqlite:///{tmp_path}/hpo.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stub.address)
    command = [str(Path(sys.executable).with_name("hpo")), "train", "recipe=linear", "epochs=3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        page = _until(process.stdout, "hpo ui")  # it does not wait for MLflow, and does not know yet
        assert "hpo export linear-1" in page
        assert "hpo sync" not in page
        while not stub.requests:
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)  # the search is over: this ends no more than the wait
        assert "MLflow lacks 6 of 6 records. Send them: hpo sync linear-1" in process.stdout.read()
        assert process.wait(10) == 0
    ledger = Ledger(f"sqlite:///{tmp_path}/hpo.db")
    records = ledger.records(ledger.search("linear-1"))
    assert records[-1].at - records[0].at < 5
    ledger.close()

    assert cli.main(["show", "linear-1"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "hpo sync linear-1 MLflow lacks 6 of 6 records" in page
    assert cli.main(["sync", "linear-1", f"tracking={uri}"]) == 0
    capsys.readouterr()
    assert cli.main(["show", "linear-1"]) == 0
    assert "hpo sync" not in capsys.readouterr().out


def _until(lines: IO[str], last: str) -> str:
    """Read up to the line that has this in it."""
    page = ""
    while last not in page:
        line = lines.readline()
        assert line, page
        page += line
    return page


def test_the_tracker_goes_on_as_soon_as_mlflow_is_back(
    tape: Tape, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a search is in when MLflow fails; what is noted is what is in, and the rest follows."""
    from hpo.tracking.runs import Runs

    move, refused = Runs.move_cursor, []

    def refuse(runs: Runs, seq: int, at: float) -> None:
        if len(refused) < 2:
            refused.append(seq)
            raise ConnectionError("429 Too Many Requests")
        move(runs, seq, at)

    monkeypatch.setattr(following, "SLOWEST", 0.01)
    monkeypatch.setattr(Runs, "move_cursor", refuse)
    tape.state = State.FINISHED
    assert follow(tape, tape.name, uri, poll=0.01) is None
    assert refused == [len(tape.tape)] * 2
    assert tape.uploaded == len(tape.tape)


def test_an_mlflow_that_does_not_answer_is_said_in_one_line(tape: Tape, uri: str) -> None:
    with pytest.raises(HpoError, match=r"^MLflow: .*refused.*go on with: hpo sync cnn-1$"):
        sync(tape, tape.name, "http://127.0.0.1:9")


LOCKED = "http://admin:secret@127.0.0.1:9"


def test_an_mlflow_that_does_not_answer_is_said_without_its_password(
    tape: Tape, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(HpoError, match=r"http://admin:\*\*\*@127.0.0.1:9"):
        sync(tape, tape.name, LOCKED)
    for words in (["fetch", "cnn-1"], ["rollback", "cnn"]):
        assert cli.main([*words, f"tracking={LOCKED}"]) == 1
        assert "http://admin:***@127.0.0.1:9" in capsys.readouterr().err


def test_pages_are_named_without_their_password(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ui", f"tracking={LOCKED}"]) == 0
    assert capsys.readouterr().out == "Open http://admin:***@127.0.0.1:9\n"


MAKE = """
import sys
from hpo.tracking.places import calm, make_whole
calm()
make_whole(sys.argv[1])
"""


@pytest.mark.slow
def test_a_store_whose_making_is_cut_off_is_not_there(tmp_path: Path) -> None:
    """MLflow makes its tables in many steps, and would never open again what has only some of them."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE, f"sqlite:///{tmp_path}/mlflow.db"], stderr=subprocess.DEVNULL
    )
    while not any(file.stat().st_size > 8192 for file in tmp_path.glob(".mlflow-*/mlflow.db")):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "mlflow.db").exists()


def test_what_is_not_in_is_not_noted(tape: Tape, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from hpo.tracking import tracker as module

    monkeypatch.setattr(module, "BATCH", 10)
    tracker = module.Tracker(tape, tape.name, uri)
    batches = tracker.batches()
    next(batches)
    next(batches)
    assert tape.uploaded == 10
    assert sum(batches) == len(tape.tape) - 20
    assert tape.uploaded == len(tape.tape)
