"""A bucket of our own: an S3 server on loopback, which forgets everything when it ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import uuid

import fsspec


class Server:
    """Moto's S3, as a process of its own."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not self._answers():
            assert self._process.poll() is None
            time.sleep(0.1)

    @property
    def environment(self) -> dict[str, str]:
        """Where s3fs finds it, and a key that it takes."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "someone",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def bucket(self) -> str:
        """Return the name of a bucket that is empty."""
        name = f"bucket-{uuid.uuid4().hex[:8]}"
        fsspec.filesystem("s3").mkdir(name)
        return name

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _answers(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0


def names(address: str) -> list[str]:
    """Return what lies below an address, as anyone sees it."""
    files, path = fsspec.core.url_to_fs(address)
    files.invalidate_cache()
    return sorted(os.path.relpath(it, path) for it in files.find(path))
