"""A request to stop: at once, or with a grace in which an epoch may end; never in the middle of stopping."""

import signal
import time

import pytest

from hpo.stopping import stoppable, undisturbed

REQUESTS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", REQUESTS)
def test_a_request_stops_at_once(number):
    with pytest.raises(KeyboardInterrupt), stoppable():
        signal.raise_signal(number)


@pytest.mark.parametrize("number", REQUESTS)
def test_with_a_grace_the_second_request_does(number):
    with stoppable(grace=60) as requested:
        assert not requested()
        signal.raise_signal(number)
        assert requested()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_grace_is_over_at_last():
    with stoppable(grace=0.05):
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            time.sleep(20)


@pytest.mark.parametrize("number", REQUESTS)
def test_nothing_disturbs_a_stop(number):
    with stoppable(), undisturbed():
        signal.raise_signal(number)


def test_a_closed_terminal_that_is_ignored_stops_nothing():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with stoppable():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        with pytest.raises(KeyboardInterrupt), stoppable():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, before)
