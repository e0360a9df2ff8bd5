"""Folders for the command."""

import pytest
from shell import Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory):
    return Folder(tmp_path_factory.mktemp("search"))
