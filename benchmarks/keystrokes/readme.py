"""Writes a model's last figures into README.md, between its marks. Pure but for `write`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.keystrokes.figures import TYPED_ALONG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.keystrokes.figures import Figures, OfKind

ROOT = Path(__file__).resolve().parents[2]
README, PICTURES = ROOT / "README.md", ROOT / "docs" / "images"


def write(name: str, lines: Sequence[str], title: str) -> None:
    """Put a model's table and picture in the place of the last ones; raises ValueError."""
    picture = f"![{title}](docs/images/keystrokes-{name}.svg)"
    page = replaced(README.read_text("utf-8"), name, "\n".join([*lines, "", picture]))
    README.write_text(page, "utf-8")


def marks(name: str) -> tuple[str, str]:
    """What stands before and behind what is written of a model."""
    command = f"python -m benchmarks.keystrokes --models {name} --write-readme"
    return f"<!-- Written by `{command}`: run that. -->", f"<!-- Until here: {name}. -->"


def replaced(page: str, name: str, block: str) -> str:
    """A page with this block between a model's marks; raises ValueError where it has none."""
    first, last = marks(name)
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"README.md lacks the marks {first} and {last}")
    return f"{before}{begin}\n{block.strip()}\n{end}{after}"


def rows(figures: Mapping[str, Figures]) -> Iterator[str]:
    """One Markdown row for each contestant."""
    yield (
        "| | tokens read, mid-line, p50 / p95 | after a newline | key to ghost text, mid-line, p50"
        " / p95 | typing along without the model | CPU, 1,000 keys |"
    )
    yield "|---|---|---|---|---|---|"
    for name, own in figures.items():
        mid_line, newline, along = (
            own.kinds.get(kind) for kind in ("mid-line", "newline", TYPED_ALONG)
        )
        yield (
            f"| {name} | {_tokens(mid_line)} | {_median(newline)} | {_wait(mid_line)}"
            f" | {f'{along.without_model:.0%}' if along else '-'} | {own.cpu_s_per_1000:.0f} s |"
        )


def _tokens(of_kind: OfKind | None) -> str:
    if of_kind is None or math.isnan(of_kind.evaluated_p50):
        return "-"
    return f"{of_kind.evaluated_p50:.0f} / {of_kind.evaluated_p95:.0f}"


def _median(of_kind: OfKind | None) -> str:
    is_known = of_kind is not None and not math.isnan(of_kind.evaluated_p50)
    return f"{of_kind.evaluated_p50:.0f}" if of_kind and is_known else "-"


def _wait(of_kind: OfKind | None) -> str:
    if of_kind is None:
        return "-"
    return f"{of_kind.wait_ms_p50:.0f} / {of_kind.wait_ms_p95:.0f} ms"
