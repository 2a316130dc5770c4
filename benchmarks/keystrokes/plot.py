"""Draws how long each class of key waits for its ghost text, as SVG. Pure.

By hand, since it is one kind of picture of a hundred lines, and a plotting library would be the
largest dependency of the project.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from benchmarks.keystrokes.figures import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.keystrokes.figures import Figures, OfKind

# Told apart also by who sees no red and green (Okabe and Ito's palette).
_COLOURS = {
    "tabby-lsp": "#0072b2",
    "create_completion": "#999999",
    "llama.vim": "#e69f00",
    "llama.vim:spm-infill": "#d55e00",
}
_OTHER_COLOUR = "#009e73"
_LEFT, _RIGHT, _TOP, _BOTTOM = 130, 30, 62, 42
_WIDTH, _BAR, _GAP = 760, 11, 12
# Of the time axis; what is answered at once stands at its left end.
_FROM_MS = 0.3
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#444}"
    ".title{font-weight:600}.end{text-anchor:end}.mid{text-anchor:middle}"
    ".grid{stroke:#bbb;stroke-opacity:.5}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}.grid{stroke:#666}}"
)


def svg(title: str, figures: Mapping[str, Figures]) -> str:
    """A bar to the median of each contestant for each class, with lines to the 95th percentile."""
    kinds = [kind for kind in KINDS if any(kind in own.kinds for own in figures.values())]
    drawn = [
        (
            kind,
            [(name, own.kinds[kind]) for name, own in figures.items() if kind in own.kinds],
        )
        for kind in kinds
    ]
    longest_ms = max(it.wait_ms_p95 for _, bars in drawn for _, it in bars)
    n_decades = max(1, math.ceil(math.log10(max(longest_ms, 1)) - math.log10(_FROM_MS)))
    height = _TOP + sum(len(bars) * _BAR + _GAP for _, bars in drawn) + _BOTTOM
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<text class="title" x="8" y="18">{escape(title)}</text>',
        *_legend([*figures]),
        *_grid(n_decades, height),
        *_bars(drawn, n_decades),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _legend(names: Sequence[str]) -> Iterator[str]:
    x = _LEFT
    for name in names:
        colour = _COLOURS.get(name, _OTHER_COLOUR)
        yield f'<rect x="{x}" y="32" width="10" height="10" fill="{colour}"/>'
        yield f'<text x="{x + 15}" y="41">{escape(name)}</text>'
        x += 34 + 7 * len(name)


def _grid(n_decades: int, height: int) -> Iterator[str]:
    for power in range(-1, n_decades + 1):
        for step in (1, 3):
            ms = step * 10.0**power
            x = _x(ms, n_decades)
            if ms >= _FROM_MS and x <= _WIDTH - _RIGHT:
                yield (
                    f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}"'
                    f' y2="{height - _BOTTOM + 4}"/>'
                )
                y = height - _BOTTOM + 20
                yield f'<text class="mid" x="{x:.1f}" y="{y}">{_duration(ms)}</text>'


def _bars(
    drawn: Sequence[tuple[str, Sequence[tuple[str, OfKind]]]], n_decades: int
) -> Iterator[str]:
    y = float(_TOP)
    for kind, bars in drawn:
        middle = y + len(bars) * _BAR / 2 + 4
        yield f'<text class="end" x="{_LEFT - 10}" y="{middle:.1f}">{escape(kind)}</text>'
        for name, it in bars:
            colour = _COLOURS.get(name, _OTHER_COLOUR)
            x, far = _x(it.wait_ms_p50, n_decades), _x(it.wait_ms_p95, n_decades)
            yield (
                f'<rect x="{_LEFT}" y="{y:.1f}" width="{max(1.5, x - _LEFT):.1f}"'
                f' height="{_BAR - 2}" fill="{colour}"><title>{escape(kind)}: median'
                f" {_duration(it.wait_ms_p50)}, p95 {_duration(it.wait_ms_p95)}</title></rect>"
            )
            line = y + (_BAR - 2) / 2
            yield (
                f'<line x1="{x:.1f}" x2="{far:.1f}" y1="{line:.1f}" y2="{line:.1f}"'
                f' stroke="{colour}" stroke-width="2"/>'
            )
            y += _BAR
        y += _GAP


def _x(ms: float, n_decades: int) -> float:
    share = (math.log10(max(ms, _FROM_MS)) - math.log10(_FROM_MS)) / n_decades
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _duration(ms: float) -> str:
    return f"{ms / 1_000:.3g} s" if ms >= 1_000 else f"{ms:.3g} ms"
