"""Pictures and the report of a search that is over, as files of its parent run."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hpo.errors import HpoError
from hpo.history import History, Search, State
from hpo.planning.plan import Plan
from hpo.tracking.runs import Runs

if TYPE_CHECKING:  # matplotlib takes its time to import, and training is under way
    from hpo.pictures import Drawn

OVER: Final = (State.FINISHED, State.FAILED)

# A winner that trained longer than so many seconds is not trained again unasked: `hpo plot` does it.
_PATIENCE: Final = 20.0


def hang(search: Search, history: History, runs: Runs) -> None:
    """Draw the pictures, write the report, and put them on the parent run, unless they are there.

    What cannot be drawn or written is told in a tag; only MLflow's own errors are raised.
    """
    if search.state not in OVER or not history.epochs or runs.pictured == history.seq:
        return
    with tempfile.TemporaryDirectory(prefix="hpo-pictures-") as folder:
        runs.hang(_draw(search, history, Path(folder)), Path(folder), history.seq)


def _draw(search: Search, history: History, folder: Path) -> str:
    """Write and draw all of it into a folder, and say what came of the pictures."""
    from hpo import report

    try:
        report.write(search, history, folder / "report.html")
        from hpo.pictures import draw  # fails where MPLBACKEND names what is not there

        return _told(draw(Plan.of(search), history, folder / "pictures", _PATIENCE))
    except HpoError as error:
        return f"not drawn: {error}"
    except Exception as error:  # noqa: BLE001 - a recipe may raise anything; tracking goes on without pictures
        return f"not drawn: {type(error).__name__}: {error}"


def _told(drawn: Sequence[Drawn]) -> str:
    return "; ".join(name if path else f"{name} not drawn: {reason}" for name, path, reason in drawn)
