"""The order of the tests, long ones first, so that no worker is alone with them at the end; databases."""

import signal

import hypothesis
import pytest
from postgres import Server

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("hpo", deadline=None)
hypothesis.settings.load_profile("hpo")


# What is ignored by nohup stays so in all that is started; what has a handler does not.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=_rank)


def _rank(item):
    """Put the longest first, then what is slow, then the rest; the order is kept otherwise."""
    longest = item.name == "test_every_command_of_the_readme_runs"
    return (not longest, item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL of our own, started when a test first needs it."""
    server = Server()
    yield server
    server.end()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))])
def store(request, tmp_path):
    """The address of an empty ledger, in each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/hpo.db"
    return request.getfixturevalue("postgres").empty()
