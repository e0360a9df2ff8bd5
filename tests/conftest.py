"""The order of the tests: long ones first, so that no worker is left alone with them at the end."""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=_rank)


def _rank(item):
    """Put the longest first, then what is slow, then the rest; the order is kept otherwise."""
    longest = item.name == "test_every_command_of_the_readme_runs"
    return (not longest, item.get_closest_marker("slow") is None)
