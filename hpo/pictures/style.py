"""How all pictures look: colours that everyone can tell apart, titles that say what is seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpo.errors import HpoError

# Okabe and Ito 2008, jfly.uni-koeln.de/color: also for those who do not see red and green apart. Their
# yellow is left out: on white it is too faint for a line.
COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BLACK: Final = "#000000"
FAINT: Final = "#999999"

_LOOK: Final[Any] = {
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "axes.titlesize": 10.5,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
}
_DOTS: Final = 130  # per inch
_PANEL: Final = (4.6, 3.6)  # inches
_ALONE: Final = 6.8  # the width of a single panel, which must hold the title
_HEAD: Final = 0.9  # inches above and below the panels


class NotDrawnError(HpoError):
    """There is nothing to draw; the message says why."""


def panels(
    title: str, about: str, columns: int = 1, rows: int = 1, *, one_scale: bool = True
) -> tuple[Figure, list[Axes]]:
    """Return a figure under a title and a line about it, and its panels, row by row."""
    with mpl.rc_context(_LOOK):
        width, height = _PANEL[0] * columns if columns > 1 else _ALONE, _PANEL[1] * rows + _HEAD
        figure = Figure(figsize=(width, height), dpi=_DOTS, layout="constrained")
        grid = figure.subplots(rows, columns, sharey=one_scale, squeeze=False)
    figure.suptitle(f"{title}\n", x=0.01, ha="left", fontsize=13, fontweight="bold")
    figure.text(0.01, 1 - 0.35 / height, about, fontsize=9.5, color="#444444", va="center")
    return figure, list(grid.flat)


def count_epochs(axes: Sequence[Axes]) -> None:
    """Label the x-axes with whole epochs."""
    for panel in axes:
        low, high = panel.get_xlim()
        if high - low < 1:
            panel.set_xlim(low - 0.5, high + 0.5)
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))


def legend(figure: Figure, panel: Axes) -> None:
    """Put a panel's labels below the whole figure, once each."""
    handles, labels = panel.get_legend_handles_labels()
    with mpl.rc_context(_LOOK):
        figure.legend(handles, labels, loc="outside lower left", ncols=min(3, len(labels)))
