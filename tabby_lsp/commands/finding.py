"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tabby_lsp.domain import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

Verdict = Literal["OK", "WARN", "FAIL"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and what came of it; a fault has its remedy in its own sentence."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"\n      {self.remedy}" if self.remedy else ""
        return f"{self.verdict:<5} {self.name}: {self.detail}{remedy}"


def checked(name: str, check: Callable[[], str]) -> Finding:
    """What the check says, or the sentence with which it fails."""
    try:
        return Finding(name, "OK", check())
    except EngineError as error:
        return Finding(name, "FAIL", str(error))
