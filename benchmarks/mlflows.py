"""MLflow servers that are down, silent, slow or refuse."""

from __future__ import annotations

import random
import socketserver
import threading
import time
from collections.abc import Callable

from scene import Scene


def nothing(_: Scene, __: random.Random) -> None:
    """The fault was there from the start, and stays."""


class _Stub(socketserver.ThreadingTCPServer):
    """Answers each request with one text after some seconds, or never."""

    daemon_threads, allow_reuse_address = True, True
    answer, seconds = b"", 0.0


class _Answer(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, _Stub)
        self.request.recv(65536)
        time.sleep(server.seconds)
        if server.answer:
            self.request.sendall(server.answer)
        else:
            time.sleep(600)


def server(status: str, seconds: float = 0.0) -> Callable[[Scene], None]:
    """Put an MLflow server on the stage that always answers so; without a status it never answers."""

    def stage(it: Scene) -> None:
        stub = _Stub(("127.0.0.1", 0), _Answer)
        stub.seconds = seconds
        text = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        stub.answer = text.encode() if status else b""
        threading.Thread(target=stub.serve_forever, daemon=True).start()
        it.undo += [stub.server_close, stub.shutdown]
        it.environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{stub.server_address[1]}"

    return stage


def down(it: Scene) -> None:
    it.environment["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
