"""Two hosts, each a network namespace of this machine, and the link between them, which is cut."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(600)]

RAY, HPO = (str(Path(sys.executable).with_name(name)) for name in ("ray", "hpo"))
HEAD, OTHER = "10.213.7.1", "10.213.7.2"
# A host that does not answer for some 10 s is taken for dead: by default it would be half a minute.
WATCHED = {f"RAY_health_check_{name}": str(ms) for name, ms in (("period_ms", 1000), ("timeout_ms", 2000))}
WATCHED |= {"RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_failure_threshold": "6"}
WATCHED |= {"RAY_gcs_rpc_server_reconnect_timeout_s": "20"}  # so soon a host ends that finds no head


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Hosts:
    """Two namespaces that see each other, and nothing else; a Ray of one cluster in each."""

    def __init__(self):
        self.names = tuple(f"hpo-{os.getpid()}-{end}" for end in "ab")
        self.ends = tuple(f"hpo{os.getpid() % 10**6}{end}" for end in "ab")
        self.rays = []
        self.folders = [tempfile.mkdtemp(prefix="hpo-ray-") for _ in self.names]
        token = Path(self.folders[0], "token")
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self.environment = {**WATCHED, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}

    def lay(self):
        for name in self.names:
            ip("netns", "add", name)
        ip(
            "link",
            "add",
            self.ends[0],
            "netns",
            self.names[0],
            "type",
            "veth",
            "peer",
            "name",
            self.ends[1],
            "netns",
            self.names[1],
        )
        for name, end, address in zip(self.names, self.ends, (HEAD, OTHER), strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", end)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", end, "up")

    def cut(self):
        ip("-n", self.names[1], "link", "set", self.ends[1], "down")

    def mend(self):
        ip("-n", self.names[1], "link", "set", self.ends[1], "up")

    def inside(self, host, *words):
        return ("ip", "netns", "exec", self.names[host], *words)

    def start(self, host, address, *words):
        command = [RAY, "start", "--block", "--disable-usage-stats", f"--node-ip-address={address}", *words]
        size = ("--num-cpus=1", "--object-store-memory=100000000", f"--temp-dir={self.folders[host]}")
        log = subprocess.DEVNULL
        self.rays.append(
            subprocess.Popen(
                self.inside(host, *command, *size),
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        )

    def wait_for(self, nodes):
        """Wait until the cluster has so many nodes."""
        asked = self.inside(0, RAY, "status", f"--address={HEAD}:6379")
        for _ in range(100):
            environment = {**os.environ, **self.environment}
            told = subprocess.run(asked, env=environment, capture_output=True, text=True)
            if told.returncode == 0 and told.stdout.partition("Pending:")[0].count(" node_") == nodes:
                return
            time.sleep(0.5)
        raise TimeoutError(told.stdout + told.stderr)

    def end(self):
        for name in self.names:
            there = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
            for process in there.stdout.split():
                subprocess.run(["kill", "-KILL", process], capture_output=True)
        for ray in self.rays:
            ray.wait(60)
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def linked():
    made = Hosts()
    try:
        try:
            made.lay()
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespaces here: {getattr(error, 'stderr', '') or error}")
        yield made
    finally:
        made.end()


@pytest.fixture
def hosts(linked):
    linked.start(0, HEAD, "--head", "--port=6379", "--include-dashboard=false")
    linked.wait_for(1)
    linked.start(1, OTHER, f"--address={HEAD}:6379")
    linked.wait_for(2)
    return linked


@pytest.fixture
def search(hosts, folder):
    """Start a search over both hosts."""
    folder.environment |= hosts.environment

    def start(*words):
        whole = (
            "search",
            "recipe=cnn",
            "name=far",
            f"cluster={HEAD}:6379",
            "space=sgd",
            "fuse=off",
            "workers=2",
        )
        whole += (
            "space.optimizer.sgd.lr={log: [0.01, 0.05]}",
            "trials=3",
            "epochs=40",
            "pruner=none",
            "confirm=0",
        )
        whole += ("checkpoint_every=0.2s", "checkpoints=saved", *words)
        return folder.start(*whole, program=hosts.inside(0, HPO))

    return start


def trials_of(ledger):
    found = ledger.exists() and ledger.searches()
    return list(ledger.history(ledger.search("far")).trials.values()) if found else []


def wait_for_epochs(ledger, process, epochs):
    """Wait until both hosts train, each a trial that has come so far."""
    for _ in range(2400):
        if sum(trial.epochs >= epochs for trial in trials_of(ledger) if not trial.ending) == 2:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise TimeoutError


def end(process, folder, ledger):
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, out + err
    trials = trials_of(ledger)
    assert all([point.epoch for point in trial.points] == list(range(1, 41)) for trial in trials)
    assert folder.run("audit", "far").returncode == 0
    return trials


def test_trials_of_a_host_that_is_cut_off_go_on_here(hosts, search, folder, ledger):
    process = search()
    wait_for_epochs(ledger, process, 3)
    hosts.cut()
    trials = end(process, folder, ledger)
    again = [trial.attempts[-1].notes for trial in trials if len({it.cohort for it in trial.attempts}) == 2]
    assert [note["after"] for note in again] == ["its machine left the cluster"]
    assert again[0]["from"].popitem()[1] >= 1


def test_a_link_that_is_cut_for_a_moment_costs_nothing(hosts, search, folder, ledger):
    process = search()
    wait_for_epochs(ledger, process, 3)
    hosts.cut()
    time.sleep(3)
    hosts.mend()
    trials = end(process, folder, ledger)
    assert [len(trial.attempts) for trial in trials[:2]] == [1, 1]


MEMBER = """
import sys
import torch
from hpo.training.distributed import Meeting, meet

rank, host = int(sys.argv[1]), sys.argv[2]
store, meeting = meet(host, 2, patience=20.0) if rank == 0 else (None, None)
if meeting:
    print(meeting.port, flush=True)
meeting = meeting or Meeting(host, int(input()), 2, patience=20.0)
with meeting.joined(rank, "ddp", "cpu", store) as team:
    print(team.total(torch.ones(1)).item())
"""


def test_a_team_of_two_hosts_whose_names_are_loopback_s_finds_together(linked):
    """As Debian and Ubuntu have it in /etc/hosts; each host has a loopback of its own."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    first, second = (
        subprocess.Popen(linked.inside(rank, sys.executable, "-c", MEMBER, str(rank), HEAD), **pipes)
        for rank in (0, 1)
    )
    second.stdin.write(first.stdout.readline())
    second.stdin.flush()
    assert [member.communicate(timeout=200)[0].split() for member in (first, second)] == [["2.0"], ["2.0"]]
