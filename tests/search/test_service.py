"""A service as docker-compose.yml starts it, as plain processes: searches are submitted, seen and stopped."""

import json
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from hpo import shipped

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(600)]

BIN, ROOT = Path(sys.executable).parent, Path(__file__).parent.parent.parent
FEW = ("trials=3", "epochs=2", "sampler=random", "fuse=off")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Head:
    """The head of a Ray cluster that asks for a token, in a folder of its own."""

    def __init__(self, folder, store):
        self.folder, self.port, self.door = folder, free_port(), free_port()
        self.rays = tempfile.mkdtemp(prefix="hpo-ray-")  # the names of its sockets must be short
        token = folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self.known = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        self.address = f"http://127.0.0.1:{self.door}"
        words = ["--head", "--block", "--num-cpus=2", "--disable-usage-stats", "--node-ip-address=127.0.0.1"]
        ports = [f"--port={self.port}", f"--dashboard-port={self.door}", "--dashboard-host=127.0.0.1"]
        ports.append(f"--dashboard-agent-listen-port={free_port()}")  # its own is another cluster's here
        inside = {"HPO_STORE": store, "HPO_CHECKPOINTS": str(folder / "saved")}
        inside |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        path = f"{BIN}:{os.environ['PATH']}"
        self.log = (folder / "head.log").open("w")
        self.process = subprocess.Popen(
            [BIN / "ray", "start", *words, *ports, f"--temp-dir={self.rays}"],
            env={**clean(), **inside, **self.known, "PATH": path},
            cwd=folder,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def hpo(self, *words, **known):
        environment = {**clean(), "HPO_SERVICE": self.address, **known}
        done = subprocess.run(
            [BIN / "hpo", *words], env=environment, cwd=self.folder, capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr
        return done

    def state(self, name):
        found = json.loads(self.hpo("status", "--json", **self.known).stdout)
        return next(job["state"] for job in found if job["name"] == name)

    def wait_for(self, name, wanted):
        for _ in range(300):
            if self.state(name) == wanted:
                return
            assert self.state(name) in ("waiting", "running", wanted)
            time.sleep(1)
        raise TimeoutError

    def end(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()
        shutil.rmtree(self.rays, ignore_errors=True)


def clean():
    ours = ("HPO_", "RAY_", "MLFLOW_", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture
def head(tmp_path):
    made = Head(tmp_path, f"sqlite:///{tmp_path}/hpo.db")
    yield made
    made.end()


def wait_for_door(head):
    for _ in range(240):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", head.door), 1).close()
            return
        assert head.process.poll() is None, (head.folder / "head.log").read_text()
        time.sleep(0.5)
    raise TimeoutError


def submit(head, *words):
    """Submit something as soon as there is somebody behind the door."""
    for _ in range(60):
        taken = head.hpo("submit", *words, **head.known)
        if "try again later" not in taken.stderr:
            return taken
        time.sleep(2)
    raise TimeoutError


def test_a_ray_that_was_not_told_of_a_ledger_begins_nothing(tmp_path):
    head = Head(tmp_path, "")
    try:
        wait_for_door(head)
        assert submit(head, "recipe=linear", "name=one", *FEW).returncode == 0
        head.wait_for("one", "failed")
        assert (
            "this service keeps no ledger. Set HPO_STORE" in head.hpo("status", "--json", **head.known).stdout
        )
        assert submit(head, "recipe=linear", "name=one", *FEW).returncode == 0
    finally:
        head.end()


def test_a_search_is_submitted_seen_and_stopped(head):
    wait_for_door(head)
    stranger = head.hpo("submit", "recipe=cnn", *FEW)
    assert stranger.returncode == 2
    assert "The service does not let us in. Set RAY_AUTH_MODE=token" in stranger.stderr

    (head.folder / "recipes").mkdir()
    own = (shipped.folders("recipes")[-1] / "mlp.py").read_text()
    (head.folder / "recipes" / "mine.py").write_text(own)
    taken = submit(head, "recipe=mine", "name=one", *FEW)
    assert taken.returncode == 0, taken.stderr
    assert taken.stderr == ""
    assert "one is submitted" in taken.stdout
    again = head.hpo("submit", "recipe=mine", "name=one", *FEW, **head.known)
    assert (again.returncode, "was submitted" in again.stderr) == (2, True)
    head.wait_for("one", "finished")
    assert head.hpo("submit", "recipe=mine", "name=late", "workers=999", *FEW, **head.known).returncode == 0
    head.wait_for("late", "failed")
    assert head.hpo("submit", "recipe=mine", "name=late", "workers=1", *FEW, **head.known).returncode == 0
    head.wait_for("late", "finished")
    store = {"HPO_STORE": f"sqlite:///{head.folder}/hpo.db"}
    shown = json.loads(head.hpo("show", "one", "--json", **store).stdout)
    assert (shown["state"], shown["settings"]["cluster"]) == ("finished", "auto")

    (head.folder / "recipes" / "mine.py").write_text(f"{own}# changed\n")
    forked = ("recipe=mine", "allow_change=true", "name=changed", f"service={head.address}")
    assert head.hpo("resume", "one", *forked, **head.known).returncode == 0
    head.wait_for("one", "finished")
    assert json.loads(head.hpo("show", "changed", "--json", **store).stdout)["state"] == "finished"

    assert head.hpo("submit", "recipe=cnn", "name=two", "epochs=500", **head.known).returncode == 0
    head.wait_for("two", "running")
    for _ in range(600):
        listed = json.loads(head.hpo("list", "--json", **store).stdout)
        if any(search["name"] == "two" and search["counts"] for search in listed):
            break
        time.sleep(0.5)
    assert "what trains is saved" in head.hpo("stop", "two", **head.known).stdout
    head.wait_for("two", "stopped")
    assert json.loads(head.hpo("show", "two", "--json", **store).stdout)["state"] == "interrupted"

    more = head.hpo("resume", "two", f"service={head.address}", "trials=100", **head.known)
    assert more.returncode == 0, more.stderr
    twice = head.hpo("resume", "two", f"service={head.address}", "trials=100", **head.known)
    assert (twice.returncode, "under way" in twice.stderr) == (2, True)
    head.wait_for("two", "running")
    assert head.hpo("stop", "two", **head.known).returncode == 0
    head.wait_for("two", "stopped")


def test_a_service_that_is_not_there_is_told(tmp_path):
    environment = {**clean(), "HPO_SERVICE": "http://127.0.0.1:1"}
    done = subprocess.run(
        [BIN / "hpo", "status"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "service=http://127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_mlflow_asks_for_its_password_and_listens_on_this_machine_only(tmp_path):
    asked = {**os.environ, "SUDO_UID": "10001", "SUDO_GID": "10001"}  # by whom, if root runs the tests
    subprocess.run([sys.executable, ROOT / "deploy" / "make_secrets.py", tmp_path], check=True, env=asked)
    made, port = tmp_path / "secrets", free_port()
    account = made / "mlflow_auth.ini"
    users = f"sqlite:///{tmp_path}/users.db"
    account.write_text(account.read_text().replace("postgresql+psycopg://hpo@postgres/mlflow_auth", users))
    words = {"HPO_HOST": "127.0.0.1", "HPO_PORT": str(port), "HPO_ARTIFACTS": str(tmp_path / "artifacts")}
    words |= {"MLFLOW_KEY_PATH": str(made / "mlflow_key"), "MLFLOW_AUTH_CONFIG_PATH": str(account)}
    words |= {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db", "HOME": str(tmp_path)}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            ["sh", ROOT / "deploy" / "start", "mlflow-server"],
            env={**clean(), **words, "PATH": f"{BIN}:{os.environ['PATH']}"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search?max_results=1"
        for _ in range(240):
            with suppress(requests.ConnectionError):
                stranger = requests.get(address, timeout=30)
                break
            assert server.poll() is None, (tmp_path / "log").read_text()
            time.sleep(1)
        assert stranger.status_code == 401
        password = (made / "mlflow_password").read_text()
        assert requests.get(address, auth=("admin", "guessed"), timeout=30).status_code == 401
        assert requests.get(address, auth=("admin", password), timeout=30).status_code == 200
        assert {place.rpartition(":")[0] for place in listening(port)} == {"127.0.0.1"}
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def listening(port):
    """Where processes of this machine listen on a port, as `ss -ltn` would list it."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        place, state = line.split()[1], line.split()[3]
        address, _, number = place.partition(":")
        if state == "0A" and int(number, 16) == port:
            yield f"{socket.inet_ntoa(struct.pack('<I', int(address, 16)))}:{port}"
