"""What a person who looks on can ask of a search with a key, and how that is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hpo.history import History, Search
from hpo.wish import Wish

PAUSE, STOP, MORE = "p", "s", "+"
_SAME: Final = {"P": PAUSE, "S": STOP, "=": MORE}  # the last with its key, but no Shift, on many keyboards
_SHARE: Final = 4  # one key adds this part of the trials that there were to be


def wish(keys: str, search: Search, more: int) -> Wish | None:
    """Return what keys ask for; None if nothing. `more` is what MORE adds.

    Where others were pressed among them, it was a text that was meant for the shell.
    """
    meant = [_SAME.get(key, key) for key in keys]
    wished = search.wish
    if not set(meant) <= set(_offered(search)):
        return None
    for key in meant:
        wished = _after(key, wished, _trials(search), more)
    return wished if meant else None


def _after(key: str, wish: Wish, trials: int, more: int) -> Wish:
    if key == PAUSE:
        return replace(wish, paused=not wish.paused)
    if key == STOP:
        # The baseline, at least; what is paused would never end.
        return Wish(trials=1, instead_of=_wanted(wish, trials))
    return replace(wish, trials=_wanted(wish, trials) + more, instead_of=None)


def _wanted(wish: Wish, trials: int) -> int:
    """Return how many trials there were to be before any stop, which leaves no more than have begun."""
    return max(wish.instead_of or wish.trials or 0, trials)


def _offered(search: Search) -> tuple[str, ...]:
    if search.given:
        return (PAUSE,)
    return (PAUSE, STOP, MORE) if _trials(search) else (PAUSE, STOP)


def step(search: Search) -> int:
    """Return how many trials one key adds."""
    return max(1, _trials(search) // _SHARE)


def _trials(search: Search) -> int:
    """Return how many trials there are to be; 0 where a budget decides."""
    return 0 if search.settings.get("budget") else int(str(search.settings["trials"]))


def standing(search: Search, history: History) -> str:
    """Say what becomes of a search as people wish; nothing if that is its usual way."""
    if search.wish.paused:
        return "paused: what trains waits after its epoch"
    wished = search.wish.trials
    if wished is not None and wished <= max(len(history.searched), 1):
        return "stopping: after those that train now, only what confirms the best"
    return ""


def legend(search: Search, more: int) -> str:
    """Return the keys that there are, and what each does now."""
    does = {
        PAUSE: "go on" if search.wish.paused else "pause",
        STOP: "stop after these",
        MORE: f"{more} more trial{'s' if more > 1 else ''}",
    }
    return "   ".join(f"[{key}] {does[key]}" for key in _offered(search))
