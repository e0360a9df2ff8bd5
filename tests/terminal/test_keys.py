"""The live view in a real terminal: what it shows there, its keys, and the terminal that it leaves behind."""

import signal
import sys
import termios
import time
from pathlib import Path

import made_up
import pytest
from made_up import Story, search
from screen import Terminal

from hpo.history import State
from hpo.terminal import wishing
from hpo.wish import Wish

# Shows a search that was made up, and prints what keys ask for, until it is stopped.
PROGRAM = """
import sys, time
sys.path.insert(0, sys.argv[1])
import made_up
from dataclasses import replace
from hpo.terminal.live import viewer

plan, history = made_up.plan(), made_up.typical()
search, view = plan.search, viewer(plan)
view.start(plan, history)
print("begun", flush=True)
try:
    while True:
        wish = view.update(search, history)
        if wish:
            search = replace(search, wish=wish)
            print("asked for", wish.trials, wish.paused, flush=True)
        time.sleep(0.02)
except KeyboardInterrupt:
    view.finish()
    print("over")
"""


@pytest.fixture
def terminal():
    opened = []

    def open_terminal(**words):
        opened.append(Terminal(sys.executable, "-c", PROGRAM, str(Path(made_up.__file__).parent), **words))
        return opened[-1]

    yield open_terminal
    for it in opened:
        it.end()


def test_keys_ask_and_the_terminal_is_left_as_it_was(terminal):
    screen = terminal()
    screen.shows("begun", "[p] pause   [s] stop after these   [+] 16 more trials")
    assert screen.mode != screen.before
    screen.press("p")
    screen.shows("asked for None True", "paused: what trains waits after its epoch", "[p] go on")
    screen.press("p")
    screen.shows("asked for None False", "[p] pause")
    assert "paused" not in screen.page
    screen.press("+")
    screen.shows("asked for 80 False")
    screen.press("s")
    screen.shows("asked for 1 False", "stopping: after those that train now, only what confirms the best")
    screen.press("hpo show cnn-1")  # what is pasted is no key
    screen.press("\x1b[A")  # nor is an arrow
    screen.press("x")
    screen.press("\x03")
    screen.shows("over")
    assert screen.page.count("asked for") == 4
    assert screen.mode == screen.before
    assert screen.cursor


def test_a_terminal_is_left_as_it_was_by_any_death(terminal):
    screen = terminal()
    screen.shows("[p] pause")
    assert not screen.cursor
    screen.program.kill()
    screen.program.wait()
    screen.wait(lambda: screen.mode == screen.before and screen.cursor)


def test_who_has_taken_the_terminal_back_keeps_it(terminal):
    screen = terminal()
    screen.shows("[p] pause")
    own = screen.mode
    own[3] &= ~termios.ISIG
    screen.program.send_signal(signal.SIGSTOP)
    termios.tcsetattr(screen.outer, termios.TCSANOW, own)
    screen.program.kill()
    screen.program.wait()
    time.sleep(0.5)
    assert screen.mode == own


@pytest.mark.parametrize("width", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_it_fits_the_terminal(terminal, width):
    screen = terminal(width=width)
    screen.shows("begun", "5/64", "best  trial 2", "[p] pause")
    rows = [row for row in screen.page.splitlines() if row]
    # A row that did not fit would have wrapped into one more.
    assert len(rows) == len({row.split()[0] for row in rows if row})


def test_colors_are_left_out_on_request(terminal):
    colorful, plain = terminal(), terminal(NO_COLOR="1")
    for screen in (colorful, plain):
        screen.shows("best  trial 2")
    assert colorful.colors
    assert not plain.colors


def test_few_letters_are_enough(terminal):
    screen = terminal(PYTHONIOENCODING="ascii:replace")
    screen.shows("begun", "@@@@@@@@@@@@@@@@@_", "host/102  trial 6")


def test_what_keys_mean():
    given = search(settings={"trials": 1, "sampler": "given"})
    assert wishing.wish("s", given, 1) is None
    assert wishing.wish("p", given, 1) == Wish(paused=True)
    assert wishing.wish("+", search(wish=Wish(80)), 16) == Wish(96)
    assert wishing.wish("=", search(wish=Wish(1, instead_of=64)), 16) == Wish(80)
    assert wishing.wish("P", search(wish=Wish(paused=True)), 16) == Wish()
    assert wishing.wish("s", search(wish=Wish(paused=True)), 16) == Wish(1, instead_of=64)
    assert wishing.wish("++", search(), 16) == Wish(96)
    assert wishing.wish("", search(), 16) is None
    assert wishing.wish("ps aux", search(), 16) is None
    heeded = search(settings={**search().settings, "trials": 5}, wish=wishing.wish("s", search(), 16))
    for keys, wanted in (("+", 80), ("s+", 80), ("p+", 80), ("+p", 80), ("++", 96)):
        assert wishing.wish(keys, heeded, 16).trials == wanted
    assert wishing.wish("+", search(wish=wishing.wish("+s", search(), 16)), 16) == Wish(96)
    running = Story().trial(None, 0.5).history
    assert wishing.standing(search(State.RUNNING, wish=Wish(1)), running).startswith("stopping")
    assert wishing.standing(search(State.RUNNING, wish=Wish(80)), running) == ""
