"""What is asked of everybody who is measured: to follow a document, and to say what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.keystrokes.processes import Usage
    from benchmarks.keystrokes.trace import Edit


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What was suggested at the cursor; "" for nothing."""

    text: str = ""
    n_replaced: int = 0  # characters right of the cursor
    wait_ms: float = 0.0  # from the key to the answer


@dataclass(frozen=True, slots=True)
class Cost:
    """What the model did for one answer; nothing where it was not asked."""

    n_evaluated: int = 0
    n_reused: int = 0
    n_generated: int = 0

    @property
    def is_free(self) -> bool:
        return not self.n_evaluated and not self.n_generated


NOTHING = Cost()


@dataclass(frozen=True, slots=True)
class Totals:
    """What the model has done since the start, whether anybody had asked for it or not."""

    n_evaluated: int = 0
    n_generated: int = 0


class Contestant(Protocol):
    """Somebody who completes what is typed."""

    name: str

    def open(self, path: str, text: str) -> None:
        """A document is opened, or comes to the front again."""

    def change(self, path: str, before: str, edit: Edit) -> None:
        """A document changes."""

    def ask(self, path: str, text: str, cursor: int) -> Suggestion:
        """What belongs at the cursor; the clock runs from the last `change`."""

    def costs(self) -> Sequence[Cost]:
        """Of each `ask` since the last time, in order."""

    def totals(self) -> Totals:
        """Up to now."""

    def usage(self) -> Usage:
        """What its processes have taken so far."""

    def wait_idle(self) -> None:
        """Until it does nothing any more, ahead of keys either."""

    def close(self) -> None:
        """Nothing of it is left behind."""
