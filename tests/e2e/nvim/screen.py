"""What Neovim has drawn, put together from the events that it sends to its user interface.

Invariant: knows nothing of buffers; `:help ui-linegrid` describes the events.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

GHOST = "TabbyLspGhost"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the screen; the second of a wide character is empty."""

    text: str = " "
    is_ghost: bool = False


class Screen:
    """The grid, the cursor and the highlights that are ghost text."""

    def __init__(self, n_columns: int, n_rows: int) -> None:
        self.size = (n_columns, n_rows)
        self._cells = [[Cell()] * n_columns for _ in range(n_rows)]
        self._cursor = (0, 0)
        self._ghosts: set[int] = set()

    @property
    def rows(self) -> list[str]:
        """The rows, `║` at the cursor and `├…┤` round ghost text, without blanks at their ends."""
        return [self._row(number) for number in range(len(self._cells))]

    def redraw(self, events: list[list[Any]]) -> None:
        """Take in the events of one `redraw` notification."""
        for name, *calls in events:
            handle: Callable[..., None] | None = getattr(self, f"_on_{name}", None)
            if handle is not None:
                for arguments in calls:
                    handle(*arguments)

    def _row(self, number: int) -> str:
        row, column = self._cursor
        cells = self._cells[number]
        if number != row:
            return _drawn(cells)
        left, right = cells[:column], cells[column:]
        return f"{_drawn(left, keeps_blanks=True)}║{_drawn(right)}"

    def _on_hl_attr_define(self, highlight: int, _rgb: Any, _cterm: Any, info: list[Any]) -> None:
        if any(entry.get("hi_name") == GHOST for entry in info):
            self._ghosts.add(highlight)

    def _on_grid_cursor_goto(self, _grid: int, row: int, column: int) -> None:
        self._cursor = (row, column)

    def _on_grid_clear(self, _grid: int) -> None:
        self._cells = [[Cell()] * len(cells) for cells in self._cells]

    def _on_grid_line(
        self, _grid: int, row: int, column: int, runs: list[list[Any]], _wrap: bool
    ) -> None:
        highlight = 0
        for run in runs:
            highlight = run[1] if len(run) > 1 else highlight
            n_cells = run[2] if len(run) > 2 else 1
            cells = [Cell(run[0], highlight in self._ghosts)] * n_cells
            self._cells[row][column : column + n_cells] = cells
            column += n_cells

    def _on_grid_scroll(
        self, _grid: int, top: int, bottom: int, left: int, right: int, n_rows: int, _: int
    ) -> None:
        """Move the rows from `top` to `bottom` up by `n_rows`, or down where that is negative."""
        old = [list(cells) for cells in self._cells]
        for row in range(top, bottom):
            if top <= row + n_rows < bottom:
                self._cells[row][left:right] = old[row + n_rows][left:right]


def _drawn(cells: list[Cell], keeps_blanks: bool = False) -> str:
    text = ""
    for is_ghost, run in groupby(cells, lambda cell: cell.is_ghost):
        run_text = "".join(cell.text for cell in run)
        text += f"├{run_text}┤" if is_ghost else run_text
    return text if keeps_blanks else text.rstrip()
