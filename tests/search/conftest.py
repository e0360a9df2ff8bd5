"""Folders for the command, addresses for ledgers."""

import pytest
from shell import Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory):
    return Folder(tmp_path_factory.mktemp("search"))


@pytest.fixture
def url(tmp_path):
    """The address of a ledger that is not there yet."""
    return f"sqlite:///{tmp_path}/hpo.db"
