"""Over HTTP and as a process of its own; only processes started here are ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpo.history import State
from hpo.ledger import Ledger, Writer
from hpo.tracking import Ui, follow, following, ui

if TYPE_CHECKING:
    from conftest import Tape


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(page: Ui) -> Iterator[None]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(page.command, env=page.environment, start_new_session=True, **quiet)
    try:
        wait_until(lambda: healthy(page.address))
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def healthy(address: str) -> bool:
    try:
        return urllib.request.urlopen(f"{address}/health", timeout=2).status == 200
    except OSError:
        return False


def wait_until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_server_that_is_down_is_brought_level_later(
    tape: Tape, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setattr(following, "SLOWEST", 0.5)
    page = ui(uri, free_port())
    address = page.address
    answer: list[str | None] = []
    follower = threading.Thread(target=lambda: answer.append(follow(tape, tape.name, address, poll=0.05)))
    follower.start()
    time.sleep(0.5)
    assert follower.is_alive(), "an unreachable server must not end it"
    with serving(page):
        http = MlflowClient(address)
        wait_until(lambda: http.get_experiment_by_name("cnn"))
        tape.state = State.FINISHED
        follower.join(60)
        assert answer == [None]
        found = http.search_runs([http.get_experiment_by_name("cnn").experiment_id])
        assert len(found) == 8
        parent = next(run for run in found if run.info.run_name == "cnn-1")
        assert parent.info.status == "FINISHED"
        assert parent.data.tags["hpo.cursor"] == str(len(tape.tape))
        files = {item.path for item in http.list_artifacts(parent.info.run_id)}
        assert files == {"best_config.json", "cnn.py", "ledger.jsonl.gz", "space.yaml"}


def test_follow_gives_up_only_after_the_search(tape: Tape, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "TRIES", 2)
    tape.state = State.FINISHED
    reason = follow(tape, tape.name, f"http://127.0.0.1:{free_port()}", poll=0.01)
    assert reason is not None
    assert "refused" in reason


def test_ui_takes_another_port_when_its_own_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        address, command, environment = ui("sqlite:///mlflow.db", taken)
    assert address != f"http://127.0.0.1:{taken}"
    assert command[command.index("--port") + 1] == address.rpartition(":")[2]
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_the_store_of_the_pages_is_on_no_command_line() -> None:
    store = "postgresql+psycopg://hpo:secret@127.0.0.1/mlflow"
    _, command, environment = ui(store)
    assert "secret" not in " ".join(command)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == store


@pytest.mark.slow
def test_the_server_of_the_pages_ends_with_the_verb(uri: str) -> None:
    words = [sys.executable, "-m", "hpo", "ui", f"tracking={uri}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as verb:
        assert verb.stdout
        address = verb.stdout.readline().removeprefix("Open ").strip()
        try:
            wait_until(lambda: healthy(address))
            verb.terminate()
            verb.wait(20)
            assert not healthy(address)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(verb.pid, signal.SIGKILL)


def test_ui_of_a_server_is_the_server() -> None:
    assert ui("http://team:5000") == ("http://team:5000", [], {})


@contextmanager
def tracking(store: str, uri: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-m", "hpo.tracking", "cnn-1", uri]
    environment = {**os.environ, "HPO_STORE": store}
    process = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def store(tape: Tape, tmp_path: Path) -> str:
    """A ledger with the same search in it, whose driver was killed."""
    url = f"sqlite:///{tmp_path}/hpo.db"
    ledger = Ledger(url)
    search = ledger.create_search(tape.search("cnn-1"))
    writer = Writer(ledger, search, ledger.open_session(search))
    for record in tape.tape:
        writer.append(record)
    writer.flush()
    ledger.close()
    return url


@pytest.mark.slow
def test_a_process_sends_all_when_the_driver_has_died(tape: Tape, store: str, uri: str) -> None:
    lines = "import sys; from hpo.ledger import Ledger; store = Ledger(sys.argv[1])"
    drive = f"{lines}; store.open_session(store.search('cnn-1'))"
    subprocess.run([sys.executable, "-c", drive, store], check=True)
    with tracking(store, uri) as process:
        assert process.communicate(timeout=60) == ("", None), "it must be silent"
        assert process.returncode == 0
    assert status_and_cursor(uri) == ("KILLED", str(len(tape.tape)))


@pytest.mark.slow
def test_a_process_ends_on_sigterm_and_not_on_ctrl_c(tape: Tape, store: str, uri: str) -> None:
    ledger = Ledger(store)
    ledger.open_session(ledger.search("cnn-1"))
    with tracking(store, uri) as process:
        wait_until(lambda: status_and_cursor(uri) == ("RUNNING", str(len(tape.tape))))
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10) == ("", None)
        assert process.returncode == 0
    ledger.close()


def status_and_cursor(uri: str) -> tuple[str, str] | None:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("cnn")
    found = client.search_runs([experiment.experiment_id]) if experiment else []
    parents = [run for run in found if run.info.run_name == "cnn-1"]
    return (parents[0].info.status, parents[0].data.tags.get("hpo.cursor")) if parents else None


def test_importing_it_imports_no_mlflow() -> None:
    code = "import sys, hpo.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
