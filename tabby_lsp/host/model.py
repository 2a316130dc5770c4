"""A model as windows ask for it, and what a host tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tabby_lsp.config import LocalSettings  # noqa: TC001 - packing.py evaluates the annotations

ModelRole = Literal["completion", "chat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedModel:
    """Which file to load, for what, and how to run it: windows that agree on it share it."""

    role: ModelRole
    name: str
    path: str  # absolute
    local: LocalSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """One model that a host holds."""

    name: str
    role: ModelRole
    path: str
    state: str
    n_windows: int  # that use it
    n_waiting: int  # requests


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """What `tabby-lsp host status --json` prints."""

    pid: int
    version: str
    socket: str
    clients: int
    models: tuple[ModelReport, ...]
    rss_bytes: int
