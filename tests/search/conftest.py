"""Folders for the command, addresses for ledgers."""

import fsspec
import pytest
from bucket import Server
from shell import Folder

from hpo.ledger import Ledger


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def ledger(folder):
    """The ledger of that folder, also before there is one."""
    opened = Ledger(folder.url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory):
    return Folder(tmp_path_factory.mktemp("search"))


@pytest.fixture
def url(tmp_path):
    """The address of a ledger that is not there yet."""
    return f"sqlite:///{tmp_path}/hpo.db"


@pytest.fixture(scope="session")
def s3_server():
    """An S3 of our own, started when a test first needs it."""
    server = Server()
    yield server
    server.end()


@pytest.fixture
def s3(s3_server, monkeypatch):
    """The same, where this process finds it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    yield s3_server
    fsspec.filesystem("s3").clear_instance_cache()
