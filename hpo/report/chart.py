"""A chart as SVG: axes, lines, marks. Colours and fonts are those of the page, so they follow its light.

Each trial's mark carries its number in `data-t`, by which the page can point it out, and its facts in a
`title`, which a browser shows and a screen reader says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import count

from hpo.report.scale import Scale

_WIDTH, _HEIGHT = 460.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 60.0, 12.0, 12.0, 42.0
_NAMES = count()

Place = tuple[float, float]


class Chart:
    """A chart with two axes; what is drawn first lies below.

    Args:
        title: what is seen, for those who do not see it.
        x, y: the axes, each a scale and what is written along it.
    """

    def __init__(self, title: str, x: tuple[Scale, str], y: tuple[Scale, str]) -> None:
        self._title, (self._x, self._along), (self._y, self._up) = title, x, y
        self._parts: list[str] = []

    def line(self, points: Iterable[Place], look: str, trial: int, title: str = "") -> None:
        """Draw a line through points given in the axes' numbers."""
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self._at, points))
        if " " in places:
            self._parts.append(polyline(places, look, trial, title))
        elif places:
            x, _, y = places.partition(",")
            self._parts.append(
                f'<circle class="{look} dot" data-t="{trial}" cx="{x}" cy="{y}" r="3">{said(title)}</circle>'
            )

    def level(self, value: float, look: str) -> None:
        """Draw a horizontal line over all of the width."""
        _, y = self._at((self._x.low, value))
        self._parts.append(
            f'<line class="{look}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )

    def mark(self, point: Place, shape: str, look: str, trial: int, title: str = "") -> None:
        """Draw a mark: `circle`, `square`, `cross`, `ring` or `triangle`."""
        x, y = self._at(point)
        self._parts.append(
            f'<path class="{look} {shape}" data-t="{trial}" transform="translate({x:.1f} {y:.1f})" '
            f'd="{_SHAPES[shape]}">{said(title)}</path>'
        )

    def _at(self, point: Place) -> Place:
        x, y = self._x.place(point[0]), self._y.place(point[1])
        return _LEFT + x * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - y * (_HEIGHT - _TOP - _BOTTOM)

    @property
    def svg(self) -> str:
        """The whole chart."""
        name = f"clip{next(_NAMES)}"
        width, height = _WIDTH - _LEFT - _RIGHT + 10, _HEIGHT - _TOP - _BOTTOM + 10
        rest = f'x="{_LEFT - 5}" y="{_TOP - 5}" width="{width}" height="{height}"'
        clip = f'<clipPath id="{name}"><rect {rest}/></clipPath>'
        inside = f'<g clip-path="url(#{name})">{"".join(self._parts)}</g>'
        return picture(self._title, (_WIDTH, _HEIGHT), "".join([clip, *self._axes(), inside]))

    def _axes(self) -> Iterator[str]:
        low, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        for value, written in self._x.ticks:
            x, _ = self._at((value, self._y.low))
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{low}"/>'
            yield text((x, low + 16), written)
        for value, written in self._y.ticks:
            _, y = self._at((self._x.low, value))
            yield f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield text((_LEFT - 6, y + 4), written, anchor="end")
        yield text(((_LEFT + right) / 2, _HEIGHT - 6), self._along, "name")
        middle = (_TOP + low) / 2
        yield f'<g transform="translate(13 {middle}) rotate(-90)">{text((0, 0), self._up, "name")}</g>'


def picture(title: str, size: tuple[float, float], content: str) -> str:
    """Return SVG of a size under a title, for those who do not see it."""
    width, height = size
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
    return f"{head}{content}</svg>"


def polyline(places: str, look: str, trial: int, title: str = "") -> str:
    """Return a line through places of a picture: `x,y x,y …`."""
    return f'<polyline class="{look}" data-t="{trial}" points="{places}">{said(title)}</polyline>'


def text(place: Place, words: str, look: str = "", anchor: str = "middle") -> str:
    """Return text at a place of a picture."""
    known = f' class="{look}"' if look else ""
    return f'<text{known} x="{place[0]:.1f}" y="{place[1]:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


_SHAPES = {
    "circle": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
    "ring": "M-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0",
    "square": "M-3 -3h6v6h-6z",
    "triangle": "M0 -5l5 8h-10z",
    "cross": "M-4 -4l8 8m0 -8l-8 8",
}


def said(title: str) -> str:
    """Return what a mark tells when it is pointed at."""
    return f"<title>{escape(title)}</title>" if title else ""


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Return a legend: (look, text) for each line."""
    return f'<ul class="legend">{"".join(_key(look, words) for look, words in entries)}</ul>'


def _key(look: str, words: str) -> str:
    line = f'<line class="{look}" x1="1" x2="27" y1="5" y2="5"/>'
    return f'<li><svg class="key" viewBox="0 0 28 10" aria-hidden="true">{line}</svg>{escape(words)}</li>'
