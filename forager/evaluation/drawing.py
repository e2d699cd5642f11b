"""A drawing with matplotlib, as SVG that a page can embed."""

import io
import re
from typing import TYPE_CHECKING, Any

from forager.records import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # names may contain a dollar sign
}


class Plot(Record):
    """An SVG drawing with its title."""

    title: str
    svg: str


class Drawing:
    """A context in which to draw on `axes`; on leaving it, `plot` has the result."""

    def __init__(self, title: str, height: float = 2.8) -> None:
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        self._title = title
        self._style = rc_context({**_STYLE, "svg.hashsalt": title})  # ids differ between plots
        self._style.__enter__()
        self._figure = Figure(figsize=(6.4, height), layout="constrained")
        self.axes: Axes = self._figure.add_subplot()
        self.plot: Plot | None = None

    def __enter__(self) -> "Drawing":
        return self

    def __exit__(self, *exception: object) -> None:
        file = io.StringIO()
        self._figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
        self._style.__exit__(None, None, None)
        svg = file.getvalue()
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
        self.plot = Plot(title=self._title, svg=svg)


def from_zero(axes: "Axes") -> None:
    """Show shares, from 0 to 1, on the vertical axis."""
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
