"""Faults in two sizes: a few of each with the other tests, many with `--soak` (`make soak`)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

FIGURES = Path(__file__).parents[2] / "build" / "figures.json"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="every fault as often as promised")
    parser.addoption("--seed", type=int, default=20261129, help="other faults of the same kinds")


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of docs/reliability.md."""

    what: str
    value: str
    goal: str


@dataclass(slots=True)
class Faults:
    """How many faults there are to be, and what came of them."""

    is_soak: bool
    seed: int
    figures: list[Figure] = field(default_factory=list)

    def n(self, few: int, many: int) -> int:
        return many if self.is_soak else few

    def tell(self, what: str, value: str, goal: str) -> None:
        self.figures.append(Figure(what, value, goal))


@pytest.fixture(scope="session")
def faults(request: pytest.FixtureRequest) -> Iterator[Faults]:
    """The size of it all; with `--soak` the figures are printed at the end."""
    config = request.config
    found = Faults(config.getoption("--soak", False), config.getoption("--seed", 20261129))
    yield found
    if found.is_soak:
        FIGURES.parent.mkdir(exist_ok=True)
        held = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
        held |= {each.what: asdict(each) for each in found.figures}
        FIGURES.write_text(json.dumps(held, indent=2))
        terminal = config.pluginmanager.getplugin("terminalreporter")
        for each in found.figures:
            terminal.write_line(f"\n  {each.what}: {each.value} (goal: {each.goal})")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder
