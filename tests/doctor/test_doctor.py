"""The doctor says what works and what does not, with a remedy, and its exit status is for scripts."""

import base64
import json
import re
import socket
import sys
import threading
from importlib import metadata
from types import ModuleType

import pytest

from hpo import cli
from hpo.doctor import Finding, machine, software, stores


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Everything but starting Ray, which takes seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(software, "ray", lambda: Finding("Ray", "starts"))


def test_a_machine_on_which_the_tests_run_is_well(quick, capsys, tmp_path):
    assert cli.main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert all(
        name in said for name in ("Python", "Packages", "Memory", "Ports", "Ledger", "MLflow", "torch")
    )
    assert not list(tmp_path.iterdir())


def test_what_is_essential_and_broken_is_an_exit_status(quick, monkeypatch, capsys):
    monkeypatch.setattr(machine, "ports", lambda: Finding("Ports", "closed", "Open them"))
    assert cli.main(["doctor", "--json"]) == 1
    found = {it["name"]: it for it in json.loads(capsys.readouterr().out)}
    assert (found["Ports"]["well"], found["Ports"]["remedy"]) == (False, "Open them")
    assert cli.main(["doctor"]) == 1
    assert "A search cannot run here yet: Ports." in capsys.readouterr().out


def test_what_is_not_essential_is_none(quick, monkeypatch, capsys):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", closed)
    assert cli.main(["doctor"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"{closed} does not answer" in said
    assert "hpo sync NAME" in said
    assert "though not at its best: MLflow." in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("http://127.0.0.1:abc", "its port is no number"),
        ("http://me:sec?ret@127.0.0.1:9", "its port is no number"),
        ("http://me:sec/ret@127.0.0.1:9", "%2F"),
        ("http://me:secret@127.0.0.1:9", "refused"),
        ("http://127.0.0.1:9/a b", "does not answer"),
        ("http://[::1", "cannot be read"),
    ],
)
def test_an_mlflow_with_a_wrong_address_is_told_without_its_password(monkeypatch, given, said):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    finding = stores.tracking()
    assert not finding.well
    assert said in finding.found
    assert not re.search("sec|ret", finding.found)


class Answering:
    """A port that hears one request and answers with these bytes, whatever they are."""

    def __init__(self, answer):
        self._listening, self._answer, self.heard = socket.create_server(("127.0.0.1", 0)), answer, b""
        self.place = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        caller, _ = self._listening.accept()
        with caller, self._listening:
            self.heard = caller.recv(65536)
            caller.sendall(self._answer)


def test_a_port_at_which_something_else_answers_is_told(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{Answering(b'SSH-2.0-OpenSSH').place}")
    assert "does not answer: SSH-2.0-OpenSSH" in stores.tracking().found


def test_an_mlflow_is_asked_with_the_user_and_password_of_its_address(monkeypatch):
    server = Answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:p%40ss@{server.place}/mlflow/")
    finding = stores.tracking()
    assert (finding.well, finding.found) == (True, f"http://me:***@{server.place}/mlflow/")
    asked = server.heard.decode()
    assert asked.startswith("GET /mlflow/health HTTP/1.1")
    assert f"Authorization: Basic {base64.b64encode(b'me:p@ss').decode()}" in asked


def test_a_version_that_does_not_fit_is_named(monkeypatch):
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "1.0" if name == "optuna" else real(name))
    finding = software.versions()
    assert not finding.well
    assert "optuna is 1.0, not <6,>=5" in finding.found


def test_a_store_that_cannot_be_opened(tmp_path):
    (tmp_path / "text.db").write_text("no database, but as long as a page of one would be\n" * 99)
    finding = stores.ledger(f"sqlite:///{tmp_path}/text.db")
    assert not finding.well
    assert finding.essential
    assert "secret" not in stores.ledger("postgresql://me:secret@127.0.0.1:1/none").found


def test_a_driver_that_is_not_installed_is_no_reason_for_another_store(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    finding = stores.ledger("postgresql+psycopg://me@127.0.0.1/hpo")
    assert "pip install 'hpo[postgres]'" in finding.found
    assert finding.remedy.startswith("Mend that, or choose another one")


def test_a_full_disk_is_told(monkeypatch, tmp_path):
    usage = type("Usage", (), {"free": 10 * 2**20})
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)
    finding = machine.disk(str(tmp_path), "results")
    assert finding.essential
    assert "Make room" in finding.remedy
    assert not machine.shared_memory().essential


def test_a_ray_that_does_not_start_is_told(monkeypatch):
    cluster = ModuleType("hpo.cluster")

    def local(processes):
        raise RuntimeError("no port is free\nmore")

    cluster.local = local
    monkeypatch.setitem(sys.modules, "hpo.cluster", cluster)
    monkeypatch.setattr("hpo.cluster", cluster, raising=False)
    assert software.ray().found == "does not start: RuntimeError: no port is free"


@pytest.mark.slow
def test_ray_starts_and_is_gone():
    finding = software.ray()
    assert finding.well, finding.found
